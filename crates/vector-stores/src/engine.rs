//! The engine.

mod attributes;
mod batches;
mod chunks;
mod deletion;
mod documents;
mod files;
mod ingestion;
mod kept_documents;
mod ranking;
mod removal;
mod rewriting;
mod search;
mod stores;
mod sweep;
mod trim;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use puna_api::{Error, RequestContext, Result, Tasks, VectorIo};
use puna_jobs::{Jobs, NewJob};
use puna_storage::{Storage, Transaction};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::meters::Meters;
use crate::tables::{StoreRow, Tables};
use crate::{Surroundings, VectorStoreSettings};

/// What the tables are called by default.
const TABLE: &str = "vector_stores";

/// Every vector store of a server, or of several servers over one storage. Cheap to clone.
///
/// Missing stores, files and batches are not-found errors that name `vector_store_id`, `file_id` or `batch_id`. A store whose time has come can
/// be read, renamed and deleted; the rest is a conflict.
///
/// # Behavior
/// - What was acknowledged survives a crash: a store, a file to be ingested, its end, a deletion.
/// - Every file reaches a final status as long as a server comes up again.
/// - Counts are those of the files as they are in this moment.
/// - A search answers chunks of files that are complete, and of no others.
#[derive(Clone)]
pub struct VectorStores(Arc<Fields>);

struct Fields {
    settings: VectorStoreSettings,
    storage: Arc<Storage>,
    jobs: Jobs,
    surroundings: Arc<dyn Surroundings>,
    tables: OnceCell<Tables>,
    meters: Meters,
}

/// The engine as its jobs see it: they are kept by the jobs, which the engine keeps.
#[derive(Clone)]
struct WeakStores(Weak<Fields>);

impl VectorStores {
    /// The stores of a storage, in the database of the jobs. Opens nothing. What runs their jobs is added to `jobs`, which must not have been
    /// started.
    pub fn new(
        settings: VectorStoreSettings,
        storage: Arc<Storage>,
        jobs: Jobs,
        surroundings: Arc<dyn Surroundings>,
    ) -> Result<Self> {
        let this = Self(Arc::new(Fields {
            settings,
            storage,
            jobs,
            surroundings,
            tables: OnceCell::new(),
            meters: Meters::new(),
        }));
        let weak = WeakStores(Arc::downgrade(&this.0));
        let Fields { settings, jobs, .. } = &*this.0;
        jobs.handle(
            ingestion::KIND,
            settings.files_at_once,
            ingestion::Ingestion(weak.clone()),
        )?;
        jobs.handle(removal::KIND, removal::AT_ONCE, removal::Removal(weak.clone()))?;
        jobs.handle(deletion::KIND, deletion::AT_ONCE, deletion::Deletion(weak.clone()))?;
        jobs.handle(attributes::KIND, attributes::AT_ONCE, attributes::Attribution(weak))?;
        Ok(this)
    }

    /// Looks now and then, until the server ends, for stores whose time has come and for work that nobody does. As long as there cannot have
    /// been a store, nothing is opened.
    pub fn keep_swept(&self, tasks: &Arc<dyn Tasks>) {
        let this = self.clone();
        let shutdown = tasks.shutdown();
        tasks.spawn(Box::pin(async move {
            tokio::select! {
                () = shutdown => {}
                () = this.sweep_for_ever() => {}
            }
        }));
    }

    fn settings(&self) -> &VectorStoreSettings {
        &self.0.settings
    }

    fn surroundings(&self) -> &dyn Surroundings {
        &*self.0.surroundings
    }

    fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    fn meters(&self) -> &Meters {
        &self.0.meters
    }

    async fn tables(&self) -> Result<&Tables> {
        let open = async || {
            let (_, table) = self.0.storage.sql(&self.0.settings.table, TABLE).await?;
            Tables::open(self.0.jobs.database().await?.clone(), table).await
        };
        self.0.tables.get_or_try_init(open).await
    }

    /// The tables, for whoever holds a transaction: to open them would be to wait for it. Whoever runs jobs opens them, and so does the sweep.
    fn opened(&self) -> Result<&Tables> {
        let tables = self.0.tables.get();
        tables.ok_or_else(|| Error::unavailable("the tables of vector stores are not open yet"))
    }

    /// Whether there may be stores, told without opening anything.
    fn may_hold(&self) -> Result<bool> {
        Ok(self.0.tables.initialized() || self.0.storage.may_hold_sql(&self.0.settings.table)?)
    }

    /// A store that is there, whether its time has come or not.
    async fn store(&self, store_id: &str) -> Result<StoreRow> {
        let store = match self.may_hold()? {
            true => self.tables().await?.store(store_id).await?,
            false => None,
        };
        store.ok_or_else(|| no_store(store_id))
    }

    /// A store that is there and whose time has not come. That it is used is noted once a minute.
    async fn used_store(&self, store_id: &str) -> Result<StoreRow> {
        let store = self.store(store_id).await?;
        let now = now();
        if store.is_expired(now) {
            return Err(expired(store_id));
        }
        if now.saturating_sub(store.last_active_at) >= 60
            && let Err(error) = self.tables().await?.touch_store(store_id, now).await
        {
            tracing::warn!(?error, store = store_id, "failed to note that a vector store is used");
        }
        Ok(store)
    }

    /// Notes in a transaction that a store is used. Fails when it is not there any more, or its time has come.
    async fn use_store(&self, transaction: &mut Transaction, store_id: &str) -> Result<()> {
        let tables = self.opened()?;
        if tables.use_store(transaction, store_id, now()).await? {
            return Ok(());
        }
        Err(match tables.has_store(transaction, store_id).await? {
            true => expired(store_id),
            false => no_store(store_id),
        })
    }

    /// The provider that keeps a store.
    fn provider(&self, store: &StoreRow) -> Result<Arc<dyn VectorIo>> {
        let mut providers = self.surroundings().vector_providers().into_iter();
        let found = providers.find(|(id, _)| *id == store.provider_id);
        found.map(|(_, provider)| provider).ok_or_else(|| {
            Error::configuration(format!(
                "the vector store `{}` is kept by the provider `{}`, which this server's configuration does not have",
                store.id, store.provider_id
            ))
        })
    }

    /// Adds jobs of a kind to a transaction.
    async fn submit_all(&self, transaction: &mut Transaction, jobs: impl IntoIterator<Item = NewJob>) -> Result<()> {
        for job in jobs {
            self.jobs().submit_in(transaction, &job).await?;
        }
        Ok(())
    }
}

impl WeakStores {
    /// The engine. Fails as cancelled when the server is gone.
    fn get(&self) -> Result<VectorStores> {
        let fields = self.0.upgrade();
        fields
            .map(VectorStores)
            .ok_or_else(|| Error::cancelled("the server of the vector stores has ended"))
    }
}

/// An error after which a job is tried again, whatever it is: what is to be done stays to be done.
fn to_try_again(error: Error) -> Error {
    if error.is_transient() {
        return error;
    }
    Error::unavailable(error.message()).with_source(error)
}

/// A new id: such ids are in the order in which they were made.
fn new_id(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::now_v7().simple())
}

/// What work is done in the name of that no request waits for.
fn job_context(job_id: &str) -> RequestContext {
    RequestContext::new(job_id)
}

fn no_store(store_id: &str) -> Error {
    Error::not_found(format!("there is no vector store `{}`", shown(store_id))).with_param("vector_store_id")
}

fn no_file(store_id: &str, file_id: &str) -> Error {
    let message = format!(
        "there is no file `{}` in the vector store `{}`",
        shown(file_id),
        shown(store_id)
    );
    Error::not_found(message).with_param("file_id")
}

fn expired(store_id: &str) -> Error {
    let message = format!(
        "the vector store `{}` has expired; what was in it is gone",
        shown(store_id)
    );
    Error::conflict(message)
        .with_param("vector_store_id")
        .with_code("vector_store_expired")
}

fn shown(id: &str) -> String {
    id.chars().take(100).collect()
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl fmt::Debug for VectorStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorStores")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
