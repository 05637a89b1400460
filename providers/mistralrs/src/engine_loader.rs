//! Loads the models of a configuration into engines.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use puna_api::{Error, Host, Result};
use puna_hub::{Cache, check_registrable};

use crate::checkpoint::Checkpoint;
use crate::config::{LocalModel, MistralrsConfig, Registrable};
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

/// Loads the models of a configuration, and those that may be registered besides.
#[derive(Debug)]
pub(crate) struct EngineLoader {
    models: BTreeMap<String, (LocalModel, Meters)>,
    registrable: Registrable,
    max_running: NonZeroUsize,
    turn: Option<Duration>,
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
            registrable: config.registrable,
            max_running: config.max_running,
            turn: config.turn,
            max_waiting: config.max_waiting,
            host,
        }
    }

    /// The ids of the models of the configuration.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// A model of the configuration, or one that may be registered.
    fn model(&self, id: &str) -> Result<Cow<'_, LocalModel>> {
        match self.models.get(id) {
            Some((model, _)) => Ok(Cow::Borrowed(model)),
            None => self.registrable(id).map(Cow::Owned),
        }
    }

    /// A model that is not in the configuration, and may be registered.
    fn registrable(&self, id: &str) -> Result<LocalModel> {
        let configured = self
            .models
            .iter()
            .map(|(id, (model, _))| (id.as_str(), model.path.as_path()));
        check_registrable(id, &self.registrable.folders, configured)?;
        Ok(self.registrable.model(id))
    }

    /// The files of a model, sound as far as names and headers tell.
    pub(crate) fn checkpoint(&self, id: &str) -> Result<Checkpoint> {
        let model = self.model(id)?;
        Checkpoint::find(&self.path(&model)?, model.uqff.as_deref())
    }

    /// The files of a model that is not in the configuration, and may be registered.
    pub(crate) async fn find(&self, id: &str) -> Result<Checkpoint> {
        let path = self.path(&self.registrable(id)?)?;
        tokio::task::spawn_blocking(move || Checkpoint::find(&path, None))
            .await
            .map_err(|cause| Error::internal("the model's files were not looked at to the end").with_source(cause))?
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

    fn idle_timeout(&self, id: &str) -> Result<Option<Duration>> {
        self.model(id).map(|model| model.idle_timeout)
    }

    fn size_bytes(&self, id: &str) -> u64 {
        self.checkpoint(id).map_or(0, |checkpoint| checkpoint.weight_bytes)
    }

    async fn load(&self, id: &str) -> Result<LoadedModel> {
        let model = self.model(id)?;
        let meters = match self.models.get(id) {
            Some((_, meters)) => meters.clone(),
            None => Meters::new(self.host.provider_id(), id),
        };
        let started = Instant::now();
        let path = self.path(&model)?;
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
            turn: self.turn,
            max_waiting: self.max_waiting,
            meters,
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
