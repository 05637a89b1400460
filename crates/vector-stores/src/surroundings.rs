//! What the engine uses of its server.

use std::sync::Arc;

use async_trait::async_trait;
use puna_api::{
    ChatCompletion, ChatCompletionRequest, EmbeddingsRequest, EmbeddingsResponse, FileProcessors, Files, Model,
    RequestContext, RerankRequest, RerankResponse, Result, VectorIo,
};

/// What the engine uses of the server that it lives in. Requests are routed by the model that their body names.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// Uploaded files. Fails as unsupported where the server keeps none.
    fn files(&self) -> Result<Arc<dyn Files>>;

    /// What reads files. Fails as unsupported where nothing does.
    fn file_processors(&self) -> Result<Arc<dyn FileProcessors>>;

    /// The providers of vector indexes by their ids, in the order of the configuration.
    fn vector_providers(&self) -> Vec<(String, Arc<dyn VectorIo>)>;

    /// Every model that is registered or listed.
    async fn models(&self, context: &RequestContext) -> Vec<Arc<Model>>;

    /// The model of this id. Fails as not found when there is none.
    async fn model(&self, context: &RequestContext, id: &str) -> Result<Arc<Model>>;

    /// Turns texts into vectors.
    async fn embeddings(&self, context: &RequestContext, request: EmbeddingsRequest) -> Result<EmbeddingsResponse>;

    /// Answers a conversation.
    async fn chat_completion(&self, context: &RequestContext, request: ChatCompletionRequest)
    -> Result<ChatCompletion>;

    /// Orders texts by relevance.
    async fn rerank(&self, context: &RequestContext, request: RerankRequest) -> Result<RerankResponse>;
}
