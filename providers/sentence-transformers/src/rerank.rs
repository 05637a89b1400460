//! Reranking: what a request asks for, and the answer.

use std::sync::Arc;

use puna_api::{Error, RerankContentPart, RerankInput, RerankRequest, RerankResponse, RerankResult, Result};

use crate::cross_encoder::CrossEncoder;
use crate::encoder::Abandoned;
use crate::error::{invalid, too_long, unknown_field};
use crate::job::Job;
use crate::tokens::Encoded;

/// Reads a request and makes tokens of its query with each item. Beside the job is how many results are wanted.
pub(crate) fn plan(
    request: &RerankRequest,
    model: &Arc<CrossEncoder>,
    abandoned: Abandoned<'_>,
) -> Result<(Job<CrossEncoder>, usize)> {
    if request.items.is_empty() {
        return Err(invalid("items", "nothing to rank; one or more is right"));
    }
    if request.max_num_results == Some(0) {
        return Err(invalid("max_num_results", "0 is below 1"));
    }
    if let Some((name, _)) = request.extra.iter().find(|(_, value)| !value.is_null()) {
        return Err(unknown_field(name, model.id()));
    }
    let query = model.query(text(&request.query, || "query".to_owned())?)?;
    model.check_ids(query.ids(), "query")?;
    let mut texts = Vec::with_capacity(request.items.len());
    for (index, item) in request.items.iter().enumerate() {
        if abandoned() {
            return Err(Error::cancelled("the request was given up"));
        }
        let place = || format!("items[{index}]");
        match model.pair(query.clone(), text(item, place)?, model.limit())? {
            Encoded::Tokens(tokens) => {
                model.check_ids(&tokens.ids, &place())?;
                texts.push(tokens);
            }
            Encoded::TooMany(count) => {
                let param = place();
                let together = format!("{param} with the query");
                return Err(too_long(&together, count, model.max_tokens(), model.id()).with_param(param));
            }
        }
    }
    let most = request.max_num_results.map_or(usize::MAX, |most| most as usize);
    Ok((Job::new(Arc::clone(model), texts), most))
}

/// The answer: the most relevant first; of two that are as relevant, the earlier.
pub(crate) fn answer(scores: Vec<f32>, most: usize) -> RerankResponse {
    let mut data: Vec<RerankResult> = (0..)
        .zip(scores)
        .map(|(index, score)| RerankResult {
            index,
            relevance_score: f64::from(score),
        })
        .collect();
    data.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score));
    data.truncate(most);
    RerankResponse { data }
}

fn text(input: &RerankInput, place: impl Fn() -> String) -> Result<&str> {
    match input {
        RerankInput::Text(text) | RerankInput::Part(RerankContentPart::Text { text }) => Ok(text),
        RerankInput::Part(RerankContentPart::ImageUrl { .. }) => {
            let param = format!("{}.image_url", place());
            Err(Error::unsupported(format!("`{param}` is an image; this model ranks texts")).with_param(param))
        }
    }
}
