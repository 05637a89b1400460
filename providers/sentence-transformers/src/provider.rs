use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use puna_api::{
    Api, BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, Health, Host, Inference, InferenceRequest, Json,
    Model, ModelType, Models, Provider, ProviderModel, RequestContext, Rerank, RerankResponse, RerankTask, Result,
    Services,
};
use puna_hub::{Cache, ModelName};
use serde_json::{Map, json};

use crate::config::{Demo, LocalModel, SentenceTransformersConfig};
use crate::cross_encoder::CrossEncoder;
use crate::embedder::Embedder;
use crate::load::{Loaded, load};
use crate::workers::Workers;
use crate::{embeddings, job, rerank};

/// Embeds and reranks texts in this process. See the crate's documentation.
pub struct SentenceTransformers {
    models: BTreeMap<String, Loaded>,
    workers: Workers,
}

impl Provider for SentenceTransformers {
    const TYPE: &'static str = "inline::sentence-transformers";
    const SUMMARY: &'static str = "Embeds and reranks texts in this process, with models of the BERT family.";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = SentenceTransformersConfig;

    fn sample() -> SentenceTransformersConfig {
        SentenceTransformersConfig::default()
    }

    fn validate(config: &SentenceTransformersConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: SentenceTransformersConfig, host: Host) -> Result<Services> {
        let workers = Workers::start(&config)?;
        let mut models = BTreeMap::new();
        for model in &config.models {
            let loaded = load_aside(&workers, model, &host).await?;
            models.insert(model.id(), loaded);
        }
        let provider = Arc::new(Self { models, workers });
        let inference: Arc<dyn Inference> = Arc::clone(&provider) as _;
        let reranking: Arc<dyn Rerank> = Arc::clone(&provider) as _;
        let models: Arc<dyn Models> = Arc::clone(&provider) as _;
        Ok(Services::default()
            .with_inference(inference)
            .with_rerank(reranking)
            .with_models(models)
            .with_health(provider))
    }
}

/// Loads a model on the threads that compute.
async fn load_aside(workers: &Workers, model: &LocalModel, host: &Host) -> Result<Loaded> {
    let started = Instant::now();
    let source = Source::of(model, host)?;
    let task = model.clone();
    let turn = workers.another_turn().await?;
    let loaded = workers.run(turn, move |_| load(&task, &source.folder()?)).await?;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(model = model.id(), milliseconds, "loaded the model");
    Ok(loaded)
}

/// Where a model comes from.
enum Source {
    Folder(PathBuf),
    /// A model of the hub, by its name.
    Hub(Arc<Cache>, ModelName),
    /// A demo model, which is made in the provider's data folder unless it is there.
    Demo(Demo, PathBuf),
}

impl Source {
    fn of(model: &LocalModel, host: &Host) -> Result<Self> {
        if let Some(demo) = model.demo() {
            return Ok(Self::Demo(demo, host.data_dir()?.to_owned()));
        }
        let Some(name) = model.hub_name()? else {
            return Ok(Self::Folder(model.path.clone()));
        };
        let cache = host.resource::<Cache>().ok_or_else(|| {
            Error::configuration(format!(
                "the model `{name}` cannot be found: this server has no cache of models"
            ))
        })?;
        Ok(Self::Hub(cache, name))
    }

    fn folder(self) -> Result<PathBuf> {
        let made = match self {
            Self::Folder(folder) => return Ok(folder),
            Self::Hub(cache, name) => {
                return cache
                    .find(&name)
                    .map_err(|cause| Error::configuration(cause.message()).with_source(cause));
            }
            Self::Demo(Demo::Embedding, folder) => {
                let folder = folder.join("puna-tiny-embed");
                puna_tiny_model::write_embedding(&folder).map(|()| folder)
            }
            Self::Demo(Demo::Rerank, folder) => {
                let folder = folder.join("puna-tiny-rerank");
                puna_tiny_model::write_reranker(&folder).map(|()| folder)
            }
        };
        made.map_err(|cause| Error::configuration(format!("failed to make the demo model: {cause}")))
    }
}

impl SentenceTransformers {
    fn find(&self, model: &Model) -> Result<&Loaded> {
        let id = &model.provider_model_id;
        self.models.get(id).ok_or_else(|| {
            let loaded: Vec<&str> = self.models.keys().map(String::as_str).collect();
            let loaded = loaded.join(", ");
            Error::not_found(format!("the model `{id}` is not loaded; loaded are: {loaded}"))
                .with_code("model_not_found")
                .with_param("model")
        })
    }

    fn embedder(&self, model: &Model) -> Result<Arc<Embedder>> {
        match self.find(model)? {
            Loaded::Embedder(embedder) => Ok(Arc::clone(embedder)),
            Loaded::CrossEncoder(_) => Err(unable(&model.id, "makes no embeddings, it reranks")),
        }
    }

    fn cross_encoder(&self, model: &Model) -> Result<Arc<CrossEncoder>> {
        match self.find(model)? {
            Loaded::CrossEncoder(encoder) => Ok(Arc::clone(encoder)),
            Loaded::Embedder(_) => Err(unable(&model.id, "does not rerank, it makes embeddings")),
        }
    }
}

fn unable(model: &str, does: &str) -> Error {
    Error::unsupported(format!("the model `{model}` {does}")).with_param("model")
}

fn no_text<T>(request: &InferenceRequest<T>) -> Error {
    unable(
        &request.requested_model,
        "generates no text, it makes embeddings or reranks",
    )
}

#[async_trait]
impl Inference for SentenceTransformers {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(&[Capability::Embeddings, Capability::EmbeddingDimensions])
    }

    async fn chat_completion(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        Err(no_text(&request))
    }

    async fn chat_completion_stream(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        Err(no_text(&request))
    }

    async fn completion(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        Err(no_text(&request))
    }

    async fn completion_stream(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        Err(no_text(&request))
    }

    async fn embeddings(
        &self,
        _context: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        let model = self.embedder(&request.model)?;
        let body = request.body;
        let (vectors, form) = job::work(&self.workers, move |abandoned| {
            embeddings::plan(body.get()?, &model, abandoned)
        })
        .await?;
        Ok(Json::new(embeddings::answer(&request.requested_model, vectors, form)))
    }
}

#[async_trait]
impl Rerank for SentenceTransformers {
    async fn rerank(&self, _context: &RequestContext, request: RerankTask) -> Result<RerankResponse> {
        let model = self.cross_encoder(&request.model)?;
        let body = request.body;
        let (scores, most) = job::work(&self.workers, move |abandoned| {
            rerank::plan(body.get()?, &model, abandoned)
        })
        .await?;
        Ok(rerank::answer(scores, most))
    }
}

#[async_trait]
impl Models for SentenceTransformers {
    async fn list_models(&self, _context: &RequestContext) -> Result<Vec<ProviderModel>> {
        let models = self.models.iter().map(|(id, loaded)| {
            let (model_type, metadata) = match loaded {
                Loaded::Embedder(model) => (
                    ModelType::Embedding,
                    Map::from_iter([
                        ("embedding_dimension".to_owned(), json!(model.dimension())),
                        ("context_length".to_owned(), json!(model.max_tokens())),
                    ]),
                ),
                Loaded::CrossEncoder(model) => (
                    ModelType::Rerank,
                    Map::from_iter([("context_length".to_owned(), json!(model.max_tokens()))]),
                ),
            };
            ProviderModel {
                provider_model_id: id.clone(),
                model_type,
                metadata,
            }
        });
        Ok(models.collect())
    }

    fn changes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Health for SentenceTransformers {
    async fn check(&self) -> Result<()> {
        // Models are tried out when they are loaded, and there is nothing that could end before the provider does.
        Ok(())
    }
}
