//! Reranking: what shares words with the query comes first.

use puna_api::{RerankContentPart, RerankInput, RerankRequest, RerankResponse, RerankResult, Result};

use crate::check::{invalid, nothing_unknown, unsupported};
use crate::embeddings::{cosine, vector};

/// Enough for words to have nothing to do with each other.
const DIMENSION: u32 = 256;

/// Answers a request.
pub(crate) fn answer(request: &RerankRequest) -> Result<RerankResponse> {
    nothing_unknown(&request.extra)?;
    if request.items.is_empty() {
        return Err(invalid("items", "nothing to rank; one or more is right"));
    }
    if request.max_num_results == Some(0) {
        return Err(invalid("max_num_results", "0 is below 1"));
    }
    let query = vector(text(&request.query, "query")?, DIMENSION);
    let mut data = Vec::with_capacity(request.items.len());
    for (index, item) in (0..).zip(&request.items) {
        let item = text(item, &format!("items[{index}]"))?;
        data.push(RerankResult {
            index,
            relevance_score: cosine(&query, &vector(item, DIMENSION)),
        });
    }
    // A stable sort: of two that are as relevant, the earlier stays first.
    data.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score));
    if let Some(most) = request.max_num_results {
        data.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    }
    Ok(RerankResponse { data })
}

fn text<'a>(input: &'a RerankInput, place: &str) -> Result<&'a str> {
    match input {
        RerankInput::Text(text) | RerankInput::Part(RerankContentPart::Text { text }) => Ok(text),
        RerankInput::Part(RerankContentPart::ImageUrl { .. }) => Err(unsupported(format!("{place}.image_url"))),
    }
}

#[cfg(test)]
mod tests {
    use puna_api::ErrorKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_not_known_is_refused_by_name() {
        let mut request = json!({ "model": "m", "query": "a", "items": ["a"], "instruction": null });
        assert!(answer(&serde_json::from_value(request.clone()).unwrap()).is_ok());
        request["instruction"] = "b".into();
        let error = answer(&serde_json::from_value(request).unwrap()).unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::Unsupported, Some("instruction"))
        );
    }
}
