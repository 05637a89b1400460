//! The job that takes away what is gone for requests.

use async_trait::async_trait;
use puna_api::{ChunkSelection, DeleteChunks, ErrorKind, RequestContext, Result};
use puna_jobs::{Job, JobHandler, NewJob, RunningJob};
use puna_storage::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{VectorStores, WeakStores, ingestion, job_context, to_try_again};
use crate::kept;
use crate::tables::StoreState;

/// The kind of these jobs.
pub(super) const KIND: &str = "vector_store.removal";

/// How many run at the same time.
pub(super) const AT_ONCE: usize = 2;

/// How often one is taken up: for days. After that the sweep begins anew.
const ATTEMPTS: u32 = 1000;

/// Runs the jobs.
pub(super) struct Removal(pub(super) WeakStores);

/// What to take away.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Payload {
    /// A store's index, and its rows if it was deleted.
    Store { store_id: String },
    /// The chunks of files, and the rows of those that were taken out.
    Files { attachments: Vec<String> },
}

/// The id of the job that removes the store of this place. A store's id may be that of another one later.
pub(super) fn id_of_store(place: &str) -> String {
    format!("{KIND}/store/{place}")
}

/// Removes a store that was deleted.
pub(super) fn of_store(store_id: &str, place: &str) -> Result<NewJob> {
    let store_id = store_id.to_owned();
    job(id_of_store(place), &Payload::Store { store_id })
}

/// Removes the index of a store that expired.
pub(super) fn of_expired(store_id: &str, place: &str) -> Result<NewJob> {
    let store_id = store_id.to_owned();
    job(format!("{KIND}/expired/{place}"), &Payload::Store { store_id })
}

/// Removes a file that was taken out of its store.
pub(super) fn of_file(attachment: &str) -> Result<NewJob> {
    files(format!("{KIND}/{attachment}"), vec![attachment.to_owned()])
}

/// Removes what a file that failed has left in the index.
pub(super) fn of_failed(attachment: &str) -> Result<NewJob> {
    files(format!("{KIND}/failed/{attachment}"), vec![attachment.to_owned()])
}

/// Removes what the files of a batch that was cancelled have left in the index.
pub(super) fn of_cancelled(batch_id: &str, attachments: Vec<String>) -> Result<NewJob> {
    // A batch can be cancelled once: all of its files are done from then on.
    files(format!("{KIND}/cancelled/{batch_id}"), attachments)
}

fn files(id: String, attachments: Vec<String>) -> Result<NewJob> {
    job(id, &Payload::Files { attachments })
}

fn job(id: String, payload: &Payload) -> Result<NewJob> {
    let payload = ingestion::payload(payload)?;
    Ok(NewJob::new(id, KIND, payload).with_max_attempts(ATTEMPTS))
}

#[async_trait]
impl JobHandler for Removal {
    async fn run(&self, job: &RunningJob) -> Result<Value> {
        let stores = self.0.get()?;
        let removed = match job.payload()? {
            Payload::Store { store_id } => stores.take_store_away(job, &store_id).await,
            Payload::Files { attachments } => stores.take_files_away(job, &attachments).await,
        };
        removed.map(|()| Value::Null).map_err(to_try_again)
    }

    async fn ended(&self, _job: &Job, _transaction: &mut Transaction) -> Result<()> {
        Ok(())
    }
}

impl VectorStores {
    async fn take_store_away(&self, job: &RunningJob, store_id: &str) -> Result<()> {
        let tables = self.tables().await?;
        let Some(store) = tables.any_store(store_id).await? else {
            return Ok(());
        };
        if !matches!(store.state, StoreState::Going | StoreState::Expired) {
            return Ok(());
        }
        for attachment in tables.unfinished_of(store_id).await? {
            self.end_ingestion(&attachment).await?;
        }
        let provider = self.provider(&store)?;
        provider.delete_index(&job_context(job.id()), store_id).await?;
        tables.forget_documents(store_id).await?;
        if store.state == StoreState::Going {
            tables.forget_store(store_id).await?;
        }
        Ok(())
    }

    async fn take_files_away(&self, job: &RunningJob, attachments: &[String]) -> Result<()> {
        for attachment in attachments {
            self.take_file_away(job, attachment).await?;
        }
        Ok(())
    }

    async fn take_file_away(&self, job: &RunningJob, attachment: &str) -> Result<()> {
        let tables = self.tables().await?;
        let Some(file) = tables.attachment(attachment).await? else {
            return Ok(());
        };
        self.end_ingestion(attachment).await?;
        self.take_chunks_away(&job_context(job.id()), &file.store_id, attachment)
            .await?;
        if !file.is_live {
            tables.forget_file(attachment).await?;
        }
        Ok(())
    }

    /// Takes a file's chunks out of the index of its store, if the store is there: with any other, the whole index goes.
    pub(super) async fn take_chunks_away(
        &self,
        context: &RequestContext,
        store_id: &str,
        attachment: &str,
    ) -> Result<()> {
        let store = self.tables().await?.any_store(store_id).await?;
        let Some(store) = store.filter(|store| store.state == StoreState::Live) else {
            return Ok(());
        };
        let delete = DeleteChunks {
            index_id: store.id.clone(),
            selection: ChunkSelection::Document(kept::document_of_file(attachment)),
        };
        self.provider(&store)?.delete_chunks(context, delete).await
    }

    /// Has the ingestion of a file end, so that nothing is written after what is taken away now.
    async fn end_ingestion(&self, attachment: &str) -> Result<()> {
        let id = ingestion::id_of(attachment);
        match self.jobs().cancel(&id).await {
            Ok(job) if job.state.is_final() => Ok(()),
            Ok(_) => self.jobs().wait(&id).await.map(drop),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}
