//! The jobs of one kind on this server: some at a time, and then the next.

use std::sync::Arc;
use std::time::Duration;

use puna_api::Result;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::handler::JobHandler;
use crate::jobs::Jobs;
use crate::run::run;

/// How long it is until the next look when the last one was in vain.
const PAUSE: Duration = Duration::from_millis(50);

/// A kind of jobs, and who runs them.
pub(crate) struct Lane {
    pub(crate) kind: String,
    pub(crate) handler: Arc<dyn JobHandler>,
    /// There may be a job to take.
    pub(crate) wake: Notify,
    concurrency: usize,
}

impl Lane {
    pub(crate) fn new(kind: &str, concurrency: usize, handler: Arc<dyn JobHandler>) -> Self {
        Self {
            kind: kind.to_owned(),
            handler,
            wake: Notify::new(),
            concurrency,
        }
    }

    /// Takes jobs and runs them until the server shuts down.
    pub(crate) async fn work(self: Arc<Self>, jobs: Jobs) {
        let mut shutdown = jobs.settings().tasks.shutdown();
        let look = jobs.settings().timing.look;
        let mut running = JoinSet::new();
        loop {
            let is_full = running.len() >= self.concurrency;
            let wait = match is_full {
                true => look,
                false => match self.take(&jobs, &mut running).await {
                    Ok(wait) => wait.min(look),
                    Err(error) => {
                        tracing::warn!(?error, kind = self.kind, "failed to look for jobs");
                        look
                    }
                },
            };
            tokio::select! {
                () = &mut shutdown => break,
                _ = running.join_next(), if !running.is_empty() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait), if !is_full => {}
            }
        }
        // Each of them sees the shutdown too, and gives its job back.
        while running.join_next().await.is_some() {}
    }

    /// Starts a job that is due, or says how long it is until there may be one.
    async fn take(self: &Arc<Self>, jobs: &Jobs, running: &mut JoinSet<()>) -> Result<Duration> {
        if !jobs.may_be_there() {
            return Ok(Duration::MAX);
        }
        let table = jobs.table().await?;
        // A statement that may write is not worth it where there is nothing.
        match table.next_due(&self.kind).await? {
            None => return Ok(Duration::MAX),
            Some(wait) if !wait.is_zero() => return Ok(wait),
            Some(_) => {}
        }
        match table.take(&self.kind).await? {
            Some((job, lease)) => {
                running.spawn(run(jobs.clone(), table.clone(), Arc::clone(self), job, lease));
                Ok(Duration::ZERO)
            }
            // Another server was first, or is about to be.
            None => Ok(PAUSE),
        }
    }
}
