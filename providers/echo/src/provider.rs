//! The provider: its models, and which of them serves what.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use puna_api::{
    Api, BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, Health, Host, Inference, InferenceRequest, Json,
    Model, ModelType, Models, Provider, ProviderModel, RequestContext, Rerank, RerankResponse, RerankTask, Result,
    Services,
};
use serde_json::{Map, json};

use crate::config::{EchoConfig, EchoModel};
use crate::pace::Pace;
use crate::{chat, completion, embeddings, rerank};

/// Models that repeat what they are told.
#[derive(Debug)]
pub struct Echo {
    config: EchoConfig,
}

/// What is needed to answer one request besides its body.
pub(crate) struct Call {
    /// The model id that the answer shows.
    pub(crate) model: Arc<str>,
    /// What ids of the answer are made of.
    pub(crate) request_id: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) pace: Pace,
    pub(crate) answer_tokens: Option<NonZeroU32>,
}

impl Provider for Echo {
    const TYPE: &'static str = "inline::echo";
    const SUMMARY: &'static str =
        "Deterministic models that repeat what they are told, for tests, docs and benchmarks.";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = EchoConfig;

    fn sample() -> EchoConfig {
        EchoConfig {
            first_token_delay: Duration::from_millis(200),
            token_delay: Duration::from_millis(20),
            ..EchoConfig::default()
        }
    }

    fn validate(config: &EchoConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: EchoConfig, _host: Host) -> Result<Services> {
        let echo = Arc::new(Self { config });
        Ok(Services::default()
            .with_inference(Arc::clone(&echo) as Arc<dyn Inference>)
            .with_rerank(Arc::clone(&echo) as Arc<dyn Rerank>)
            .with_models(Arc::clone(&echo) as Arc<dyn Models>)
            .with_health(echo))
    }
}

impl Echo {
    /// The model of a request, if it is for this.
    fn model(&self, model: &Model, shown: &str, needed: ModelType) -> Result<&EchoModel> {
        let found = self
            .config
            .models
            .iter()
            .find(|found| found.model_id == model.provider_model_id);
        match found {
            None => Err(Error::not_found(format!("the model `{shown}` does not exist"))
                .with_param("model")
                .with_code("model_not_found")),
            Some(found) if found.model_type != needed => {
                let (is, needed) = (found.model_type.name(), needed.name());
                Err(Error::unsupported(format!(
                    "the model `{shown}` is of the type `{is}`; this needs one of the type `{needed}`"
                ))
                .with_param("model"))
            }
            Some(found) => Ok(found),
        }
    }

    fn call<T>(&self, context: &RequestContext, request: &InferenceRequest<T>) -> Call {
        Call {
            model: Arc::clone(&request.requested_model),
            request_id: context.request_id().to_owned(),
            created: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            pace: Pace::new(self.config.first_token_delay, self.config.token_delay, context),
            answer_tokens: self.config.answer_tokens,
        }
    }
}

#[async_trait]
impl Inference for Echo {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(&[
            Capability::Chat,
            Capability::Completion,
            Capability::Embeddings,
            Capability::EmbeddingDimensions,
            Capability::Tools,
            Capability::ForcedToolChoice,
            Capability::StructuredOutput,
            Capability::Seed,
            Capability::MultipleChoices,
            Capability::Stop,
        ])
    }

    async fn chat_completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        self.model(&request.model, &request.requested_model, ModelType::Llm)?;
        chat::whole(self.call(context, &request), request.body.get()?)
            .await
            .map(Json::new)
    }

    async fn chat_completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        self.model(&request.model, &request.requested_model, ModelType::Llm)?;
        chat::stream(self.call(context, &request), request.body.get()?)
    }

    async fn completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        self.model(&request.model, &request.requested_model, ModelType::Llm)?;
        completion::whole(self.call(context, &request), request.body.get()?)
            .await
            .map(Json::new)
    }

    async fn completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        self.model(&request.model, &request.requested_model, ModelType::Llm)?;
        completion::stream(self.call(context, &request), request.body.get()?)
    }

    async fn embeddings(
        &self,
        context: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        let model = self.model(&request.model, &request.requested_model, ModelType::Embedding)?;
        let answer = embeddings::answer(&request.requested_model, model.dimension(), request.body.get()?)?;
        self.call(context, &request).pace.tokens(1).await?;
        Ok(Json::new(answer))
    }
}

#[async_trait]
impl Rerank for Echo {
    async fn rerank(&self, context: &RequestContext, request: RerankTask) -> Result<RerankResponse> {
        self.model(&request.model, &request.model.id, ModelType::Rerank)?;
        let answer = rerank::answer(request.body.get()?)?;
        Pace::new(self.config.first_token_delay, self.config.token_delay, context)
            .tokens(1)
            .await?;
        Ok(answer)
    }
}

#[async_trait]
impl Models for Echo {
    async fn list_models(&self, _context: &RequestContext) -> Result<Vec<ProviderModel>> {
        Ok(self
            .config
            .models
            .iter()
            .map(|model| ProviderModel {
                provider_model_id: model.model_id.clone(),
                model_type: model.model_type,
                metadata: match model.model_type {
                    ModelType::Embedding => {
                        Map::from_iter([("embedding_dimension".to_owned(), json!(model.dimension()))])
                    }
                    ModelType::Llm | ModelType::Rerank => Map::new(),
                },
            })
            .collect())
    }

    fn changes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Health for Echo {
    async fn check(&self) -> Result<()> {
        Ok(())
    }
}
