//! The provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use puna_api::{
    Api, BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, Host, Inference, InferenceRequest, Json,
    ModelType, Models, Provider, ProviderModel, RequestContext, Result, Services,
};

use crate::ParrotConfig;
use crate::answer::Answer;
use crate::request::Question;

/// Repeats what was said last.
pub struct Parrot {
    config: ParrotConfig,
    answers: AtomicU64,
}

impl Provider for Parrot {
    const TYPE: &'static str = "inline::parrot";
    const SUMMARY: &'static str = "Repeats what was said last.";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = ParrotConfig;

    fn sample() -> ParrotConfig {
        ParrotConfig::default()
    }

    fn validate(config: &ParrotConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: ParrotConfig, _host: Host) -> Result<Services> {
        let parrot = Arc::new(Self {
            config,
            answers: AtomicU64::new(0),
        });
        Ok(Services::default().with_inference(parrot.clone()).with_models(parrot))
    }
}

impl Parrot {
    fn answer(&self, request: &InferenceRequest<ChatCompletionRequest>) -> Result<Answer> {
        let model = &request.model.provider_model_id;
        if !self.config.models.contains(model) {
            let message = format!(
                "there is no model `{model}`; there are {}",
                self.config.models.join(", ")
            );
            return Err(Error::not_found(message)
                .with_param("model")
                .with_code("model_not_found"));
        }
        let question = Question::read(request.body.get()?)?;
        Ok(Answer::new(
            &question,
            self.answers.fetch_add(1, Ordering::Relaxed),
            Arc::clone(&request.requested_model),
        ))
    }
}

#[async_trait]
impl Inference for Parrot {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(&[Capability::Chat])
    }

    async fn chat_completion(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        Ok(Json::new(self.answer(&request)?.whole()))
    }

    async fn chat_completion_stream(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        let chunks = self.answer(&request)?.chunks();
        Ok(futures::stream::iter(chunks.map(|chunk| Ok(Json::new(chunk)))).boxed())
    }

    async fn completion(&self, _: &RequestContext, _: InferenceRequest<CompletionRequest>) -> Result<Json<Completion>> {
        Err(Error::unsupported("the model answers chats only"))
    }

    async fn completion_stream(
        &self,
        _: &RequestContext,
        _: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        Err(Error::unsupported("the model answers chats only"))
    }

    async fn embeddings(
        &self,
        _: &RequestContext,
        _: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        Err(Error::unsupported("the model answers chats only"))
    }
}

#[async_trait]
impl Models for Parrot {
    async fn list_models(&self, _context: &RequestContext) -> Result<Vec<ProviderModel>> {
        let model = |id: &String| ProviderModel {
            provider_model_id: id.clone(),
            model_type: ModelType::Llm,
            ..ProviderModel::default()
        };
        Ok(self.config.models.iter().map(model).collect())
    }

    fn changes(&self) -> bool {
        false
    }
}
