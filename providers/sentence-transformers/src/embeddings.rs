//! Embeddings: what a request asks for, and the answer.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use puna_api::{EmbeddingVector, EmbeddingsRequest, EmbeddingsResponse, EncodingFormat, Error, Result, TextInput};
use serde_json::{Map, Value};

use crate::embedder::Embedder;
use crate::encoder::Abandoned;
use crate::error::{invalid, too_long, unknown_field};
use crate::job::Job;
use crate::tokens::{Encoded, Limit, Tokens};

/// The most texts of one request, as at OpenAI.
const MAX_TEXTS: usize = 2048;

/// vLLM's field that has longer texts cut.
const TRUNCATE: &str = "truncate_prompt_tokens";

/// What the answer is to look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// How many of its numbers each vector keeps; all of them when absent.
    dimensions: Option<usize>,
    normalize: bool,
    as_base64: bool,
    tokens: u64,
}

/// Reads a request and makes tokens of its texts.
pub(crate) fn plan(
    request: &EmbeddingsRequest,
    model: &Arc<Embedder>,
    abandoned: Abandoned<'_>,
) -> Result<(Job<Embedder>, Form)> {
    let as_base64 = match &request.encoding_format {
        None | Some(EncodingFormat::Float) => false,
        Some(EncodingFormat::Base64) => true,
        Some(EncodingFormat::Other(other)) => {
            return Err(invalid(
                "encoding_format",
                format!("`{other}` is not one; `float` and `base64` are"),
            ));
        }
    };
    let dimensions = dimensions(request.dimensions, model)?;
    let limit = limit(&request.extra, model)?;
    let texts = texts(&request.input, model, limit, abandoned)?;
    let job = Job::new(Arc::clone(model), texts);
    let form = Form {
        dimensions,
        normalize: model.normalizes(),
        as_base64,
        tokens: job.tokens(),
    };
    Ok((job, form))
}

/// The answer.
pub(crate) fn answer(model: &str, vectors: Vec<Vec<f32>>, form: Form) -> EmbeddingsResponse {
    let vectors = vectors.into_iter().map(|vector| form.write(vector)).collect();
    EmbeddingsResponse::new(model, vectors, form.tokens)
}

impl Form {
    fn write(self, mut vector: Vec<f32>) -> EmbeddingVector {
        if let Some(dimensions) = self.dimensions {
            vector.truncate(dimensions);
            if self.normalize {
                let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
                vector.iter_mut().for_each(|number| *number /= length.max(1e-12));
            }
        }
        if self.as_base64 {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            return EmbeddingVector::Base64(STANDARD.encode(bytes));
        }
        EmbeddingVector::Float(vector)
    }
}

fn dimensions(wanted: Option<u32>, model: &Embedder) -> Result<Option<usize>> {
    let Some(wanted) = wanted else { return Ok(None) };
    let has = model.dimension();
    match wanted as usize {
        wanted if wanted == has => Ok(None),
        wanted if (1..has).contains(&wanted) => Ok(Some(wanted)),
        wanted => Err(invalid(
            "dimensions",
            format!(
                "{wanted} is not between 1 and {has}, the dimensions of the model `{}`",
                model.id()
            ),
        )),
    }
}

/// What becomes of a text that is too long. No other field beside OpenAI's is known, and none is ignored.
fn limit(extra: &Map<String, Value>, model: &Embedder) -> Result<Limit> {
    let mut limit = model.limit();
    for (name, value) in extra.iter().filter(|(_, value)| !value.is_null()) {
        if name != TRUNCATE {
            return Err(unknown_field(name, model.id()));
        }
        let (fewest, most) = (model.fewest_tokens(), model.max_tokens());
        limit = match value.as_i64() {
            Some(-1) => Limit::Truncate(most),
            Some(wanted) if usize::try_from(wanted).is_ok_and(|wanted| (fewest..=most).contains(&wanted)) => {
                Limit::Truncate(usize::try_from(wanted).unwrap_or(most))
            }
            _ => {
                let problem = format!(
                    "{value} is not between {fewest} and {most}, what the model `{}` takes, nor -1 for as much as it takes",
                    model.id()
                );
                return Err(invalid(TRUNCATE, problem));
            }
        };
    }
    Ok(limit)
}

/// The tokens of all texts.
fn texts(input: &TextInput, model: &Embedder, limit: Limit, abandoned: Abandoned<'_>) -> Result<Vec<Tokens>> {
    match input.len() {
        0 => return Err(invalid("input", "no texts; one or more is right")),
        count if count > MAX_TEXTS => {
            return Err(invalid("input", format!("{count} texts are more than {MAX_TEXTS}")));
        }
        _ => {}
    }
    let of_text = |text: &String, param: String| {
        if abandoned() {
            return Err(Error::cancelled("the request was given up"));
        }
        if text.is_empty() {
            return Err(invalid(param, "the text is empty"));
        }
        match model.encode(text, limit)? {
            Encoded::Tokens(tokens) => {
                model.check_ids(&tokens.ids, &param)?;
                Ok(tokens)
            }
            Encoded::TooMany(count) => Err(too_long(&param, count, model.max_tokens(), model.id())),
        }
    };
    let of_ids = |ids: &Vec<u32>, param: String| {
        if ids.is_empty() {
            return Err(invalid(param, "the list of tokens is empty"));
        }
        model.check_ids(ids, &param)?;
        let mut ids = ids.clone();
        match limit {
            Limit::Refuse(most) if ids.len() > most => return Err(too_long(&param, ids.len(), most, model.id())),
            Limit::Refuse(most) | Limit::Truncate(most) => ids.truncate(most),
        }
        Ok(Tokens {
            types: vec![0; ids.len()],
            ids,
        })
    };
    let place = |index: usize| format!("input[{index}]");
    match input {
        TextInput::Text(text) => Ok(vec![of_text(text, "input".to_owned())?]),
        TextInput::Texts(texts) => texts
            .iter()
            .enumerate()
            .map(|(i, text)| of_text(text, place(i)))
            .collect(),
        TextInput::Tokens(ids) => Ok(vec![of_ids(ids, "input".to_owned())?]),
        TextInput::TokenLists(lists) => lists.iter().enumerate().map(|(i, ids)| of_ids(ids, place(i))).collect(),
    }
}
