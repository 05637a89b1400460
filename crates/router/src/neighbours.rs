//! What vector stores use of the server that they live in.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use puna_api::{
    ChatCompletion, ChatCompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, FileProcessors, Files,
    Inference, InferenceRequest, Json, Model, ModelType, RequestContext, RerankRequest, RerankResponse, RerankTask,
    Result, VectorIo,
};
use puna_vector_stores::Surroundings;

use crate::registrations::Registrations;
use crate::registry::{Registry, Route};
use crate::routed::{no_inference, no_rerank};

/// The rest of the server, as vector stores see it.
pub(crate) struct Neighbours {
    pub(crate) registry: Arc<Registry>,
    pub(crate) registrations: Arc<Registrations>,
    pub(crate) files: Arc<OnceLock<Arc<dyn Files>>>,
}

impl Neighbours {
    pub(crate) fn files(&self) -> Result<&Arc<dyn Files>> {
        self.files.get().ok_or_else(|| {
            Error::unsupported("this server keeps no files; its configuration has no provider of the API `files`")
        })
    }

    pub(crate) fn file_processors(&self) -> Result<Arc<dyn FileProcessors>> {
        let targets = self.registry.targets();
        let found = targets
            .iter()
            .find_map(|target| target.services.file_processors.clone());
        found.ok_or_else(|| {
            Error::unsupported(
                "this server reads no documents; its configuration has no provider of the API `file_processors`",
            )
        })
    }

    /// The route of a model id. One that is not known here may have been registered with another replica.
    pub(crate) async fn route(&self, model: &str, model_type: ModelType) -> Result<Route> {
        self.registrations.look_for(model).await;
        self.registry.route_for(model, model_type)
    }

    async fn inference<T>(
        &self,
        model: &str,
        body: T,
        model_type: ModelType,
    ) -> Result<(Arc<dyn Inference>, InferenceRequest<T>)> {
        let route = self.route(model, model_type).await?;
        let inference = route.target.services.inference.clone();
        let inference = inference.ok_or_else(|| no_inference(&route.target.provider_id))?;
        let request = InferenceRequest {
            model: route.model,
            requested_model: model.into(),
            body: Json::new(body),
        };
        Ok((inference, request))
    }
}

#[async_trait]
impl Surroundings for Neighbours {
    fn files(&self) -> Result<Arc<dyn Files>> {
        self.files().cloned()
    }

    fn file_processors(&self) -> Result<Arc<dyn FileProcessors>> {
        self.file_processors()
    }

    fn vector_providers(&self) -> Vec<(String, Arc<dyn VectorIo>)> {
        let targets = self.registry.targets().into_iter();
        let found = targets.filter_map(|target| Some((target.provider_id.clone(), target.services.vector_io.clone()?)));
        found.collect()
    }

    async fn models(&self, _context: &RequestContext) -> Vec<Arc<Model>> {
        self.registrations.look_again().await;
        self.registry.models()
    }

    async fn model(&self, _context: &RequestContext, id: &str) -> Result<Arc<Model>> {
        self.registrations.look_for(id).await;
        self.registry.route(id).map(|route| route.model)
    }

    async fn embeddings(&self, context: &RequestContext, request: EmbeddingsRequest) -> Result<EmbeddingsResponse> {
        let model = request.model.clone();
        let (inference, request) = self.inference(&model, request, ModelType::Embedding).await?;
        read(&model, inference.embeddings(context, request).await?)
    }

    async fn chat_completion(
        &self,
        context: &RequestContext,
        request: ChatCompletionRequest,
    ) -> Result<ChatCompletion> {
        let model = request.model.clone();
        let (inference, request) = self.inference(&model, request, ModelType::Llm).await?;
        read(&model, inference.chat_completion(context, request).await?)
    }

    async fn rerank(&self, context: &RequestContext, request: RerankRequest) -> Result<RerankResponse> {
        let route = self.route(&request.model, ModelType::Rerank).await?;
        let rerank = route.target.services.rerank.as_ref();
        let rerank = rerank.ok_or_else(|| no_rerank(&route.target.provider_id, &request.model))?;
        let task = RerankTask {
            model: Arc::clone(&route.model),
            body: Json::new(request),
        };
        rerank.rerank(context, task).await
    }
}

/// What a provider answered, read.
fn read<T: serde::de::DeserializeOwned>(model: &str, answer: Json<T>) -> Result<T> {
    answer.into_value().map_err(|error| {
        Error::unavailable(format!("the answer of the model `{model}` cannot be read: {error}")).with_source(error)
    })
}
