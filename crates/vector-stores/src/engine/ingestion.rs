//! The job that reads a file, cuts it, embeds the chunks and puts them into the index.

use async_trait::async_trait;
use futures::{Stream, StreamExt, stream};
use puna_api::{Chunk, Error, ErrorKind, FileSource, ProcessFile, ProcessedFile, RequestContext, Result, UpsertChunks};
use puna_jobs::{Job, JobHandler, JobState, NewJob, RunningJob};
use puna_storage::Transaction;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::trim::trim;
use super::{VectorStores, WeakStores, attributes, job_context, removal};
use crate::meters::{Running, timed};
use crate::tables::{FileRow, StoreRow, StoreState};
use crate::{LastError, LastErrorCode, StoreFileStatus, embedding, kept};

/// The kind of these jobs.
pub(super) const KIND: &str = "vector_store.file";

/// How often one is taken up: a model or a database that is away for less than an hour costs no file.
const ATTEMPTS: u32 = 30;

/// How many requests to the model are under way for one file.
const EMBEDDED_AHEAD: usize = 2;

/// Runs the jobs.
pub(super) struct Ingestion(pub(super) WeakStores);

/// Which file.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    attachment: String,
}

/// How far an earlier attempt got.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    /// How many chunks the file has. With another number it was cut differently, and all begins anew.
    chunks: usize,
    /// How many of them are in the index.
    done: usize,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    usage_bytes: u64,
    /// The revision of the attributes that the chunks have.
    revision: i64,
}

/// The id of the job that ingests a file.
pub(super) fn id_of(attachment: &str) -> String {
    format!("{KIND}/{attachment}")
}

/// The job that ingests a file.
pub(super) fn of_file(attachment: &str) -> Result<NewJob> {
    let payload = payload(&Payload {
        attachment: attachment.to_owned(),
    })?;
    Ok(NewJob::new(id_of(attachment), KIND, payload).with_max_attempts(ATTEMPTS))
}

pub(super) fn payload(payload: &impl Serialize) -> Result<Value> {
    serde_json::to_value(payload).map_err(|error| Error::internal("a payload has no JSON form").with_source(error))
}

#[async_trait]
impl JobHandler for Ingestion {
    async fn run(&self, job: &RunningJob) -> Result<Value> {
        let stores = self.0.get()?;
        let Payload { attachment } = job.payload()?;
        let meters = stores.meters();
        let _running = Running::new(&meters.running);
        match stores.ingest(job, &attachment).await {
            Ok(Some(outcome)) => payload(&outcome),
            Ok(None) => Ok(Value::Null),
            Err(error) => {
                if error.kind() != ErrorKind::Cancelled {
                    meters.failures.increment(1);
                }
                Err(error)
            }
        }
    }

    async fn ended(&self, job: &Job, transaction: &mut Transaction) -> Result<()> {
        let stores = self.0.get()?;
        let tables = stores.opened()?;
        let Payload { attachment } = Payload::deserialize(&job.payload)
            .map_err(|error| Error::internal("the payload of an ingestion cannot be read").with_source(error))?;
        let result = job.result.as_ref().filter(|result| !result.is_null());
        match (job.state, result.map(Outcome::deserialize)) {
            (JobState::Completed, Some(Ok(outcome))) => {
                let completed = tables
                    .complete_file(transaction, &attachment, outcome.usage_bytes)
                    .await?;
                // The attributes were changed after the chunks had been written.
                if let Some((store_id, revision)) = completed.filter(|(_, revision)| *revision != outcome.revision) {
                    let job = attributes::of_file(&store_id, &attachment, revision)?;
                    stores.submit_all(transaction, [job]).await?;
                }
                Ok(())
            }
            (JobState::Failed, _) => {
                let failure = job.failure.as_ref();
                let error = LastError {
                    code: LastErrorCode::from_name(
                        failure.and_then(|failure| failure.code.as_deref()).unwrap_or_default(),
                    ),
                    message: failure.map_or_else(|| "the file could not be ingested".to_owned(), shown_failure),
                };
                if tables.fail_file(transaction, &attachment, &error).await? {
                    stores
                        .submit_all(transaction, [removal::of_failed(&attachment)?])
                        .await?;
                }
                Ok(())
            }
            // Where it completed without a result, nobody waited for it: its store has expired, or is going.
            (JobState::Cancelled, _) | (JobState::Completed, None) => {
                tables.cancel_file(transaction, &attachment).await
            }
            _ => Ok(()),
        }
    }
}

impl VectorStores {
    /// Ingests a file; `None` when nobody waits for it any more.
    async fn ingest(&self, job: &RunningJob, attachment: &str) -> Result<Option<Outcome>> {
        let Some((store, file)) = self.waiting(attachment).await? else {
            return Ok(None);
        };
        let context = job_context(job.id());
        let provider = self.provider(&store)?;
        let meters = self.meters();
        let (processed, bytes) = tokio::select! {
            read = timed(&meters.read, self.read(&context, &file)) => read?,
            () = job.cancelled() => return Err(cancelled()),
        };
        let chunks: Vec<Chunk> = processed
            .chunks
            .iter()
            .map(|chunk| kept::file_chunk(&file, &processed, chunk))
            .collect();
        let checkpoint: Option<Checkpoint> = job.checkpoint()?;
        let done = checkpoint.filter(|checkpoint| checkpoint.chunks == chunks.len());
        let mut done = done.map_or(0, |checkpoint| checkpoint.done);
        let total = chunks.len();
        job.progress(done as u64, Some(total as u64));
        {
            let embedded = self.embedded(&context, &store, chunks.get(done..).unwrap_or_default());
            futures::pin_mut!(embedded);
            loop {
                let next = tokio::select! {
                    next = embedded.next() => next,
                    () = job.cancelled() => return Err(cancelled()),
                };
                let Some(some) = next.transpose()? else { break };
                let number = some.len();
                done += number;
                // Not dropped half way: what is written after the removal of the rest would stay.
                let upsert = UpsertChunks {
                    index_id: store.id.clone(),
                    chunks: some,
                };
                let stored = timed(&meters.store, provider.upsert_chunks(&context, upsert)).await;
                stored.map_err(of_server)?;
                meters.chunks.increment(number as u64);
                job.save(&Checkpoint { chunks: total, done }).await?;
                job.progress(done as u64, Some(total as u64));
                if self.waiting(attachment).await?.is_none() {
                    return Ok(None);
                }
            }
        }
        if job.attempt() > 1 {
            // An earlier one may have cut the file differently.
            let last = chunks.last().map(|chunk| chunk.position);
            let document_id = kept::document_of_file(attachment);
            let trimmed = trim(&*provider, &context, &store.id, &document_id, last).await;
            trimmed.map_err(of_server)?;
        }
        meters.files.increment(1);
        meters.bytes.increment(bytes);
        let usage = |chunk: &Chunk| kept::usage_of(&chunk.text, store.embedding_dimension);
        Ok(Some(Outcome {
            usage_bytes: chunks.iter().map(usage).sum(),
            revision: file.revision,
        }))
    }

    /// The file with its store, if somebody still waits for it.
    async fn waiting(&self, attachment: &str) -> Result<Option<(StoreRow, FileRow)>> {
        let tables = self.tables().await?;
        let file = tables.attachment(attachment).await?;
        let Some(file) = file.filter(|file| file.is_live && file.status == StoreFileStatus::InProgress) else {
            return Ok(None);
        };
        let store = tables.any_store(&file.store_id).await?;
        let store = store.filter(|store| store.state == StoreState::Live);
        Ok(store.map(|store| (store, file)))
    }

    /// Reads the file and cuts it. Answers how many bytes it has, too.
    async fn read(&self, context: &RequestContext, file: &FileRow) -> Result<(ProcessedFile, u64)> {
        let processors = self.surroundings().file_processors().map_err(of_server)?;
        if let Some(document) = self.tables().await?.document_of(&file.attachment).await? {
            let bytes = document.content.len() as u64;
            let request = document.to_process(file.chunking.clone());
            let processed = processors.process_file(context, request).await;
            return Ok((processed.map_err(of_file_itself)?, bytes));
        }
        let files = self.surroundings().files().map_err(of_server)?;
        let content = files
            .content(context, &file.file_id, None)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => {
                    let message = format!("the file `{}` was deleted before it was ingested", file.file_id);
                    Error::not_found(message).with_code(LastErrorCode::InvalidFile.name())
                }
                _ => of_server(error),
            })?;
        let bytes = content.range.end - content.range.start;
        let request = ProcessFile {
            name: Some(file.filename.clone()),
            chunking: Some(file.chunking.clone()),
            ..ProcessFile::new(FileSource::Stream(content.content))
        };
        let processed = processors.process_file(context, request).await;
        Ok((processed.map_err(of_file_itself)?, bytes))
    }

    /// The chunks with their vectors, in batches, in their order.
    fn embedded<'a>(
        &'a self,
        context: &'a RequestContext,
        store: &'a StoreRow,
        chunks: &'a [Chunk],
    ) -> impl Stream<Item = Result<Vec<Chunk>>> + 'a {
        let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        let batches = embedding::batches(&texts);
        stream::iter(batches)
            .map(move |range| {
                let texts: Vec<&str> = texts.get(range.clone()).unwrap_or_default().to_vec();
                async move {
                    let vectors = embedding::embed(
                        self.surroundings(),
                        context,
                        &store.embedding_model,
                        store.embedding_dimension,
                        &texts,
                    );
                    let vectors = timed(&self.meters().embed, vectors).await.map_err(of_server)?;
                    let chunks = chunks.get(range).unwrap_or_default().iter().zip(vectors);
                    Ok(chunks
                        .map(|(chunk, vector)| Chunk {
                            vector,
                            ..chunk.clone()
                        })
                        .collect())
                }
            })
            .buffered(EMBEDDED_AHEAD)
    }
}

fn cancelled() -> Error {
    Error::cancelled("the ingestion was cancelled")
}

/// An error that is no fault of the file's.
fn of_server(error: Error) -> Error {
    error.with_code(LastErrorCode::ServerError.name())
}

/// An error of what reads files: the file's fault, unless it may pass or is a fault of the server's own.
fn of_file_itself(error: Error) -> Error {
    let code = match error.kind() {
        ErrorKind::Unsupported => LastErrorCode::UnsupportedFile,
        // What a client could name wrongly here, beside the file, is the model that puts chunks in context.
        ErrorKind::InvalidRequest | ErrorKind::TooLarge if error.param().is_none_or(|param| param == "file") => {
            LastErrorCode::InvalidFile
        }
        _ => LastErrorCode::ServerError,
    };
    error.with_code(code.name())
}

/// What a client may see of a failure.
fn shown_failure(failure: &puna_jobs::JobFailure) -> String {
    match failure.kind {
        ErrorKind::Internal => "the server could not ingest the file; its log says why".to_owned(),
        _ => failure.message.clone(),
    }
}
