//! Request bodies.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// A request body of known length, as pieces that are sent one after the other without being copied together.
#[derive(Debug, Clone, Default)]
pub struct Body {
    segments: std::vec::IntoIter<Bytes>,
    remaining: u64,
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The number of bytes that are still to be sent.
    pub fn len(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }
}

impl From<Vec<Bytes>> for Body {
    fn from(mut segments: Vec<Bytes>) -> Self {
        segments.retain(|segment| !segment.is_empty());
        let remaining = segments.iter().map(|segment| segment.len() as u64).sum();
        Self {
            segments: segments.into_iter(),
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
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let segment = self.segments.next();
        if let Some(segment) = &segment {
            self.remaining -= segment.len() as u64;
        }
        Poll::Ready(segment.map(|segment| Ok(Frame::data(segment))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
