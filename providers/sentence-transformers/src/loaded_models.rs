//! The models that are loaded: those of the configuration from the start on, those that were registered from their first use on.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use puna_api::{Error, Host, Result};
use puna_hub::{Cache, ModelName, check_registrable};
use tokio::sync::OnceCell;

use crate::config::{Demo, LocalModel, Registrable, SentenceTransformersConfig};
use crate::load::{Loaded, load};
use crate::workers::Workers;

/// All models.
pub(crate) struct LoadedModels {
    configured: BTreeMap<String, (LocalModel, Loaded)>,
    registered: Mutex<HashMap<String, Arc<OnceCell<Loaded>>>>,
    registrable: Registrable,
    workers: Arc<Workers>,
    host: Host,
}

impl LoadedModels {
    /// Loads the models of a configuration.
    pub(crate) async fn load(config: SentenceTransformersConfig, workers: Arc<Workers>, host: Host) -> Result<Self> {
        let mut configured = BTreeMap::new();
        for model in config.models {
            let loaded = load_aside(&model, &workers, &host).await?;
            configured.insert(model.id(), (model, loaded));
        }
        Ok(Self {
            configured,
            registered: Mutex::default(),
            registrable: config.registrable,
            workers,
            host,
        })
    }

    /// The models of the configuration.
    pub(crate) fn configured(&self) -> impl Iterator<Item = (&str, &Loaded)> {
        self.configured.iter().map(|(id, (_, loaded))| (id.as_str(), loaded))
    }

    /// A model of the configuration, or one that may be registered, which is loaded once for all who ask for it.
    pub(crate) async fn get(&self, id: &str) -> Result<Loaded> {
        if let Some((_, loaded)) = self.configured.get(id) {
            return Ok(loaded.clone());
        }
        let model = self.registrable(id)?;
        let cell = Arc::clone(self.registered().entry(id.to_owned()).or_default());
        let loaded = cell
            .get_or_try_init(|| load_aside(&model, &self.workers, &self.host))
            .await?;
        Ok(loaded.clone())
    }

    /// Loads a model that may be registered, to see that it works and what it is.
    pub(crate) async fn try_out(&self, id: &str) -> Result<Loaded> {
        load_aside(&self.registrable(id)?, &self.workers, &self.host).await
    }

    /// Forgets a model that was registered. It is gone when the last of those who use it are done.
    pub(crate) fn release(&self, id: &str) {
        self.registered().remove(id);
    }

    fn registered(&self) -> MutexGuard<'_, HashMap<String, Arc<OnceCell<Loaded>>>> {
        self.registered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A model that is not in the configuration, and may be registered.
    fn registrable(&self, id: &str) -> Result<LocalModel> {
        let configured = self
            .configured
            .iter()
            .map(|(id, (model, _))| (id.as_str(), model.path.as_path()));
        check_registrable(id, &self.registrable.folders, configured)?;
        Ok(Registrable::model(id))
    }
}

/// Loads a model on the threads that compute.
async fn load_aside(model: &LocalModel, workers: &Workers, host: &Host) -> Result<Loaded> {
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
