//! Models that are registered while a server runs, kept for the servers after it and beside it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use puna_api::{Error, Model, ModelType, Result};
use puna_config::{ModelPlan, StorePlan};
use puna_storage::{KvReference, KvStore, Storage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use crate::registration::ModelRegistration;
use crate::registry::{Added, Registry, taken};

/// What is known may be this old when somebody asks for what is not known.
const FRESH: Duration = Duration::from_millis(100);
/// How many entries are read at once.
const PAGE: u32 = 500;
/// The keys of models start with it.
const MODELS: &str = "models/";

/// The registered models in the storage, which is not opened before the first is registered.
pub(crate) struct Registrations {
    storage: Arc<Storage>,
    reference: KvReference,
    registry: Arc<Registry>,
    store: OnceCell<KvStore>,
    read_at: Mutex<Option<Instant>>,
    fresh: Duration,
    /// Held while something changes, and while the storage is read.
    changing: tokio::sync::Mutex<()>,
}

/// A model in the storage, under its id.
#[derive(Debug, Serialize, Deserialize)]
struct StoredModel {
    /// What was asked for.
    asked: StoredRegistration,
    /// What was made of it.
    provider_id: String,
    provider_model_id: Option<String>,
    model_type: ModelType,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// What was asked for, beside the id.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct StoredRegistration {
    provider_id: Option<String>,
    provider_model_id: Option<String>,
    model_type: Option<ModelType>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

impl Registrations {
    pub(crate) fn new(storage: Arc<Storage>, store: &StorePlan, registry: Arc<Registry>) -> Self {
        Self {
            storage,
            reference: KvReference {
                backend: Some(store.backend.clone()),
                namespace: Some(store.namespace.clone()),
            },
            registry,
            store: OnceCell::new(),
            read_at: Mutex::default(),
            fresh: FRESH,
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Reads what servers before this one have registered. What the configuration registers now wins for good.
    pub(crate) async fn reconcile(&self) -> Result<()> {
        let _changing = self.changing.lock().await;
        let Some(stored) = self.read().await? else {
            return Ok(());
        };
        let is_configured = |added: &&Added| self.registry.is_configured(&added.plan.model_id);
        for Added { plan, .. } in stored.iter().filter(is_configured) {
            tracing::info!(
                model = plan.model_id,
                "the configuration has a model of this id; the one that was registered goes"
            );
            self.store().await?.delete(&key(&plan.model_id)).await?;
        }
        self.registry.set_added(stored);
        Ok(())
    }

    /// Registers a model: durably, and then for requests.
    pub(crate) async fn register(&self, registration: ModelRegistration) -> Result<Arc<Model>> {
        let id = registration.model_id.clone();
        let _changing = self.changing.lock().await;
        let found = self.registry.find(&registration).await?;
        if let Some(added) = self.registry.check(registration, found.as_ref())? {
            let stored = StoredModel::from(&added);
            let value = serde_json::to_vec(&stored)
                .map_err(|error| Error::internal("a registration has no JSON form").with_source(error))?;
            let store = self.store().await?;
            if store.compare_and_set(&key(&id), None, value).await?.is_none() {
                // Another replica was first; that it did the same is as good.
                let there = store.get(&key(&id)).await?;
                let is_same = there.is_some_and(|entry| {
                    serde_json::from_slice::<StoredModel>(&entry.value).is_ok_and(|there| there.asked == stored.asked)
                });
                if !is_same {
                    return Err(taken(&id));
                }
            }
            self.registry.add(added);
        }
        self.registry.route(&id).map(|route| route.model)
    }

    /// Takes a registration back.
    pub(crate) async fn unregister(&self, id: &str) -> Result<()> {
        self.look_for(id).await;
        let _changing = self.changing.lock().await;
        self.registry.check_added(id)?;
        self.store().await?.delete(&key(id)).await?;
        self.registry.remove(id);
        Ok(())
    }

    /// Reads again, unless it was just done, if there is nothing of this id.
    pub(crate) async fn look_for(&self, id: &str) {
        if !self.registry.knows(id) {
            self.look_again().await;
        }
    }

    /// Reads again, unless it was just done, or is being done. What cannot be read leaves what is known as it is.
    pub(crate) async fn look_again(&self) {
        let is_fresh = || {
            let read_at = *self.read_at.lock().unwrap_or_else(PoisonError::into_inner);
            read_at.is_some_and(|at| at.elapsed() < self.fresh)
        };
        if is_fresh() {
            return;
        }
        let Ok(_changing) = self.changing.try_lock() else {
            return;
        };
        match self.read().await {
            Ok(Some(stored)) => self.registry.set_added(stored),
            Ok(None) => {}
            Err(error) => tracing::warn!(error = ?error, "failed to read the registered models again"),
        }
    }

    /// Everything in the storage; `None` where there cannot be anything.
    async fn read(&self) -> Result<Option<Vec<Added>>> {
        // Noted first, so that a storage that cannot be reached is not asked by every request.
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if self.store.get().is_none() && !self.storage.may_hold_kv(&self.reference)? {
            return Ok(None);
        }
        let store = self.store().await?;
        let mut read = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = store.list(MODELS, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            after = page.last().map(|entry| entry.key.clone());
            for entry in page {
                let id = entry.key.strip_prefix(MODELS).unwrap_or_default();
                match serde_json::from_slice::<StoredModel>(&entry.value) {
                    Ok(stored) => read.push(stored.into_added(id)),
                    Err(error) => {
                        tracing::warn!(%error, model = id, "a registered model cannot be read, and is left out");
                    }
                }
            }
            if is_last {
                return Ok(Some(read));
            }
        }
    }

    async fn store(&self) -> Result<&KvStore> {
        self.store
            .get_or_try_init(|| self.storage.kv(&self.reference, "registry"))
            .await
    }
}

impl From<&Added> for StoredModel {
    fn from(Added { registration, plan }: &Added) -> Self {
        Self {
            asked: StoredRegistration {
                provider_id: registration.provider_id.clone(),
                provider_model_id: registration.provider_model_id.clone(),
                model_type: registration.model_type,
                metadata: registration.metadata.clone(),
            },
            provider_id: plan.provider_id.clone(),
            provider_model_id: plan.provider_model_id.clone(),
            model_type: plan.model_type,
            metadata: plan.metadata.clone(),
        }
    }
}

impl StoredModel {
    fn into_added(self, id: &str) -> Added {
        Added {
            registration: ModelRegistration {
                model_id: id.to_owned(),
                provider_id: self.asked.provider_id,
                provider_model_id: self.asked.provider_model_id,
                model_type: self.asked.model_type,
                metadata: self.asked.metadata,
            },
            plan: ModelPlan {
                model_id: id.to_owned(),
                provider_id: self.provider_id,
                provider_model_id: self.provider_model_id,
                model_type: self.model_type,
                metadata: self.metadata,
                model_validation: None,
            },
        }
    }
}

fn key(id: &str) -> String {
    format!("{MODELS}{id}")
}

#[cfg(test)]
mod tests {
    use puna_api::{ErrorKind, ProviderModel, Services};

    use super::*;
    use crate::registry::Target;

    /// A server over a folder, with the models that its configuration registers.
    struct Server {
        registry: Arc<Registry>,
        registrations: Registrations,
    }

    async fn server(folder: &std::path::Path, configured: &[&str]) -> Server {
        let plan = |id: &&str| ModelPlan {
            model_id: (*id).to_owned(),
            provider_id: "vllm".to_owned(),
            provider_model_id: Some("configured".to_owned()),
            model_type: ModelType::Llm,
            metadata: Map::new(),
            model_validation: None,
        };
        let plans = configured.iter().map(plan).collect();
        let registry = Arc::new(Registry::new(plans));
        registry.add_target(Target {
            provider_id: "vllm".to_owned(),
            lists_all: false,
            services: Services::default(),
        });
        registry.set_listed("vllm", vec![ProviderModel::default()]);
        let store = StorePlan {
            backend: "kv_default".to_owned(),
            namespace: "registry".to_owned(),
        };
        let mut registrations = Registrations::new(Arc::new(Storage::in_folder(folder)), &store, Arc::clone(&registry));
        registrations.fresh = Duration::ZERO;
        registrations.reconcile().await.unwrap();
        Server {
            registry,
            registrations,
        }
    }

    fn registration(id: &str, provider_model_id: &str) -> ModelRegistration {
        ModelRegistration {
            model_id: id.to_owned(),
            provider_model_id: Some(provider_model_id.to_owned()),
            ..ModelRegistration::default()
        }
    }

    #[tokio::test]
    async fn a_registration_outlives_its_server() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let first = server(&state, &[]).await;
        first.registrations.look_for("nothing").await;
        assert!(!state.exists(), "something was opened before anything was registered");
        let model = first.registrations.register(registration("mine", "a")).await.unwrap();
        first.registrations.register(registration("gone", "a")).await.unwrap();
        first.registrations.unregister("gone").await.unwrap();

        let second = server(&state, &[]).await;
        assert_eq!(second.registry.route("mine").unwrap().model, model);
        assert!(second.registry.route("gone").is_err());
        assert_eq!(
            second.registrations.register(registration("mine", "a")).await.unwrap(),
            model
        );
        let error = second
            .registrations
            .register(registration("mine", "b"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }

    #[tokio::test]
    async fn servers_over_one_storage_see_each_others_models() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (server(folder.path(), &[]).await, server(folder.path(), &[]).await);
        one.registrations.register(registration("mine", "a")).await.unwrap();
        other.registrations.look_for("mine").await;
        assert_eq!(other.registry.route("mine").unwrap().model.provider_model_id, "a");
        // Neither knows what the other does in this moment, and the storage decides.
        one.registrations.register(registration("both", "a")).await.unwrap();
        let error = other
            .registrations
            .register(registration("both", "b"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        other.registrations.register(registration("both", "a")).await.unwrap();
    }

    #[tokio::test]
    async fn the_configuration_wins() {
        let folder = tempfile::tempdir().unwrap();
        let first = server(folder.path(), &[]).await;
        first.registrations.register(registration("mine", "a")).await.unwrap();
        let second = server(folder.path(), &["mine"]).await;
        let shown = |server: &Server| server.registry.route("mine").unwrap().model.provider_model_id.clone();
        assert_eq!(shown(&second), "configured");
        assert!(second.registrations.unregister("mine").await.is_err());
        // For good: it is not there any more when the configuration has no such model.
        let third = server(folder.path(), &[]).await;
        assert!(third.registry.route("mine").is_err());
    }
}
