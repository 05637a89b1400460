//! Loads the models of a configuration into engines.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

use async_trait::async_trait;
use puna_api::{Error, Host, Result};

use crate::checkpoint::Checkpoint;
use crate::config::{LocalModel, MistralrsConfig};
use crate::engine::{Engine, EngineSettings};
use crate::meters::Meters;
use crate::pool::{Lease, Loader};

/// An engine that stays loaded for as long as somebody has this.
pub(crate) type EngineLease = Lease<EngineLoader>;

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
        let path = if model.is_demo() {
            self.demo_folder().ok()?
        } else {
            model.path.clone()
        };
        Checkpoint::find(&path, model.uqff.as_deref()).ok()
    }

    fn demo_folder(&self) -> Result<PathBuf> {
        Ok(self.host.data_dir()?.join("puna-tiny"))
    }

    /// Makes the demo model in the provider's data folder, unless it is there.
    async fn demo_model(&self) -> Result<PathBuf> {
        let folder = self.demo_folder()?;
        let made = tokio::task::spawn_blocking(move || puna_tiny_model::write(&folder).map(|()| folder)).await;
        made.map_err(|cause| cause.to_string())
            .and_then(|made| made.map_err(|cause| cause.to_string()))
            .map_err(|cause| Error::configuration(format!("failed to make the demo model: {cause}")))
    }
}

#[async_trait]
impl Loader for EngineLoader {
    type Model = Engine;

    fn size_bytes(&self, id: &str) -> u64 {
        self.checkpoint(id).map_or(0, |checkpoint| checkpoint.weight_bytes)
    }

    async fn load(&self, id: &str) -> Result<Engine> {
        let (model, meters) = self
            .models
            .get(id)
            .ok_or_else(|| Error::internal(format!("the model `{id}` is not configured")))?;
        let started = Instant::now();
        let path = if model.is_demo() {
            self.demo_model().await?
        } else {
            model.path.clone()
        };
        let engine = Engine::load(EngineSettings {
            id: id.to_owned(),
            checkpoint: Checkpoint::find(&path, model.uqff.as_deref())?,
            dtype: model.dtype,
            device: model.device,
            max_sequence_length: model.max_sequence_length,
            chat_template: model.chat_template.clone(),
            isq: model.isq.clone(),
            uqff: model.uqff.clone(),
            max_running: model.max_running.unwrap_or(self.max_running),
            max_waiting: self.max_waiting,
            meters: meters.clone(),
            host: self.host.clone(),
        })
        .await?;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let context_length = engine.context_length();
        tracing::info!(model = id, milliseconds, context_length, "loaded the model");
        Ok(engine)
    }

    fn is_alive(engine: &Engine) -> bool {
        engine.is_running()
    }
}
