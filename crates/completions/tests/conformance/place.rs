//! Where a trial runs, and the servers over it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use puna_api::{ChatCompletion, Json, RequestContext, Result, Secret, Tasks};
use puna_completions::{
    CompletionQuery, CompletionsSettings, Metadata, Recording, StoredCompletion, StoredCompletions,
};
use puna_storage::{BackendSettings, Location, PostgresSettings, SqlReference, Storage, StorageSettings};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A database for one trial.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) location: Location,
    /// Of its own, since trials share a server.
    pub(crate) table: String,
    pub(crate) folder: Option<Arc<TempDir>>,
}

/// A server over a place, with nothing but stored completions.
pub(crate) struct Server {
    pub(crate) store: Arc<StoredCompletions>,
    tasks: TrialTasks,
    storage: Arc<Storage>,
}

#[derive(Default)]
struct TrialTasks {
    running: Mutex<JoinSet<()>>,
    shutdown: CancellationToken,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/the/way.db");
        Self {
            folder: Some(Arc::new(folder)),
            ..Self::of_file(path, table())
        }
    }

    pub(crate) fn of_file(path: PathBuf, table: String) -> Self {
        Self {
            location: Location::Sqlite(path),
            table,
            folder: None,
        }
    }

    pub(crate) fn postgres(url: &str) -> Self {
        Self::of_url(url, table())
    }

    pub(crate) fn of_url(url: &str, table: String) -> Self {
        let location = Location::Postgres(Box::new(PostgresSettings {
            connection_string: Some(Secret::new(url.to_owned())),
            max_connections: 6,
            ..PostgresSettings::default()
        }));
        Self {
            location,
            table,
            folder: None,
        }
    }

    /// A server that keeps what is asked for.
    pub(crate) fn server(&self) -> Server {
        let backend = BackendSettings {
            location: self.location.clone(),
            table: None,
            namespace: None,
        };
        let storage = Arc::new(Storage::new(StorageSettings {
            kv: [].into(),
            sql: [("only".to_owned(), backend)].into(),
        }));
        let store = Arc::new(StoredCompletions::new(CompletionsSettings {
            storage: Arc::clone(&storage),
            store: SqlReference {
                backend: None,
                table_name: Some(self.table.clone()),
            },
            keeps_all: false,
            max_write_queue_size: 1000,
            num_writers: 2,
        }));
        let tasks = TrialTasks::default();
        store.keep_written(&tasks);
        Server { store, tasks, storage }
    }
}

fn table() -> String {
    format!("t_{:x}", fastrand::u64(..))
}

/// A completion to keep.
pub(crate) struct Asked {
    pub(crate) model: &'static str,
    pub(crate) content: String,
    pub(crate) metadata: Value,
    pub(crate) is_asked: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            model: "m",
            content: "hi".to_owned(),
            metadata: json!({}),
            is_asked: true,
        }
    }
}

impl Server {
    pub(crate) fn record(&self, asked: &Asked) -> Recording {
        let request =
            json!({ "model": asked.model, "messages": [{ "role": "user", "content": asked.content }], "store": true });
        self.store.record(
            &RequestContext::new("req_1"),
            asked.model,
            Bytes::from(request.to_string()),
            Metadata::parse(&asked.metadata.to_string()).unwrap(),
            asked.is_asked,
        )
    }

    /// Keeps a completion, and answers its id.
    pub(crate) async fn keep(&self, asked: &Asked) -> Result<String> {
        let answer = json!({ "id": "chatcmpl-7", "object": "chat.completion", "created": 1, "model": asked.model, "choices": [
            { "index": 0, "message": { "role": "assistant", "content": asked.content }, "finish_reason": "stop" },
        ] });
        let answer = Json::<ChatCompletion>::from_bytes(answer.to_string());
        let kept = self.record(asked).keep(&answer).await?;
        Ok(kept.get().unwrap().id.clone())
    }

    /// The ids of a list, and whether there are more.
    pub(crate) async fn ids(&self, query: &CompletionQuery) -> (Vec<String>, bool) {
        let list = self.store.list(query).await.unwrap();
        (
            list.completions.into_iter().map(|listed| listed.id).collect(),
            list.has_more,
        )
    }

    /// Ends as a server does that is told to.
    pub(crate) async fn stop(self) {
        self.tasks.shutdown.cancel();
        let mut running = std::mem::take(&mut *self.tasks.running.lock().unwrap());
        while running.join_next().await.is_some() {}
        self.storage.close().await;
    }
}

pub(crate) fn read(stored: &StoredCompletion) -> Value {
    serde_json::from_slice(&stored.document).unwrap()
}

impl Tasks for TrialTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.running.lock().unwrap().spawn(task);
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        self.shutdown.clone().cancelled_owned().boxed()
    }
}
