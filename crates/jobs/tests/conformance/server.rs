//! A server over a place, with nothing but jobs.

use std::sync::Arc;
use std::time::Duration;

use puna_api::Tasks;
use puna_jobs::{Jobs, JobsSettings, Timing};
use puna_storage::{Storage, TableName};
use puna_testkit::databases::{Place, TrialTasks};

/// Nobody waits for what is not going to come, and no lease ends by itself.
pub(crate) const TIMING: Timing = Timing {
    lease: Duration::from_secs(3600),
    look: Duration::from_millis(50),
    first_retry: Duration::from_millis(10),
    longest_retry: Duration::from_millis(40),
    cancel_grace: Duration::from_millis(100),
    keep: Duration::from_secs(3600),
};

pub(crate) struct Server {
    pub(crate) jobs: Jobs,
    table: TableName,
    tasks: Arc<TrialTasks>,
    storage: Arc<Storage>,
}

impl Server {
    /// A server that runs nothing yet.
    pub(crate) fn over(place: &Place, timing: Timing) -> Self {
        let storage = Arc::new(place.storage());
        let tasks = Arc::new(TrialTasks::default());
        let jobs = Jobs::new(JobsSettings {
            storage: Arc::clone(&storage),
            store: place.table("jobs"),
            tasks: Arc::clone(&tasks) as Arc<dyn Tasks>,
            timing,
        });
        Self {
            jobs,
            table: place.table_name("jobs"),
            tasks,
            storage,
        }
    }

    /// Ends the lease of a job, as time would, or the time that it waits.
    pub(crate) async fn expire(&self, id: &str) {
        let statement = self
            .table
            .sql("UPDATE {table} SET due_at = 0 WHERE id = $1 AND due_at IS NOT NULL");
        let database = self.jobs.database().await.unwrap();
        assert_eq!(database.write(statement, vec![id.into()]).await.unwrap(), 1);
    }

    /// Ends as a server does that is told to.
    pub(crate) async fn stop(self) {
        self.tasks.stop().await;
        self.storage.close().await;
    }

    /// Ends as a server does that is killed: nothing is written any more.
    pub(crate) async fn kill(self) {
        self.tasks.kill().await;
        self.storage.close().await;
    }
}
