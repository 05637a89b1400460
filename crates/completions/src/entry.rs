//! A chat completion on its way to the table.

use bytes::Bytes;
use puna_api::Result;
use tokio::sync::oneshot;

use crate::Metadata;

/// What is known of a completion when its answer has ended.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// As the client named it.
    pub(crate) model: String,
    pub(crate) request_id: String,
    pub(crate) metadata: Metadata,
    /// The request's body, as it came.
    pub(crate) request: Bytes,
    pub(crate) answer: Answer,
    /// Who waits to hear that it is kept.
    pub(crate) waiting: Option<oneshot::Sender<Result<()>>>,
}

/// An answer, as JSON that the client had.
#[derive(Debug)]
pub(crate) enum Answer {
    /// In one piece.
    Whole(Bytes),
    /// The chunks of a stream, one after the other.
    Chunks {
        documents: Vec<u8>,
        /// Whether nobody saw the stream's end.
        is_cut: bool,
    },
}

impl Entry {
    /// How much memory it takes, but for a few bytes.
    pub(crate) fn bytes(&self) -> usize {
        let answer = match &self.answer {
            Answer::Whole(document) => document.len(),
            Answer::Chunks { documents, .. } => documents.len(),
        };
        self.request.len() + answer
    }

    /// Tells who waits what came of it.
    pub(crate) fn tell(waiting: Option<oneshot::Sender<Result<()>>>, outcome: Result<()>) {
        if let Some(waiting) = waiting {
            // Who waited may have gone.
            let _ = waiting.send(outcome);
        }
    }
}
