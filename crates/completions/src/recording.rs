//! An answer on its way to the client, and to the table.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use puna_api::{BoxStream, ChatCompletion, ChatCompletionChunk, Error, Json, RequestContext, Result};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::Metadata;
use crate::edit::{with_members, with_members_replaced};
use crate::entry::{Answer, Entry};
use crate::stored::{ID_PREFIX, StoredCompletions};
use crate::writer::not_kept;

/// How long an answer waits where the queue is full.
const PATIENCE: Duration = Duration::from_secs(1);

/// Records the answer to one request. Dropped, it keeps nothing, but for a stream whose every choice had ended.
#[derive(Debug)]
pub struct Recording {
    store: Arc<StoredCompletions>,
    entry: Entry,
    is_asked: bool,
}

impl Recording {
    pub(crate) fn new(
        store: Arc<StoredCompletions>,
        context: &RequestContext,
        model: &str,
        request: Bytes,
        metadata: Metadata,
        is_asked: bool,
    ) -> Self {
        let entry = Entry {
            id: format!("{ID_PREFIX}{}", Uuid::now_v7().simple()),
            model: model.to_owned(),
            request_id: context.request_id().to_owned(),
            metadata,
            request,
            answer: Answer::Whole(Bytes::new()),
            waiting: None,
        };
        Self { store, entry, is_asked }
    }

    /// The request as a provider is to have it. What this server was asked to keep is not for others to keep too, and they may not take notes
    /// on what they do not keep.
    pub fn request(&self) -> Result<Bytes> {
        if !self.is_asked {
            return Ok(self.entry.request.clone());
        }
        with_members_replaced(&self.entry.request, &[("store", "false"), ("metadata", "null")])
            .map_err(|error| Error::internal("a request is not a JSON object").with_source(error))
    }

    /// Keeps an answer that came in one piece. Answers it as the client is to have it: with the id that it is kept under.
    pub async fn keep(mut self, answer: &Json<ChatCompletion>) -> Result<Json<ChatCompletion>> {
        let answer = self.with_id(answer.bytes()?)?;
        self.entry.answer = Answer::Whole(answer.clone());
        self.submit().await?;
        Ok(Json::from_bytes(answer))
    }

    /// Keeps an answer that comes in chunks, once it has ended.
    pub fn stream(
        self,
        mut chunks: BoxStream<Result<Json<ChatCompletionChunk>>>,
    ) -> BoxStream<Result<Json<ChatCompletionChunk>>> {
        let mut tape = Tape {
            recording: Some(self),
            documents: Vec::new(),
        };
        let recorded = async_stream::try_stream! {
            while let Some(chunk) = chunks.next().await {
                yield tape.add(chunk)?;
            }
            tape.keep().await?;
        };
        recorded.boxed()
    }

    fn with_id(&self, document: &[u8]) -> Result<Bytes> {
        let id = Value::from(self.entry.id.as_str()).to_string();
        with_members(document, &[("id", &id)])
            .map_err(|error| Error::unavailable("the provider answered what is not a JSON object").with_source(error))
    }

    /// Puts the entry into the queue. Who asked waits until it is on the disk.
    async fn submit(mut self) -> Result<()> {
        let told = self.is_asked.then(|| {
            let (tell, told) = oneshot::channel();
            self.entry.waiting = Some(tell);
            told
        });
        if let Some(entry) = self.store.queue.put(self.entry, PATIENCE).await {
            let error = full();
            self.store.lose(&entry.id, &error);
            return match told {
                Some(_) => Err(not_kept(&error)),
                None => Ok(()),
            };
        }
        match told {
            // A writer that is gone without a word has been cut off at the end of the server.
            Some(told) => told
                .await
                .unwrap_or_else(|_| Err(not_kept(&Error::unavailable("the server is ending")))),
            None => Ok(()),
        }
    }
}

/// The chunks of a stream that went to the client so far.
struct Tape {
    /// None once it is of no use any more.
    recording: Option<Recording>,
    documents: Vec<u8>,
}

impl Tape {
    fn add(&mut self, chunk: Result<Json<ChatCompletionChunk>>) -> Result<Json<ChatCompletionChunk>> {
        let added = chunk.and_then(|chunk| match &self.recording {
            Some(recording) => recording.with_id(chunk.bytes()?),
            None => chunk.bytes().cloned(),
        });
        let document = match added {
            Ok(document) => document,
            Err(error) => {
                self.recording = None;
                return Err(error);
            }
        };
        self.documents.extend_from_slice(&document);
        self.documents.push(b'\n');
        Ok(Json::from_bytes(document))
    }

    async fn keep(&mut self) -> Result<()> {
        let Some(mut recording) = self.recording.take() else {
            return Ok(());
        };
        recording.entry.answer = Answer::Chunks {
            documents: std::mem::take(&mut self.documents),
            is_cut: false,
        };
        recording.submit().await
    }
}

impl Drop for Tape {
    /// Many a client goes as soon as it has the reason why the last choice ended.
    fn drop(&mut self) {
        let Some(mut recording) = self.recording.take().filter(|_| !self.documents.is_empty()) else {
            return;
        };
        recording.entry.answer = Answer::Chunks {
            documents: std::mem::take(&mut self.documents),
            is_cut: true,
        };
        if let Some(entry) = recording.store.queue.try_put(recording.entry) {
            recording.store.lose(&entry.id, &full());
        }
    }
}

fn full() -> Error {
    Error::unavailable("too many chat completions wait to be written").with_retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests;
