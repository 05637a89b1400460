//! Models: words make vectors, and what is to be rewritten is shouted.

use std::hash::{DefaultHasher, Hash, Hasher};

use puna_api::{
    ChatCompletion, ChatCompletionChoice, ChatCompletionMessage, ChatCompletionRequest, EmbeddingVector,
    EmbeddingsRequest, EmbeddingsResponse, FinishReason, RerankInput, RerankRequest, RerankResponse, RerankResult,
    TextInput,
};

/// How many numbers a vector has.
pub(crate) const DIMENSION: u32 = 64;

pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().into_iter()
}

/// A text's vector: each word adds to one of its numbers.
pub(crate) fn vector(text: &str, dimension: u32) -> Vec<f32> {
    let mut vector = vec![0.0; dimension as usize];
    for word in words(text) {
        let mut hasher = DefaultHasher::new();
        word.hash(&mut hasher);
        vector[(hasher.finish() % u64::from(dimension)) as usize] += 1.0;
    }
    vector
}

pub(crate) fn embeddings(request: &EmbeddingsRequest, dimension: u32) -> EmbeddingsResponse {
    let TextInput::Texts(texts) = &request.input else {
        panic!("{request:?}");
    };
    let vectors = texts.iter().map(|text| EmbeddingVector::Float(vector(text, dimension)));
    EmbeddingsResponse::new(request.model.as_str(), vectors.collect(), 0)
}

/// Answers the last line of what it is told, with words that it knows for others.
pub(crate) fn chat(request: &ChatCompletionRequest) -> ChatCompletion {
    let told = request.messages[0].content().unwrap().as_text().unwrap();
    let text = told.lines().last().unwrap().replace("moggy", "cat");
    let message = ChatCompletionMessage::text(text);
    let choice = ChatCompletionChoice::new(0, message, FinishReason::Stop);
    ChatCompletion::new("chat-1", 0, request.model.as_str(), vec![choice])
}

/// The shorter the better.
pub(crate) fn rerank(request: &RerankRequest) -> RerankResponse {
    let score = |item: &RerankInput| match item {
        RerankInput::Text(text) => 1.0 / (1.0 + text.len() as f64),
        RerankInput::Part(_) => 0.0,
    };
    let mut data: Vec<RerankResult> = (0..)
        .zip(&request.items)
        .map(|(index, item)| RerankResult {
            index,
            relevance_score: score(item),
        })
        .collect();
    data.sort_by(|one, other| other.relevance_score.total_cmp(&one.relevance_score));
    RerankResponse { data }
}
