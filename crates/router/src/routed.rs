//! The inference of the whole server, for providers that declared that they need it.

use std::sync::Arc;

use async_trait::async_trait;
use puna_api::{
    BoxStream, Capabilities, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion, CompletionRequest,
    EmbeddingsRequest, EmbeddingsResponse, Error, Inference, InferenceRequest, Json, ModelType, RequestContext, Result,
};

use crate::registry::Registry;

/// Routes each request by the id of its model, and hands it to that model's provider.
#[derive(Debug)]
pub(crate) struct RoutedInference(pub(crate) Arc<Registry>);

impl RoutedInference {
    fn route<T>(
        &self,
        request: InferenceRequest<T>,
        model_type: ModelType,
    ) -> Result<(Arc<dyn Inference>, InferenceRequest<T>)> {
        let route = self.0.route_for(&request.requested_model, model_type)?;
        let inference = route
            .target
            .services
            .inference
            .clone()
            .ok_or_else(|| no_inference(&route.target.provider_id))?;
        Ok((
            inference,
            InferenceRequest {
                model: route.model,
                ..request
            },
        ))
    }
}

/// The answer where a provider has models but does not run them.
pub(crate) fn no_inference(provider_id: &str) -> Error {
    Error::unsupported(format!("the provider `{provider_id}` does not serve inference")).with_param("model")
}

/// The answer where a provider has models but does not rerank.
pub(crate) fn no_rerank(provider_id: &str, model: &str) -> Error {
    Error::unsupported(format!(
        "the provider `{provider_id}` of the model `{model}` does not rerank"
    ))
    .with_param("model")
}

#[async_trait]
impl Inference for RoutedInference {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn chat_completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        let (inference, request) = self.route(request, ModelType::Llm)?;
        inference.chat_completion(context, request).await
    }

    async fn chat_completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        let (inference, request) = self.route(request, ModelType::Llm)?;
        inference.chat_completion_stream(context, request).await
    }

    async fn completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        let (inference, request) = self.route(request, ModelType::Llm)?;
        inference.completion(context, request).await
    }

    async fn completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        let (inference, request) = self.route(request, ModelType::Llm)?;
        inference.completion_stream(context, request).await
    }

    async fn embeddings(
        &self,
        context: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        let (inference, request) = self.route(request, ModelType::Embedding)?;
        inference.embeddings(context, request).await
    }
}
