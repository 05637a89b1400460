//! Where a trial runs, and the servers over it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use puna_api::{Secret, Tasks};
use puna_jobs::{Jobs, JobsSettings, Timing};
use puna_storage::{BackendSettings, Location, PostgresSettings, SqlReference, Storage, StorageSettings, TableName};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Nobody waits for what is not going to come, and no lease ends by itself.
pub(crate) const TIMING: Timing = Timing {
    lease: Duration::from_secs(3600),
    look: Duration::from_millis(50),
    first_retry: Duration::from_millis(10),
    longest_retry: Duration::from_millis(40),
    cancel_grace: Duration::from_millis(100),
    keep: Duration::from_secs(3600),
};

/// A database for one trial.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) location: Location,
    /// Of its own, since trials share a server.
    pub(crate) table: String,
    _folder: Option<Arc<TempDir>>,
}

/// A server over a place, with nothing but jobs.
pub(crate) struct Server {
    pub(crate) jobs: Jobs,
    tasks: Arc<TrialTasks>,
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
            _folder: Some(Arc::new(folder)),
            ..Self::of_file(path, table())
        }
    }

    pub(crate) fn of_file(path: PathBuf, table: String) -> Self {
        Self {
            location: Location::Sqlite(path),
            table,
            _folder: None,
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
            _folder: None,
        }
    }

    /// A server that runs nothing yet.
    pub(crate) fn server(&self, timing: Timing) -> Server {
        let backend = BackendSettings {
            location: self.location.clone(),
            table: None,
            namespace: None,
        };
        let storage = Arc::new(Storage::new(StorageSettings {
            kv: [].into(),
            sql: [("only".to_owned(), backend)].into(),
        }));
        let tasks = Arc::new(TrialTasks::default());
        let jobs = Jobs::new(JobsSettings {
            storage: Arc::clone(&storage),
            store: SqlReference {
                backend: None,
                table_name: Some(self.table.clone()),
            },
            tasks: Arc::clone(&tasks) as Arc<dyn Tasks>,
            timing,
        });
        Server { jobs, tasks, storage }
    }

    pub(crate) fn table(&self) -> TableName {
        TableName::new(self.table.clone()).unwrap()
    }
}

fn table() -> String {
    format!("t_{:x}", fastrand::u64(..))
}

impl Server {
    /// Ends as a server does that is told to.
    pub(crate) async fn stop(self) {
        self.tasks.shutdown.cancel();
        let mut running = std::mem::take(&mut *self.tasks.running.lock().unwrap());
        while running.join_next().await.is_some() {}
        self.storage.close().await;
    }

    /// Ends as a server does that is killed: nothing is written any more.
    pub(crate) async fn kill(self) {
        let mut running = std::mem::take(&mut *self.tasks.running.lock().unwrap());
        running.shutdown().await;
        self.storage.close().await;
    }
}

impl Place {
    /// Ends the lease of a job, as time would, or the time that it waits.
    pub(crate) async fn expire(&self, server: &Server, id: &str) {
        let statement = self
            .table()
            .sql("UPDATE {table} SET due_at = 0 WHERE id = $1 AND due_at IS NOT NULL");
        let database = server.jobs.database().await.unwrap();
        assert_eq!(database.write(statement, vec![id.into()]).await.unwrap(), 1);
    }
}

impl Tasks for TrialTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.running.lock().unwrap().spawn(task);
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        self.shutdown.clone().cancelled_owned().boxed()
    }
}
