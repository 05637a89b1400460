use std::sync::Arc;

use async_trait::async_trait;
use puna_api::{
    Api, BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, ErrorKind, Health, Host, Inference,
    InferenceRequest, Json, Model, ModelType, Models, Provider, ProviderModel, RequestContext, Rerank, RerankResponse,
    RerankTask, Result, Services,
};
use puna_hub::refused;
use serde_json::{Map, json};

use crate::config::SentenceTransformersConfig;
use crate::cross_encoder::CrossEncoder;
use crate::embedder::Embedder;
use crate::load::Loaded;
use crate::loaded_models::LoadedModels;
use crate::workers::Workers;
use crate::{embeddings, job, rerank};

/// Embeds and reranks texts in this process. See the crate's documentation.
pub struct SentenceTransformers {
    models: LoadedModels,
    workers: Arc<Workers>,
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
        let workers = Arc::new(Workers::start(&config)?);
        let models = LoadedModels::load(config, Arc::clone(&workers), host).await?;
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

impl SentenceTransformers {
    async fn loaded(&self, model: &Model) -> Result<Loaded> {
        let loaded = self.models.get(&model.provider_model_id).await;
        // A model that the operator got wrong is no fault of the caller.
        loaded.map_err(|error| match error.kind() {
            ErrorKind::Configuration => Error::unavailable(error.message()).with_source(error),
            _ => error,
        })
    }

    async fn embedder(&self, model: &Model) -> Result<Arc<Embedder>> {
        match self.loaded(model).await? {
            Loaded::Embedder(embedder) => Ok(embedder),
            Loaded::CrossEncoder(_) => Err(unable(&model.id, "makes no embeddings, it reranks")),
        }
    }

    async fn cross_encoder(&self, model: &Model) -> Result<Arc<CrossEncoder>> {
        match self.loaded(model).await? {
            Loaded::CrossEncoder(encoder) => Ok(encoder),
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
        let model = self.embedder(&request.model).await?;
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
        let model = self.cross_encoder(&request.model).await?;
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
        Ok(self
            .models
            .configured()
            .map(|(id, loaded)| listed(id, loaded))
            .collect())
    }

    fn changes(&self) -> bool {
        false
    }

    async fn find_model(&self, provider_model_id: &str) -> Result<Option<ProviderModel>> {
        let loaded = self.models.try_out(provider_model_id).await.map_err(refused)?;
        Ok(Some(listed(provider_model_id, &loaded)))
    }

    fn release_model(&self, provider_model_id: &str) {
        self.models.release(provider_model_id);
    }
}

/// A model as it is listed.
fn listed(id: &str, loaded: &Loaded) -> ProviderModel {
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
        provider_model_id: id.to_owned(),
        model_type,
        metadata,
    }
}

#[async_trait]
impl Health for SentenceTransformers {
    async fn check(&self) -> Result<()> {
        // Models are tried out when they are loaded, and there is nothing that could end before the provider does.
        Ok(())
    }
}
