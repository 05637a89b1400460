//! A handler that does what a trial says, and tells when.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use puna_api::Result;
use puna_jobs::{Job, JobHandler, JobState, RunningJob};
use puna_storage::Transaction;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

/// What the handler does.
type Play = Arc<dyn for<'a> Fn(&'a RunningJob, Stage) -> BoxFuture<'a, Result<Value>> + Send + Sync>;

/// A handler, whose jobs' ends are told to whoever listens.
pub(crate) struct Script {
    play: Play,
    stage: Stage,
    ends: mpsc::UnboundedSender<(String, JobState)>,
}

/// Where handler and trial meet.
#[derive(Clone)]
pub(crate) struct Stage {
    begun: mpsc::UnboundedSender<String>,
    /// The handlers that may go on.
    pub(crate) go: Arc<Semaphore>,
}

/// The trial's side of it.
pub(crate) struct Audience {
    begun: mpsc::UnboundedReceiver<String>,
    ends: mpsc::UnboundedReceiver<(String, JobState)>,
    pub(crate) go: Arc<Semaphore>,
}

pub(crate) fn script(
    play: impl for<'a> Fn(&'a RunningJob, Stage) -> BoxFuture<'a, Result<Value>> + Send + Sync + 'static,
) -> (Script, Audience) {
    let (begin, begun) = mpsc::unbounded_channel();
    let (end, ends) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let stage = Stage {
        begun: begin,
        go: Arc::clone(&go),
    };
    let play = Arc::new(play);
    let script = Script { play, stage, ends: end };
    (script, Audience { begun, ends, go })
}

impl Stage {
    /// Says that the job is running, and waits until the trial lets one go on.
    pub(crate) async fn meet(&self, job: &RunningJob) {
        self.begun.send(job.id().to_owned()).unwrap();
        self.go.acquire().await.unwrap().forget();
    }
}

impl Audience {
    /// The next job that a handler meets the trial with.
    pub(crate) async fn begun(&mut self) -> String {
        self.begun.recv().await.unwrap()
    }

    /// Those that have begun so far.
    pub(crate) fn begun_so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.begun.try_recv().ok()).collect()
    }

    pub(crate) fn let_go(&self, jobs: usize) {
        self.go.add_permits(jobs);
    }

    /// Every end that was told so far.
    pub(crate) fn ends(&mut self) -> Vec<(String, JobState)> {
        std::iter::from_fn(|| self.ends.try_recv().ok()).collect()
    }
}

#[async_trait]
impl JobHandler for Script {
    async fn run(&self, job: &RunningJob) -> Result<Value> {
        (self.play)(job, self.stage.clone()).await
    }

    async fn ended(&self, job: &Job, _transaction: &mut Transaction) -> Result<()> {
        // Not every trial listens.
        let _ = self.ends.send((job.id.clone(), job.state));
        Ok(())
    }
}
