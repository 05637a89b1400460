//! What a server does in the background.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use puna_api::Tasks;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Background tasks that end with a server, in peace or not.
#[derive(Debug, Default)]
pub struct TrialTasks {
    running: Mutex<JoinSet<()>>,
    shutdown: CancellationToken,
}

impl TrialTasks {
    /// Ends them as a server does that is told to end: each may finish.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        let mut running = self.take();
        while running.join_next().await.is_some() {}
    }

    /// Ends them where they are, as a server does that is killed.
    pub async fn kill(&self) {
        self.take().shutdown().await;
    }

    fn take(&self) -> JoinSet<()> {
        std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tasks for TrialTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        self.shutdown.clone().cancelled_owned().boxed()
    }
}
