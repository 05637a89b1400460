use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use futures::StreamExt;
use puna_api::{
    Api, BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, Health, Host, Inference, InferenceRequest, Json,
    ModelType, Models, Provider, ProviderModel, RequestContext, Result, Services,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, json};

use crate::answer::answers;
use crate::checkpoint::Checkpoint;
use crate::config::{LocalModel, MistralrsConfig};
use crate::engine::{Engine, EngineSettings};
use crate::{chat, completion, error};

/// A body of more bytes than this is worked on aside, so that other requests of the thread need not wait for it.
const LARGE_BODY_BYTES: usize = 16 * 1024;

/// Runs language models in this process. See the crate's documentation.
#[derive(Debug)]
pub struct Mistralrs {
    engines: BTreeMap<String, Arc<Engine>>,
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
        let mut engines = BTreeMap::new();
        for model in &config.models {
            let engine = load(model, &config, &host).await?;
            engines.insert(model.id(), Arc::new(engine));
        }
        let provider = Arc::new(Self { engines });
        let inference: Arc<dyn Inference> = Arc::clone(&provider) as _;
        let models: Arc<dyn Models> = Arc::clone(&provider) as _;
        Ok(Services::default()
            .with_inference(inference)
            .with_models(models)
            .with_health(provider))
    }
}

async fn load(model: &LocalModel, config: &MistralrsConfig, host: &Host) -> Result<Engine> {
    let id = model.id();
    let started = Instant::now();
    let path = if model.is_demo() {
        demo_model(host).await?
    } else {
        model.path.clone()
    };
    let engine = Engine::load(EngineSettings {
        id: id.clone(),
        checkpoint: Checkpoint::find(&path)?,
        dtype: model.dtype,
        device: model.device,
        max_sequence_length: model.max_sequence_length,
        chat_template: model.chat_template.clone(),
        max_running: config.max_running,
        max_waiting: config.max_waiting,
        host: host.clone(),
    })
    .await?;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        model = id,
        milliseconds,
        context_length = engine.context_length(),
        "loaded the model"
    );
    Ok(engine)
}

/// Makes the demo model in the provider's data folder, unless it is there.
async fn demo_model(host: &Host) -> Result<PathBuf> {
    let folder = host.data_dir()?.join("puna-tiny");
    let made = tokio::task::spawn_blocking(move || puna_tiny_model::write(&folder).map(|()| folder)).await;
    made.map_err(|cause| cause.to_string())
        .and_then(|made| made.map_err(|cause| cause.to_string()))
        .map_err(|cause| Error::configuration(format!("failed to make the demo model: {cause}")))
}

impl Mistralrs {
    /// The engine of the model that a request was routed to.
    fn engine<T>(&self, request: &InferenceRequest<T>) -> Result<Arc<Engine>> {
        let id = &request.model.provider_model_id;
        self.engines.get(id).cloned().ok_or_else(|| {
            let loaded: Vec<&str> = self.engines.keys().map(String::as_str).collect();
            let loaded = loaded.join(", ");
            Error::not_found(format!("the model `{id}` is not loaded; loaded are: {loaded}"))
                .with_code("model_not_found")
                .with_param("model")
        })
    }
}

/// Reads a request and makes a plan of it. `make` is given the body and the id that the client used.
async fn plan<B, P>(
    request: InferenceRequest<B>,
    make: impl FnOnce(&B, &str) -> Result<P> + Send + 'static,
) -> Result<P>
where
    B: DeserializeOwned + Send + Sync + 'static,
    P: Send + 'static,
{
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
            Capability::Tools,
            Capability::ForcedToolChoice,
            Capability::StructuredOutput,
            Capability::Logprobs,
            Capability::Seed,
            Capability::MultipleChoices,
            Capability::Stop,
        ])
    }

    async fn chat_completion(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        let engine = self.engine(&request)?;
        let planner = Arc::clone(&engine);
        let plan = plan(request, move |body, model| chat::plan(body, model, false, &planner)).await?;
        let events = answers(Arc::clone(&engine), plan.jobs.clone()).await?;
        Ok(Json::new(chat::whole(plan, events, &engine).await?))
    }

    async fn chat_completion_stream(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        let engine = self.engine(&request)?;
        let planner = Arc::clone(&engine);
        let plan = plan(request, move |body, model| chat::plan(body, model, true, &planner)).await?;
        let events = answers(Arc::clone(&engine), plan.jobs.clone()).await?;
        Ok(chat::stream(plan, events, engine).boxed())
    }

    async fn completion(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        let engine = self.engine(&request)?;
        let planner = Arc::clone(&engine);
        let plan = plan(request, move |body, model| {
            completion::plan(body, model, false, &planner)
        })
        .await?;
        let events = answers(Arc::clone(&engine), plan.jobs.clone()).await?;
        Ok(Json::new(completion::whole(plan, events, &engine).await?))
    }

    async fn completion_stream(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        let engine = self.engine(&request)?;
        let planner = Arc::clone(&engine);
        let plan = plan(request, move |body, model| {
            completion::plan(body, model, true, &planner)
        })
        .await?;
        let events = answers(Arc::clone(&engine), plan.jobs.clone()).await?;
        Ok(completion::stream(plan, events, engine).boxed())
    }

    async fn embeddings(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        Err(Error::unsupported(format!(
            "the model `{}` makes no embeddings, it generates text",
            request.requested_model
        ))
        .with_param("model"))
    }
}

#[async_trait]
impl Models for Mistralrs {
    async fn list_models(&self, _context: &RequestContext) -> Result<Vec<ProviderModel>> {
        let models = self.engines.iter().map(|(id, engine)| ProviderModel {
            provider_model_id: id.clone(),
            model_type: ModelType::Llm,
            metadata: Map::from_iter([("context_length".to_owned(), json!(engine.context_length()))]),
        });
        Ok(models.collect())
    }

    fn changes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Health for Mistralrs {
    async fn check(&self) -> Result<()> {
        match self.engines.values().find(|engine| !engine.is_running()) {
            Some(engine) => Err(Error::unavailable(format!(
                "the engine of the model `{}` is not running",
                engine.id()
            ))),
            None => Ok(()),
        }
    }
}
