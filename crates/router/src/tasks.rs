//! Background work that ends with the server.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use puna_api::Tasks;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Runs tasks on the runtime that the Stack was built on, whichever thread asks.
#[derive(Debug, Clone)]
pub(crate) struct TrackedTasks {
    runtime: Handle,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl TrackedTasks {
    /// Takes the current runtime.
    pub(crate) fn new() -> Self {
        Self {
            runtime: Handle::current(),
            tracker: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        }
    }

    /// Tells every task to end, and waits for them this long; says whether all have ended.
    pub(crate) async fn end(&self, grace: Duration) -> bool {
        self.shutdown.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

impl Tasks for TrackedTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tracker.spawn_on(task, &self.runtime);
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        self.shutdown.clone().cancelled_owned().boxed()
    }
}
