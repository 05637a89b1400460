//! Reranking: documents ordered by relevance to a query.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Json, Model, RequestContext, Result};
use std::sync::Arc;

/// Orders documents by relevance.
///
/// # Behavior
/// - Answers every item at most once, the most relevant first; with `max_num_results`, the first that many.
/// - `index` counts the request's items from 0.
/// - A model that cannot rerank is an unsupported request that names `model`.
#[async_trait]
pub trait Rerank: Send + Sync {
    /// Scores the items of a request.
    async fn rerank(&self, context: &RequestContext, request: RerankTask) -> Result<RerankResponse>;
}

/// A rerank request with the model that it was routed to.
#[derive(Debug, Clone)]
pub struct RerankTask {
    /// The model to use.
    pub model: Arc<Model>,
    /// What the client sent; its `model` is the id that the client used.
    pub body: Json<RerankRequest>,
}

/// The body of `POST /v1alpha/inference/rerank` (Llama Stack).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RerankRequest {
    /// The id of a rerank model.
    pub model: String,
    /// What the items are compared with.
    pub query: RerankInput,
    /// The documents to order, at least one.
    pub items: Vec<RerankInput>,
    /// How many of the best items to answer, 1 or more; all of them by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_num_results: Option<u32>,
    /// Fields not named here, such as vLLM's `truncate_prompt_tokens`: handed on, or refused by name.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A text, or one part of text or image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a string or a content part of type `text` or `image_url`"
)]
pub enum RerankInput {
    /// Plain text.
    Text(String),
    /// A typed part.
    Part(RerankContentPart),
}

/// A typed part of a query or an item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RerankContentPart {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Where the image is.
        image_url: RerankImageUrl,
    },
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RerankImageUrl {
    /// An `http(s)` or `data` URL.
    pub url: String,
    /// How closely to look: `low`, `high` or `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The answer to a rerank request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RerankResponse {
    /// The items, the most relevant first.
    pub data: Vec<RerankResult>,
}

/// One item's score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RerankResult {
    /// The item's place in the request, from 0.
    pub index: u32,
    /// Higher is more relevant; the scale is the model's own.
    pub relevance_score: f64,
}
