//! Loads the models of a configuration into engines.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use puna_api::{Error, Host, Result};
use puna_hub::Cache;

use crate::checkpoint::Checkpoint;
use crate::config::{LocalModel, MistralrsConfig};
use crate::engine::{Embedder, Engine, EngineSettings};
use crate::meters::Meters;
use crate::pool::{Lease, Loader};

/// A loaded model, by what it is for.
pub(crate) enum LoadedModel {
    /// It generates text.
    Language(Arc<Engine>),
    /// It turns texts into vectors.
    Embedding(Arc<Embedder>),
}

/// An engine that stays loaded for as long as somebody has this. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EngineLease {
    engine: Arc<Engine>,
    _lease: Lease<EngineLoader>,
}

impl EngineLease {
    /// The engine of a model that generates text; none of another one.
    pub(crate) fn of(lease: &Lease<EngineLoader>) -> Option<Self> {
        match &**lease {
            LoadedModel::Language(engine) => Some(Self {
                engine: Arc::clone(engine),
                _lease: lease.clone(),
            }),
            LoadedModel::Embedding(_) => None,
        }
    }
}

impl Deref for EngineLease {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl LoadedModel {
    /// The most tokens that it takes.
    pub(crate) fn context_length(&self) -> usize {
        match self {
            Self::Language(engine) => engine.context_length(),
            Self::Embedding(embedder) => embedder.context_length(),
        }
    }
}

/// Loads the models of a configuration.
#[derive(Debug)]
pub(crate) struct EngineLoader {
    models: BTreeMap<String, (LocalModel, Meters)>,
    max_running: NonZeroUsize,
    max_waiting: usize,
    host: Host,
}

impl EngineLoader {
    pub(crate) fn new(config: MistralrsConfig, host: Host) -> Self {
        let meters = |model: &LocalModel| Meters::new(host.provider_id(), &model.id());
        Self {
            models: config
                .models
                .into_iter()
                .map(|model| {
                    let meters = meters(&model);
                    (model.id(), (model, meters))
                })
                .collect(),
            max_running: config.max_running,
            max_waiting: config.max_waiting,
            host,
        }
    }

    /// The files of a model, as far as they are there.
    pub(crate) fn checkpoint(&self, id: &str) -> Option<Checkpoint> {
        let (model, _) = self.models.get(id)?;
        let path = self.path(model).ok()?;
        Checkpoint::find(&path, model.uqff.as_deref()).ok()
    }

    /// Where the files of a model are, or for the demo model, will be.
    fn path(&self, model: &LocalModel) -> Result<PathBuf> {
        if model.is_demo() {
            return Ok(self.host.data_dir()?.join("puna-tiny"));
        }
        let Some(name) = model.hub_name()? else {
            return Ok(model.path.clone());
        };
        let cache = self.host.resource::<Cache>().ok_or_else(|| {
            Error::configuration(format!(
                "the model `{name}` cannot be found: this server has no cache of models"
            ))
        })?;
        cache
            .find(&name)
            .map_err(|cause| Error::configuration(cause.message()).with_source(cause))
    }

    /// Makes the demo model, unless it is there.
    async fn make_demo_model(&self, folder: PathBuf) -> Result<()> {
        let made = tokio::task::spawn_blocking(move || puna_tiny_model::write(&folder)).await;
        made.map_err(|cause| cause.to_string())
            .and_then(|made| made.map_err(|cause| cause.to_string()))
            .map_err(|cause| Error::configuration(format!("failed to make the demo model: {cause}")))
    }
}

#[async_trait]
impl Loader for EngineLoader {
    type Model = LoadedModel;

    fn size_bytes(&self, id: &str) -> u64 {
        self.checkpoint(id).map_or(0, |checkpoint| checkpoint.weight_bytes)
    }

    async fn load(&self, id: &str) -> Result<LoadedModel> {
        let (model, meters) = self
            .models
            .get(id)
            .ok_or_else(|| Error::internal(format!("the model `{id}` is not configured")))?;
        let started = Instant::now();
        let path = self.path(model)?;
        if model.is_demo() {
            self.make_demo_model(path.clone()).await?;
        }
        let checkpoint = Checkpoint::find(&path, model.uqff.as_deref())?;
        let embeds = checkpoint.embeds;
        let settings = EngineSettings {
            id: id.to_owned(),
            checkpoint,
            dtype: model.dtype,
            device: model.device,
            max_sequence_length: model.max_sequence_length,
            chat_template: model.chat_template.clone(),
            isq: model.isq.clone(),
            uqff: model.uqff.clone(),
            paged_attention: model.paged_attention,
            kv_cache: model.kv_cache.unwrap_or_default(),
            max_running: model.max_running.unwrap_or(self.max_running),
            max_waiting: self.max_waiting,
            meters: meters.clone(),
            host: self.host.clone(),
        };
        let loaded = if embeds {
            LoadedModel::Embedding(Arc::new(Embedder::load(settings).await?))
        } else {
            LoadedModel::Language(Arc::new(Engine::load(settings).await?))
        };
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let context_length = loaded.context_length();
        tracing::info!(model = id, milliseconds, context_length, "loaded the model");
        Ok(loaded)
    }

    fn is_alive(model: &LoadedModel) -> bool {
        match model {
            LoadedModel::Language(engine) => engine.is_running(),
            LoadedModel::Embedding(embedder) => embedder.is_running(),
        }
    }
}
