//! `/rerank`, as vLLM and llama.cpp's server have it after Jina and Cohere.

use serde_json::{Value, json};

use super::StubSettings;
use super::answer::Answer;
use super::check::{Fields, Refusal};
use super::embeddings::vector;
use super::words::count;

/// Enough for words to be nearly orthogonal.
const DIMENSIONS: usize = 64;

pub(super) fn answer(body: &[u8], settings: &StubSettings) -> Result<Answer, Refusal> {
    let fields = Fields::parse(body)?;
    let model = fields.model(&settings.rerank_models)?;
    let query = fields
        .text("query")?
        .ok_or_else(|| Refusal::invalid("query", "Missing required parameter: 'query'."))?;
    let top_n = fields.count("top_n", 0)?.filter(|top_n| *top_n > 0);
    let documents = fields.strings("documents")?;
    if documents.is_empty() {
        return Err(Refusal::invalid(
            "documents",
            "Missing required parameter: 'documents'.",
        ));
    }
    let direction = vector(query, DIMENSIONS);
    let mut scored: Vec<(usize, f32)> = documents
        .iter()
        .map(|document| {
            direction
                .iter()
                .zip(vector(document, DIMENSIONS))
                .map(|(a, b)| a * b)
                .sum()
        })
        .enumerate()
        .collect();
    scored.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    scored.truncate(top_n.unwrap_or(usize::MAX));
    let results: Value = scored
        .iter()
        .map(|(index, score)| json!({ "index": index, "document": { "text": documents[*index] }, "relevance_score": score }))
        .collect();
    let tokens: usize = documents.iter().map(|document| count(document) + count(query)).sum();
    Ok(Answer::Whole(json!({
        "id": "rerank-5b0d4ee1",
        "model": model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
        "results": results,
    })))
}
