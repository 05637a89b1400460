//! What runs a job, and what it is given.

use std::fmt;

use async_trait::async_trait;
use puna_api::{Error, Result};
use puna_storage::Transaction;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::job::{Job, Progress};
use crate::table::{JobTable, Lease};

/// Runs the jobs of a kind.
///
/// # Behavior
/// - `run` may be called again for the same job, after a crash or a transient error; never twice at a time, as long as servers are alive.
/// - Its future is dropped when the server shuts down, when the lease is lost, and some time after the job was cancelled.
/// - It does not block its thread.
#[async_trait]
pub trait JobHandler: Send + Sync + 'static {
    /// Does the work, and answers with its result. A transient error ([`Error::is_transient`]) is tried again.
    async fn run(&self, job: &RunningJob) -> Result<Value>;

    /// Called once when a job has reached its final state, whatever it is and however it got there. What it writes to the transaction becomes
    /// true together with that state; to write to the same database by another way would be to wait for itself. When it fails, the end is
    /// tried again, so that it may be called again for what never became true.
    async fn ended(&self, job: &Job, transaction: &mut Transaction) -> Result<()>;
}

/// A job in its handler's hands.
pub struct RunningJob {
    pub(crate) job: Job,
    pub(crate) lease: Lease,
    pub(crate) table: JobTable,
    pub(crate) progress: watch::Sender<Option<Progress>>,
    pub(crate) cancelled: CancellationToken,
    /// Lines are numbered one after the other.
    pub(crate) writing_log: Mutex<()>,
}

impl RunningJob {
    /// The job's id.
    pub fn id(&self) -> &str {
        &self.job.id
    }

    /// Which attempt this is; 1 is the first.
    pub fn attempt(&self) -> u32 {
        self.job.attempt
    }

    /// Whether it is not tried again when this attempt fails.
    pub fn is_last_attempt(&self) -> bool {
        self.job.attempt >= self.job.max_attempts
    }

    /// What it was submitted with. Fails as internal when that is no `T`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        self.read("payload", &self.job.payload)
    }

    /// Where an earlier attempt got to: what it saved last. Fails as internal when that is no `T`.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        let checkpoint = self.job.checkpoint.as_ref();
        checkpoint.map(|value| self.read("checkpoint", value)).transpose()
    }

    /// Saves where the next attempt is to go on. Fails as cancelled when the job is not this handler's any more.
    pub async fn save(&self, checkpoint: &(impl Serialize + Sync)) -> Result<()> {
        self.table.save(&self.lease, self.write(checkpoint)?).await
    }

    /// Saves a checkpoint together with what else the transaction does: neither is there without the other. The transaction must be one of
    /// [`Jobs::begin`](crate::Jobs::begin).
    pub async fn save_in(&self, transaction: &mut Transaction, checkpoint: &(impl Serialize + Sync)) -> Result<()> {
        let checkpoint = self.write(checkpoint)?;
        self.table.save_in(transaction, &self.lease, checkpoint).await
    }

    /// Tells how much is done. It costs nothing: the table is told once a second at most.
    pub fn progress(&self, done: u64, total: Option<u64>) {
        self.progress.send_replace(Some(Progress { done, total }));
    }

    /// Writes a line to the job's log. Fails as cancelled when the job is not this handler's any more.
    pub async fn log(&self, line: &str) -> Result<()> {
        let _turn = self.writing_log.lock().await;
        self.table.log(&self.lease, line).await
    }

    /// Resolves when somebody cancelled the job. The handler then has some seconds to end with what it has, or with an error, which cancels
    /// it; a result completes it all the same.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Whether somebody cancelled the job.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    fn read<T: DeserializeOwned>(&self, what: &str, value: &Value) -> Result<T> {
        T::deserialize(value).map_err(|error| {
            let Job { id, kind, .. } = &self.job;
            Error::internal(format!(
                "the {what} of the job `{id}` cannot be read as one of kind `{kind}`"
            ))
            .with_context(error.to_string())
            .with_source(error)
        })
    }

    fn write(&self, checkpoint: &impl Serialize) -> Result<String> {
        serde_json::to_string(checkpoint).map_err(|error| {
            Error::internal(format!("a checkpoint of the job `{}` has no JSON form", self.job.id)).with_source(error)
        })
    }
}

impl fmt::Debug for RunningJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningJob")
            .field("id", &self.job.id)
            .field("kind", &self.job.kind)
            .field("attempt", &self.job.attempt)
            .finish_non_exhaustive()
    }
}
