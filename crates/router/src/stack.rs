//! The Stack itself.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use puna_api::{
    Api, BoxStream, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion, CompletionRequest,
    EmbeddingsRequest, EmbeddingsResponse, Error, FileProcessors, Files, HealthStatus, Inference, InferenceRequest,
    Json, Model, ModelType, RequestContext, RerankRequest, RerankResponse, RerankTask, Result, Tasks,
};
use puna_completions::StoredCompletions;
use puna_config::Plan;
use puna_jobs::{Jobs, JobsSettings, Timing};
use puna_vector_stores::{Surroundings, VectorStores};
use serde_json::Value;

use crate::assembly::Assembly;
use crate::neighbours::Neighbours;
use crate::registration::ModelRegistration;
use crate::registrations::Registrations;
use crate::registry::Registry;
use crate::resources::Resources;
use crate::routed::{no_inference, no_rerank};
use crate::storage;
use crate::tasks::TrackedTasks;
use crate::vector_stores;

/// How long a provider may take to say how it is.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);

/// A running set of providers, and the way to them. Cheap to clone; shared by all threads of a server.
#[derive(Clone)]
pub struct Stack(Arc<Fields>);

struct Fields {
    name: String,
    registry: Arc<Registry>,
    registrations: Arc<Registrations>,
    neighbours: Arc<Neighbours>,
    vector_stores: Option<VectorStores>,
    completions: Option<Arc<StoredCompletions>>,
    entries: Vec<ProviderEntry>,
    tasks: TrackedTasks,
    storage: Arc<puna_storage::Storage>,
    state_dir: PathBuf,
}

/// A provider as the configuration has it, once for each API that it serves.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderEntry {
    /// Its id.
    pub provider_id: String,
    /// Its type, as the configuration names it.
    pub provider_type: String,
    /// The API.
    pub api: Api,
    /// Its configuration, without secrets.
    pub config: Value,
}

impl Stack {
    /// Builds every provider of the plan. Must be called on the runtime that is to run background work.
    pub async fn build(mut plan: Plan, resources: Resources) -> Result<Self> {
        let tasks = TrackedTasks::new();
        let registry = Arc::new(Registry::new(plan.models));
        let entries = plan
            .providers
            .iter()
            .flat_map(|provider| {
                provider.apis.iter().map(|api| ProviderEntry {
                    provider_id: provider.id.clone(),
                    provider_type: provider.spec.provider_type.to_owned(),
                    api: *api,
                    config: provider.shown.clone(),
                })
            })
            .collect();
        let storage = Arc::new(storage::of(&plan.storage)?);
        let background: Arc<dyn Tasks> = Arc::new(tasks.clone());
        let jobs = Jobs::new(JobsSettings {
            storage: Arc::clone(&storage),
            store: storage::jobs(&plan.storage),
            tasks: Arc::clone(&background),
            timing: Timing::default(),
        });
        let files = Arc::new(OnceLock::new());
        let assembly = Assembly {
            registry: Arc::clone(&registry),
            tasks: Arc::clone(&background),
            resources: resources.with(Arc::clone(&storage)).with(Arc::new(jobs.clone())),
            files: Arc::clone(&files),
            state_dir: plan.state_dir.clone(),
            refresh_interval: plan.server.registry_refresh_interval,
        };
        assembly.build(plan.providers).await?;
        let registrations = Registrations::new(Arc::clone(&storage), &plan.storage.registry, Arc::clone(&registry));
        let registrations = Arc::new(registrations);
        registrations.reconcile().await?;
        let neighbours = Arc::new(Neighbours {
            registry: Arc::clone(&registry),
            registrations: Arc::clone(&registrations),
            files,
        });
        let registered_stores = std::mem::take(&mut plan.vector_stores.registered);
        let vector_stores = match neighbours.vector_providers().is_empty() {
            true => None,
            false => {
                let settings = vector_stores::settings(plan.vector_stores, &plan.storage);
                let around = Arc::<Neighbours>::clone(&neighbours);
                Some(VectorStores::new(settings, Arc::clone(&storage), jobs.clone(), around)?)
            }
        };
        let completions = storage::completions(&plan.storage, &storage)?.map(|settings| {
            let completions = Arc::new(StoredCompletions::new(settings));
            completions.keep_written(&tasks);
            completions
        });
        // Whoever runs jobs has said so by now.
        jobs.start()?;
        if let Some(vector_stores) = &vector_stores {
            vector_stores.keep_swept(&background);
            vector_stores::register(vector_stores.clone(), registered_stores, &background);
        }
        Ok(Self(Arc::new(Fields {
            name: plan.name,
            registry,
            registrations,
            neighbours,
            vector_stores,
            completions,
            entries,
            tasks,
            storage,
            state_dir: plan.state_dir,
        })))
    }

    /// The name of the distribution.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The model of this id. Fails as not found, with near names, when there is none.
    pub async fn model(&self, _context: &RequestContext, id: &str) -> Result<Arc<Model>> {
        self.0.registrations.look_for(id).await;
        self.0.registry.route(id).map(|route| route.model)
    }

    /// Calls `f` with the id of the provider that a model id leads to and, if it is registered or listed, the model id: for measurements,
    /// which must not make a series of every name that a provider may or may not know. `None` where the id leads nowhere.
    pub fn with_model_place<R>(&self, id: &str, f: impl FnOnce(&str, Option<&str>) -> R) -> Option<R> {
        let (target, is_listed) = self.0.registry.place(id)?;
        Some(f(&target.provider_id, is_listed.then_some(id)))
    }

    /// Every model that is registered or listed, ordered by id.
    pub async fn models(&self, _context: &RequestContext) -> Vec<Arc<Model>> {
        self.0.registrations.look_again().await;
        self.0.registry.models()
    }

    /// Registers a model, for this server, those over the same storage, and those that come after it. Fails as an invalid request that names
    /// the field, or as a conflict when another model has the id.
    pub async fn register_model(
        &self,
        _context: &RequestContext,
        registration: ModelRegistration,
    ) -> Result<Arc<Model>> {
        self.0.registrations.register(registration).await
    }

    /// Takes back what [`register_model`](Self::register_model) did. Models of the configuration, and those that providers list, stay.
    pub async fn unregister_model(&self, _context: &RequestContext, id: &str) -> Result<()> {
        self.0.registrations.unregister(id).await
    }

    /// The files of the server. Fails as unsupported where no provider keeps any.
    pub fn files(&self) -> Result<&Arc<dyn Files>> {
        self.0.neighbours.files()
    }

    /// What reads documents. Fails as unsupported where no provider does.
    pub fn file_processors(&self) -> Result<Arc<dyn FileProcessors>> {
        self.0.neighbours.file_processors()
    }

    /// The vector stores of the server. Fails as unsupported where no provider keeps any.
    pub fn vector_stores(&self) -> Result<&VectorStores> {
        self.0.vector_stores.as_ref().ok_or_else(|| {
            Error::unsupported(
                "this server keeps no vector stores; its configuration has no provider of the API `vector_io`",
            )
        })
    }

    /// The chat completions that the server keeps; none where the configuration switches that off, or has no backend for it.
    pub fn completions(&self) -> Option<&Arc<StoredCompletions>> {
        self.0.completions.as_ref()
    }

    /// An empty file on the disk of the server's state, for what is too large to hold. It has no name, and goes when it is closed.
    pub async fn scratch_file(&self) -> Result<File> {
        let folder = self.0.state_dir.clone();
        let made = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            tempfile::tempfile_in(folder)
        });
        let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::unavailable("the server has no room on its disk to work on a file").with_source(cause)
        };
        made.await
            .map_err(|error| failed(error.into()))?
            .map_err(|error| failed(error.into()))
    }

    /// Every provider, in the order of the configuration.
    pub fn providers(&self) -> &[ProviderEntry] {
        &self.0.entries
    }

    /// How a provider is, with the reason where it is not well; `None` when there is no such provider.
    pub async fn health(&self, provider_id: &str) -> Option<(HealthStatus, Option<String>)> {
        let target = self
            .0
            .registry
            .targets()
            .into_iter()
            .find(|target| target.provider_id == provider_id)?;
        let Some(health) = &target.services.health else {
            return Some((HealthStatus::NotImplemented, None));
        };
        Some(match tokio::time::timeout(HEALTH_PATIENCE, health.check()).await {
            Ok(Ok(())) => (HealthStatus::Ok, None),
            Ok(Err(error)) => (HealthStatus::Error, Some(error.message().to_owned())),
            Err(_) => (
                HealthStatus::Error,
                Some(format!("no answer within {} seconds", HEALTH_PATIENCE.as_secs())),
            ),
        })
    }

    async fn inference<T>(
        &self,
        model: &str,
        body: Json<T>,
        model_type: ModelType,
    ) -> Result<(Arc<dyn Inference>, InferenceRequest<T>)> {
        let route = self.0.neighbours.route(model, model_type).await?;
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
                requested_model: model.into(),
                body,
            },
        ))
    }

    /// Answers a conversation. `model` is the id in the body.
    pub async fn chat_completion(
        &self,
        context: &RequestContext,
        model: &str,
        body: Json<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        let (inference, request) = self.inference(model, body, ModelType::Llm).await?;
        inference.chat_completion(context, request).await
    }

    /// Answers a conversation piece by piece.
    pub async fn chat_completion_stream(
        &self,
        context: &RequestContext,
        model: &str,
        body: Json<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        let (inference, request) = self.inference(model, body, ModelType::Llm).await?;
        inference.chat_completion_stream(context, request).await
    }

    /// Continues a text.
    pub async fn completion(
        &self,
        context: &RequestContext,
        model: &str,
        body: Json<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        let (inference, request) = self.inference(model, body, ModelType::Llm).await?;
        inference.completion(context, request).await
    }

    /// Continues a text piece by piece.
    pub async fn completion_stream(
        &self,
        context: &RequestContext,
        model: &str,
        body: Json<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        let (inference, request) = self.inference(model, body, ModelType::Llm).await?;
        inference.completion_stream(context, request).await
    }

    /// Turns texts into vectors.
    pub async fn embeddings(
        &self,
        context: &RequestContext,
        model: &str,
        body: Json<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        let (inference, request) = self.inference(model, body, ModelType::Embedding).await?;
        inference.embeddings(context, request).await
    }

    /// Orders documents by relevance.
    pub async fn rerank(
        &self,
        context: &RequestContext,
        model: &str,
        body: Json<RerankRequest>,
    ) -> Result<RerankResponse> {
        let route = self.0.neighbours.route(model, ModelType::Rerank).await?;
        let rerank = route.target.services.rerank.as_ref();
        let rerank = rerank.ok_or_else(|| no_rerank(&route.target.provider_id, model))?;
        rerank
            .rerank(
                context,
                RerankTask {
                    model: Arc::clone(&route.model),
                    body,
                },
            )
            .await
    }

    /// Ends background work, waiting this long for it. Requests must have ended before.
    pub async fn shutdown(&self, grace: Duration) {
        if !self.0.tasks.end(grace).await {
            tracing::warn!("background work did not end within {grace:?}");
        }
        if tokio::time::timeout(grace, self.0.storage.close()).await.is_err() {
            tracing::warn!("the storage was not closed within {grace:?}");
        }
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}
