//! Embeddings: what is asked of the engine, and what its answers look like.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use puna_api::{EmbeddingVector, EmbeddingsRequest, EmbeddingsResponse, EncodingFormat, Error, Result, TextInput};

use crate::engine::{Embedder, FEWEST_TOKENS};
use crate::request::{out_of_range, refuse_extra};

/// The most texts of a request, as at OpenAI.
const MAX_TEXTS: usize = 2_048;

/// Vectors, ready to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    texts: Vec<Vec<u32>>,
    dimensions: Option<usize>,
    is_base64: bool,
    model: String,
}

/// Checks a request and turns it into tokens. `model` is the id that the client used.
pub(crate) fn plan(request: &EmbeddingsRequest, model: &str, embedder: &Embedder) -> Result<Plan> {
    refuse_extra(&request.extra, &[], "")?;
    let is_base64 = match &request.encoding_format {
        None | Some(EncodingFormat::Float) => false,
        Some(EncodingFormat::Base64) => true,
        Some(other) => {
            let message = format!("`encoding_format` must be `float` or `base64`, not `{other}`");
            return Err(Error::invalid_request(message).with_param("encoding_format"));
        }
    };
    let longest = embedder.dimension();
    let dimensions = match request.dimensions {
        Some(dimensions) if dimensions == 0 || dimensions as usize > longest => {
            return Err(out_of_range("dimensions", &format!("from 1 to {longest}"), dimensions));
        }
        dimensions => dimensions.map(|dimensions| dimensions as usize),
    };
    let texts = match &request.input {
        TextInput::Text(text) => vec![embedder.encode(text)?],
        TextInput::Tokens(tokens) => vec![tokens.clone()],
        TextInput::Texts(texts) => texts.iter().map(|text| embedder.encode(text)).collect::<Result<_>>()?,
        TextInput::TokenLists(lists) => lists.clone(),
    };
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        let message = format!("`input` must have from 1 to {MAX_TEXTS} texts, not {}", texts.len());
        return Err(Error::invalid_request(message).with_param("input"));
    }
    for (index, tokens) in texts.iter().enumerate() {
        check(index, tokens, embedder)?;
    }
    Ok(Plan {
        texts,
        dimensions,
        is_base64,
        model: model.to_owned(),
    })
}

fn check(index: usize, tokens: &[u32], embedder: &Embedder) -> Result<()> {
    let wrong = |message: String| Err(Error::invalid_request(message).with_param("input"));
    if tokens.len() < FEWEST_TOKENS {
        return wrong(format!(
            "text {index} of `input` has too few tokens: {}, and {FEWEST_TOKENS} are the fewest",
            tokens.len()
        ));
    }
    let (context, model) = (embedder.context_length(), embedder.id());
    if tokens.len() > context {
        let message = format!(
            "text {index} of `input` has {} tokens, more than the {context} that the model `{model}` takes",
            tokens.len()
        );
        return Err(Error::invalid_request(message)
            .with_code("context_length_exceeded")
            .with_param("input"));
    }
    let vocabulary = embedder.vocabulary_size();
    match tokens.iter().find(|token| **token as usize >= vocabulary) {
        Some(token) => wrong(format!(
            "`input` has the token {token}, but the model has only the tokens from 0 to {}",
            vocabulary - 1
        )),
        None => Ok(()),
    }
}

/// Makes the vectors, one after the other, so that others get their turn between them.
pub(crate) async fn make(plan: Plan, embedder: &Embedder) -> Result<EmbeddingsResponse> {
    let tokens = plan.texts.iter().map(|tokens| tokens.len() as u64).sum();
    let mut vectors = Vec::with_capacity(plan.texts.len());
    for text in plan.texts {
        let mut vector = embedder.embed(text).await?;
        if let Some(dimensions) = plan.dimensions {
            shorten(&mut vector, dimensions);
        }
        vectors.push(if plan.is_base64 {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            EmbeddingVector::Base64(STANDARD.encode(bytes))
        } else {
            EmbeddingVector::Float(vector)
        });
    }
    Ok(EmbeddingsResponse::new(plan.model, vectors, tokens))
}

/// Keeps the first numbers and makes the vector as long as 1 again, which is how such models are trained to be shortened.
fn shorten(vector: &mut Vec<f32>, dimensions: usize) {
    if dimensions >= vector.len() {
        return;
    }
    vector.truncate(dimensions);
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        for number in vector {
            *number /= length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn shorter_vectors_are_as_long_as_1() {
        let mut vector = vec![3.0, 4.0, 12.0];
        shorten(&mut vector, 2);
        assert_eq!(vector, [0.6, 0.8]);
        let mut nothing = vec![0.0, 0.0, 1.0];
        shorten(&mut nothing, 2);
        assert_eq!(nothing, [0.0, 0.0]);
        let mut same = vec![3.0, 4.0];
        shorten(&mut same, 2);
        assert_eq!(same, [3.0, 4.0]);
    }
}
