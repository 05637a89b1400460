//! The job that takes files out of a store, one after the other, and waits until the index has forgotten them.

use std::time::Duration;

use async_trait::async_trait;
use puna_api::{Error, ErrorKind, RequestContext, Result};
use puna_jobs::{Job, JobHandler, JobState, NewJob, RunningJob};
use puna_storage::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kept_documents::no_document;
use super::{VectorStores, WeakStores, ingestion, new_id, removal, shown};
use crate::{FileRemoval, FileRemovalStatus};

/// The kind of these jobs.
pub(super) const KIND: &str = "vector_store.deletion";

/// How many run at the same time.
pub(super) const AT_ONCE: usize = 2;

/// How often one is taken up: for days, as what it waits for is.
const ATTEMPTS: u32 = 1000;

/// The most files of one.
const MOST: usize = 2000;

/// How long an attempt waits for the index to forget a file.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the jobs.
pub(super) struct Deletion(pub(super) WeakStores);

/// Which files.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    store_id: String,
    file_ids: Vec<String>,
}

/// How far it is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    /// How many files are gone.
    done: usize,
    /// The attachment of the next one, once it is out of the store.
    going: Option<String>,
}

#[async_trait]
impl JobHandler for Deletion {
    async fn run(&self, job: &RunningJob) -> Result<Value> {
        let stores = self.0.get()?;
        let Payload { store_id, file_ids } = job.payload()?;
        let mut at: Checkpoint = job.checkpoint()?.unwrap_or_default();
        let total = file_ids.len() as u64;
        job.progress(at.done as u64, Some(total));
        while let Some(file_id) = file_ids.get(at.done) {
            if job.is_cancelled() {
                return Err(cancelled());
            }
            if at.going.is_none() {
                at.going = stores.take_out(job, &store_id, file_id, at.done).await?;
            }
            if let Some(attachment) = &at.going {
                stores.forgotten(job, attachment).await?;
            }
            at = Checkpoint {
                done: at.done + 1,
                going: None,
            };
            job.save(&at).await?;
            job.progress(at.done as u64, Some(total));
        }
        Ok(Value::Null)
    }

    async fn ended(&self, _job: &Job, _transaction: &mut Transaction) -> Result<()> {
        Ok(())
    }
}

impl VectorStores {
    /// Has files taken out of a store in the background, be they documents or attached. Each of them is there now; one that is gone by the time
    /// it is its turn does not matter.
    pub async fn submit_removal(
        &self,
        _context: &RequestContext,
        store_id: &str,
        file_ids: Vec<String>,
        place: &str,
    ) -> Result<FileRemoval> {
        if !(1..=MOST).contains(&file_ids.len()) {
            let message = format!("`{place}` must name 1 to {MOST} documents, not {}", file_ids.len());
            return Err(Error::invalid_request(message).with_param(place));
        }
        self.store(store_id).await?;
        let tables = self.tables().await?;
        for (index, file_id) in file_ids.iter().enumerate() {
            if tables.file(store_id, file_id).await?.is_none() {
                return Err(no_document(store_id, file_id, format!("{place}[{index}]")));
            }
        }
        let store_id = store_id.to_owned();
        let payload = ingestion::payload(&Payload { store_id, file_ids })?;
        let job = NewJob::new(new_id("vsfr_"), KIND, payload).with_max_attempts(ATTEMPTS);
        object(self.jobs().submit(job).await?)
    }

    /// A removal.
    pub async fn removal(&self, _context: &RequestContext, id: &str) -> Result<FileRemoval> {
        object(self.removal_job(id).await?)
    }

    /// Cancels a removal: files that are gone stay gone, the others stay. One that is over stays as it is.
    pub async fn cancel_removal(&self, _context: &RequestContext, id: &str) -> Result<FileRemoval> {
        self.removal_job(id).await?;
        object(self.jobs().cancel(id).await?)
    }

    async fn removal_job(&self, id: &str) -> Result<Job> {
        let job = match self.may_hold()? {
            true => match self.jobs().get(id).await {
                Ok(job) => Some(job),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
            false => None,
        };
        job.filter(|job| job.kind == KIND).ok_or_else(|| {
            let message = format!("there is no removal of files `{}`", shown(id));
            Error::not_found(message).with_param("job_id")
        })
    }

    /// Takes a file out of a store, and notes that together with it. Answers its attachment, if it was there.
    async fn take_out(&self, job: &RunningJob, store_id: &str, file_id: &str, done: usize) -> Result<Option<String>> {
        let tables = self.tables().await?;
        let mut transaction = self.jobs().begin().await?;
        let gone = tables.mark_file_going(&mut transaction, store_id, file_id).await?;
        let Some(attachment) = gone else { return Ok(None) };
        self.submit_all(&mut transaction, [removal::of_file(&attachment)?])
            .await?;
        let checkpoint = Checkpoint {
            done,
            going: Some(attachment.clone()),
        };
        job.save_in(&mut transaction, &checkpoint).await?;
        transaction.commit().await?;
        self.jobs().wake(removal::KIND);
        Ok(Some(attachment))
    }

    /// Waits until nothing is left of a file that was taken out. An error is tried again.
    async fn forgotten(&self, job: &RunningJob, attachment: &str) -> Result<()> {
        let removal = removal::of_file(attachment)?.id;
        let waited = tokio::select! {
            waited = tokio::time::timeout(PATIENCE, self.jobs().wait(&removal)) => waited,
            () = job.cancelled() => return Err(cancelled()),
        };
        match waited {
            Ok(Ok(job)) if job.state == JobState::Completed => Ok(()),
            // Forgotten, and so is the job.
            Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(job)) => {
                let why = job.failure.map(|failure| failure.message).unwrap_or_default();
                Err(Error::unavailable(format!("the index has not forgotten a file: {why}")))
            }
            Err(_elapsed) => Err(Error::unavailable("the index takes long to forget a file")),
        }
    }
}

fn cancelled() -> Error {
    Error::cancelled("the removal was cancelled")
}

fn object(job: Job) -> Result<FileRemoval> {
    let Payload { store_id, file_ids } = Payload::deserialize(&job.payload)
        .map_err(|error| Error::internal("the payload of a removal cannot be read").with_source(error))?;
    let total = file_ids.len() as u64;
    let done = match job.state {
        JobState::Completed => total,
        _ => job.progress.map_or(0, |progress| progress.done),
    };
    Ok(FileRemoval {
        id: job.id,
        vector_store_id: store_id,
        status: match job.state {
            JobState::Queued => FileRemovalStatus::Queued,
            JobState::Running => FileRemovalStatus::Running,
            JobState::Completed => FileRemovalStatus::Completed,
            JobState::Failed => FileRemovalStatus::Failed,
            JobState::Cancelled => FileRemovalStatus::Cancelled,
        },
        done,
        total,
        error: job
            .failure
            .filter(|failure| failure.kind != ErrorKind::Internal)
            .map(|failure| failure.message),
    })
}
