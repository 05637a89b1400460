use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use puna_api::{
    Api, BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, ErrorKind, Health, Host, Inference,
    InferenceRequest, Json, ModelType, Models, Provider, ProviderModel, RequestContext, Result, Services,
};
use puna_hub::refused;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::answer::answers;
use crate::config::{Load, LocalModel, MistralrsConfig};
use crate::engine_loader::{EngineLease, EngineLoader, LoadedModel};
use crate::images::Images;
use crate::pool::{Lease, Limits, Pool};
use crate::{chat, completion, embeddings, error, messages};

/// A body of more bytes than this is worked on aside, so that other requests of the thread need not wait for it.
const LARGE_BODY_BYTES: usize = 16 * 1024;

/// Runs language models in this process. See the crate's documentation.
#[derive(Debug)]
pub struct Mistralrs {
    pool: Pool<EngineLoader>,
    images: Images,
    /// Whether what is known of a model may grow while the server runs.
    learns: bool,
}

impl Provider for Mistralrs {
    const TYPE: &'static str = "inline::mistralrs";
    const SUMMARY: &'static str = "Runs language models in this process, from checkpoint folders and GGUF files.";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = MistralrsConfig;

    fn sample() -> MistralrsConfig {
        MistralrsConfig::default()
    }

    fn validate(config: &MistralrsConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: MistralrsConfig, host: Host) -> Result<Services> {
        let at_start = |model: &&LocalModel| model.load == Load::Start;
        let first: Vec<String> = config.models.iter().filter(at_start).map(LocalModel::id).collect();
        let limits = Limits {
            models: config.max_loaded_models.map(NonZeroUsize::get),
            bytes: config.max_loaded_bytes.map(NonZeroU64::get),
            ..Limits::default()
        };
        let provider = Arc::new(Self {
            images: Images::new(config.network.clone().unwrap_or_default(), &host),
            learns: first.len() < config.models.len(),
            pool: Pool::new(EngineLoader::new(config, host.clone()), limits, host),
        });
        for id in first {
            provider.pool.get(&id).await?;
        }
        let inference: Arc<dyn Inference> = Arc::clone(&provider) as _;
        let models: Arc<dyn Models> = Arc::clone(&provider) as _;
        Ok(Services::default()
            .with_inference(inference)
            .with_models(models)
            .with_health(provider))
    }
}

impl Mistralrs {
    /// What is known of a model: what it says itself, or else its files.
    fn listed(&self, id: &str) -> ProviderModel {
        let known = self.pool.peek(id, |loaded| {
            let dimension = match loaded {
                LoadedModel::Language(_) => None,
                LoadedModel::Embedding(embedder) => Some(embedder.dimension() as u64),
            };
            (dimension.is_some(), Some(loaded.context_length() as u64), dimension)
        });
        let (embeds, context_length, dimension) = known
            .or_else(|| {
                let files = self.pool.loader().checkpoint(id).ok()?;
                Some((files.embeds, files.context_length, files.dimension))
            })
            .unwrap_or_default();
        provider_model(id, embeds, context_length, dimension)
    }

    /// Reads a request for a chat, gets its images, and makes a plan of it.
    async fn chat_plan(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
        is_stream: bool,
        engine: &EngineLease,
    ) -> Result<chat::Plan> {
        let request = Arc::new(request);
        let mut images = Vec::new();
        if let Some(vision) = engine.vision() {
            let planner = engine.clone();
            let named = plan(Arc::clone(&request), move |body, _| {
                let named = messages::images(&body.messages);
                if !named.is_empty() {
                    // Nothing is fetched for what is refused anyway.
                    messages::messages(&body.messages, planner.vision())?;
                }
                Ok(named)
            });
            images = self.images.get(named.await?, vision, context.deadline()).await?;
        }
        let planner = engine.clone();
        plan(request, move |body, model| {
            chat::plan(body, images, model, is_stream, &planner)
        })
        .await
    }

    /// The engine of the model that a request was routed to, loaded if need be.
    async fn engine<T>(&self, request: &InferenceRequest<T>) -> Result<EngineLease> {
        let lease = self.lease(request).await?;
        EngineLease::of(&lease).ok_or_else(|| {
            Error::unsupported(format!(
                "the model `{}` generates no text, it makes embeddings",
                request.requested_model
            ))
            .with_param("model")
        })
    }

    /// The model that a request was routed to, loaded if need be.
    async fn lease<T>(&self, request: &InferenceRequest<T>) -> Result<Lease<EngineLoader>> {
        let leased = self.pool.get(&request.model.provider_model_id).await;
        // A model that the operator got wrong is no fault of the caller.
        leased.map_err(|error| match error.kind() {
            ErrorKind::Configuration => Error::unavailable(error.message()).with_source(error),
            _ => error,
        })
    }
}

/// What is known of a model, as it is listed.
fn provider_model(id: &str, embeds: bool, context_length: Option<u64>, dimension: Option<u64>) -> ProviderModel {
    let numbers = [("context_length", context_length), ("embedding_dimension", dimension)];
    let metadata = numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name.to_owned(), json!(number?))));
    ProviderModel {
        provider_model_id: id.to_owned(),
        model_type: if embeds { ModelType::Embedding } else { ModelType::Llm },
        metadata: metadata.collect(),
    }
}

/// Reads a request and makes a plan of it. `make` is given the body and the id that the client used.
async fn plan<B, P>(
    request: impl Into<Arc<InferenceRequest<B>>>,
    make: impl FnOnce(&B, &str) -> Result<P> + Send + 'static,
) -> Result<P>
where
    B: DeserializeOwned + Send + Sync + 'static,
    P: Send + 'static,
{
    let request = request.into();
    let is_large = request.body.raw().is_none_or(|raw| raw.len() > LARGE_BODY_BYTES);
    let work = move || make(request.body.get()?, &request.requested_model);
    if !is_large {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| error::failed(&cause.to_string()))?
}

#[async_trait]
impl Inference for Mistralrs {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(&[
            Capability::Chat,
            Capability::Completion,
            Capability::Embeddings,
            Capability::EmbeddingDimensions,
            Capability::Tools,
            Capability::ForcedToolChoice,
            Capability::StructuredOutput,
            Capability::Logprobs,
            Capability::Seed,
            Capability::MultipleChoices,
            Capability::Stop,
            Capability::ImageInput,
        ])
    }

    async fn chat_completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        let engine = self.engine(&request).await?;
        let plan = self.chat_plan(context, request, false, &engine).await?;
        let events = answers(engine.clone(), plan.jobs.clone()).await?;
        Ok(Json::new(chat::whole(plan, events, &engine).await?))
    }

    async fn chat_completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        let engine = self.engine(&request).await?;
        let plan = self.chat_plan(context, request, true, &engine).await?;
        let events = answers(engine.clone(), plan.jobs.clone()).await?;
        Ok(chat::stream(plan, events, engine).boxed())
    }

    async fn completion(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        let engine = self.engine(&request).await?;
        let planner = engine.clone();
        let plan = plan(request, move |body, model| {
            completion::plan(body, model, false, &planner)
        })
        .await?;
        let events = answers(engine.clone(), plan.jobs.clone()).await?;
        Ok(Json::new(completion::whole(plan, events, &engine).await?))
    }

    async fn completion_stream(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        let engine = self.engine(&request).await?;
        let planner = engine.clone();
        let plan = plan(request, move |body, model| {
            completion::plan(body, model, true, &planner)
        })
        .await?;
        let events = answers(engine.clone(), plan.jobs.clone()).await?;
        Ok(completion::stream(plan, events, engine).boxed())
    }

    async fn embeddings(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        let lease = self.lease(&request).await?;
        let LoadedModel::Embedding(embedder) = &*lease else {
            return Err(Error::unsupported(format!(
                "the model `{}` makes no embeddings, it generates text",
                request.requested_model
            ))
            .with_param("model"));
        };
        let planner = Arc::clone(embedder);
        let plan = plan(request, move |body, model| embeddings::plan(body, model, &planner)).await?;
        Ok(Json::new(embeddings::make(plan, embedder).await?))
    }
}

#[async_trait]
impl Models for Mistralrs {
    async fn list_models(&self, _context: &RequestContext) -> Result<Vec<ProviderModel>> {
        let models = self.pool.loader().ids().map(|id| self.listed(id));
        Ok(models.collect())
    }

    fn changes(&self) -> bool {
        self.learns
    }

    async fn find_model(&self, provider_model_id: &str) -> Result<Option<ProviderModel>> {
        let files = self.pool.loader().find(provider_model_id).await.map_err(refused)?;
        Ok(Some(provider_model(
            provider_model_id,
            files.embeds,
            files.context_length,
            files.dimension,
        )))
    }

    fn release_model(&self, provider_model_id: &str) {
        self.pool.release(provider_model_id);
    }
}

#[async_trait]
impl Health for Mistralrs {
    async fn check(&self) -> Result<()> {
        self.pool.check()
    }
}

#[cfg(test)]
mod tests;
