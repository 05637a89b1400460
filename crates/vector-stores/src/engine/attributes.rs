//! Attributes of files that are in the index.

use std::time::Duration;

use async_trait::async_trait;
use puna_api::{Attributes, Chunk, ChunkPage, ListChunks, RequestContext, Result, UpsertChunks};
use puna_jobs::{Job, JobHandler, NewJob, RunningJob};
use puna_storage::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::object;
use super::{VectorStores, WeakStores, ingestion, job_context, no_file, to_try_again};
use crate::attributes::check_attributes;
use crate::tables::{FileRow, StoreRow, StoreState};
use crate::{StoreFile, StoreFileStatus, kept};

/// The kind of these jobs.
pub(super) const KIND: &str = "vector_store.attributes";

/// How many run at the same time.
pub(super) const AT_ONCE: usize = 2;

/// How often one is taken up.
const ATTEMPTS: u32 = 1000;

/// How many chunks are changed at once.
const PAGE: usize = 500;

/// How long an answer waits for the index.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the jobs.
pub(super) struct Attribution(pub(super) WeakStores);

/// Which file.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    store_id: String,
    attachment: String,
}

/// The job that brings a file's attributes of this revision to its chunks.
pub(super) fn of_file(store_id: &str, attachment: &str, revision: i64) -> Result<NewJob> {
    let payload = ingestion::payload(&Payload {
        store_id: store_id.to_owned(),
        attachment: attachment.to_owned(),
    })?;
    Ok(NewJob::new(format!("{KIND}/{attachment}/{revision}"), KIND, payload).with_max_attempts(ATTEMPTS))
}

#[async_trait]
impl JobHandler for Attribution {
    async fn run(&self, job: &RunningJob) -> Result<Value> {
        let stores = self.0.get()?;
        let brought = stores.bring_attributes(job, &job.payload()?).await;
        brought.map(|()| Value::Null).map_err(to_try_again)
    }

    async fn ended(&self, _job: &Job, _transaction: &mut Transaction) -> Result<()> {
        Ok(())
    }
}

impl VectorStores {
    /// Replaces the attributes of a file. Searches show the new ones from then on; their filters go by the new ones as soon as the index has
    /// them, which the answer waits for up to ten seconds.
    pub async fn set_file_attributes(
        &self,
        _context: &RequestContext,
        store_id: &str,
        file_id: &str,
        attributes: Attributes,
    ) -> Result<StoreFile> {
        check_attributes(&attributes, "attributes")?;
        self.used_store(store_id).await?;
        let tables = self.tables().await?;
        let mut transaction = self.jobs().begin().await?;
        let file = tables
            .set_attributes(&mut transaction, store_id, file_id, &attributes)
            .await?;
        let file = file.ok_or_else(|| no_file(store_id, file_id))?;
        // Where it is still being ingested, that looks at the revision when it is done.
        let job = of_file(store_id, &file.attachment, file.revision)?;
        let is_indexed = file.status == StoreFileStatus::Completed;
        if is_indexed {
            self.jobs().submit_in(&mut transaction, &job).await?;
        }
        transaction.commit().await?;
        if is_indexed {
            self.jobs().wake(KIND);
            if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, self.jobs().wait(&job.id)).await {
                tracing::warn!(
                    ?error,
                    file = file_id,
                    "failed to wait for new attributes to be in the index"
                );
            }
        }
        Ok(object(file))
    }

    /// Writes a file's attributes to its chunks, until none of them has others.
    async fn bring_attributes(&self, job: &RunningJob, payload: &Payload) -> Result<()> {
        let context = job_context(job.id());
        let mut written = None;
        loop {
            let Some((store, file)) = self.indexed(&payload.attachment).await? else {
                // It was taken out, and its removal may have come before what was written here, or by an earlier attempt.
                return self
                    .take_chunks_away(&context, &payload.store_id, &payload.attachment)
                    .await;
            };
            if written == Some(file.revision) {
                return Ok(());
            }
            self.write_attributes(&context, &store, &file).await?;
            written = Some(file.revision);
        }
    }

    async fn write_attributes(&self, context: &RequestContext, store: &StoreRow, file: &FileRow) -> Result<()> {
        let provider = self.provider(store)?;
        let mut after = None;
        loop {
            let list = ListChunks {
                index_id: store.id.clone(),
                document_id: kept::document_of_file(&file.attachment),
                after,
                limit: PAGE,
            };
            let ChunkPage { chunks, has_more } = provider.list_chunks(context, list).await?;
            after = chunks.last().map(|chunk| chunk.position);
            let others = chunks.into_iter().filter(|chunk| chunk.attributes != file.attributes);
            let chunks: Vec<Chunk> = others
                .map(|chunk| Chunk {
                    attributes: file.attributes.clone(),
                    ..chunk
                })
                .collect();
            if !chunks.is_empty() {
                let upsert = UpsertChunks {
                    index_id: store.id.clone(),
                    chunks,
                };
                provider.upsert_chunks(context, upsert).await?;
            }
            if !has_more {
                return Ok(());
            }
        }
    }

    /// A file that is complete, with its store.
    async fn indexed(&self, attachment: &str) -> Result<Option<(StoreRow, FileRow)>> {
        let tables = self.tables().await?;
        let file = tables.attachment(attachment).await?;
        let Some(file) = file.filter(|file| file.is_live && file.status == StoreFileStatus::Completed) else {
            return Ok(None);
        };
        let store = tables.any_store(&file.store_id).await?;
        let store = store.filter(|store| store.state == StoreState::Live);
        Ok(store.map(|store| (store, file)))
    }
}
