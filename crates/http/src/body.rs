//! Request bodies.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::StreamExt;
use http_body::{Frame, SizeHint};
use puna_api::{BoxStream, Error, Result};

/// A request body of known length: pieces that are sent one after the other without being copied together.
#[derive(Debug)]
pub struct Body {
    content: Content,
    remaining: u64,
}

enum Content {
    Segments(std::vec::IntoIter<Bytes>),
    /// The lock is there for the type's sake: nobody waits for it.
    Stream(Mutex<BoxStream<Result<Bytes>>>, Arc<AtomicU64>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::from(Vec::new())
    }

    /// A body of `length` bytes that are made while they are sent. One that turns out longer or shorter, and one that fails, ends the request.
    /// It can be sent once only, so its request gets a connection of its own.
    pub fn stream(length: u64, content: BoxStream<Result<Bytes>>) -> Self {
        Self {
            content: Content::Stream(Mutex::new(content), Arc::default()),
            remaining: length,
        }
    }

    /// The number of bytes that are still to be sent.
    pub fn len(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// The same body again, where it can be had twice.
    pub(crate) fn again(&self) -> Option<Self> {
        match &self.content {
            Content::Segments(segments) => Some(Self {
                content: Content::Segments(segments.clone()),
                remaining: self.remaining,
            }),
            Content::Stream(..) => None,
        }
    }

    /// Counts what was handed to the connection, for a body that takes its time.
    pub(crate) fn progress(&self) -> Option<Arc<AtomicU64>> {
        match &self.content {
            Content::Segments(_) => None,
            Content::Stream(_, sent) => Some(Arc::clone(sent)),
        }
    }
}

impl From<Vec<Bytes>> for Body {
    fn from(mut segments: Vec<Bytes>) -> Self {
        segments.retain(|segment| !segment.is_empty());
        let remaining = segments.iter().map(|segment| segment.len() as u64).sum();
        Self {
            content: Content::Segments(segments.into_iter()),
            remaining,
        }
    }
}

impl From<Bytes> for Body {
    fn from(segment: Bytes) -> Self {
        Self::from(vec![segment])
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let remaining = self.remaining;
        let piece = match &mut self.content {
            Content::Segments(segments) => segments.next().map(Ok),
            Content::Stream(stream, sent) => {
                let stream = stream.get_mut().unwrap_or_else(PoisonError::into_inner);
                let piece = loop {
                    match ready!(stream.poll_next_unpin(cx)) {
                        Some(Ok(piece)) if piece.is_empty() => {}
                        Some(Ok(piece)) if piece.len() as u64 > remaining => break Some(Err(longer())),
                        None if remaining > 0 => break Some(Err(shorter(remaining))),
                        piece => break piece,
                    }
                };
                if let Some(Ok(piece)) = &piece {
                    sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                }
                piece
            }
        };
        if let Some(Ok(piece)) = &piece {
            self.remaining -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

fn longer() -> Error {
    Error::internal("the body of a request is longer than it was said to be")
}

fn shorter(missing: u64) -> Error {
    Error::internal(format!(
        "the body of a request ended {missing} bytes before the length it was said to have"
    ))
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segments(segments) => f.debug_tuple("Segments").field(segments).finish(),
            Self::Stream(_, sent) => f.debug_tuple("Stream").field(sent).finish(),
        }
    }
}
