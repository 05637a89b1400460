//! Bodies of answers that are no JSON.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use puna_api::{BoxStream, Error, Result};

use crate::request_log::RequestLog;

/// So many bytes, as they come. A fault breaks the connection off, so that nobody takes a part for the whole. The request's log line is written
/// when the body goes.
pub(crate) struct ContentBody {
    content: Option<BoxStream<Result<Bytes>>>,
    left: u64,
    log: RequestLog,
}

impl ContentBody {
    pub(crate) fn new(content: BoxStream<Result<Bytes>>, length: u64, mut log: RequestLog) -> Self {
        if length == 0 {
            log.complete();
        }
        Self {
            content: (length > 0).then_some(content),
            left: length,
            log,
        }
    }

    fn fail(&mut self, error: Error) -> std::io::Error {
        self.content = None;
        self.log.fail(error);
        std::io::Error::other("the content of the answer failed")
    }
}

impl http_body::Body for ContentBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(content) = &mut this.content else {
            return Poll::Ready(None);
        };
        let piece = match content.as_mut().poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(piece))) => piece,
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(this.fail(error)))),
            Poll::Ready(None) => {
                let error = Error::internal(format!("{} bytes of the content are missing", this.left));
                return Poll::Ready(Some(Err(this.fail(error))));
            }
        };
        let Some(left) = this.left.checked_sub(piece.len() as u64) else {
            let error = Error::internal("there are more bytes of the content than there should be");
            return Poll::Ready(Some(Err(this.fail(error))));
        };
        this.left = left;
        this.log.add_bytes_out(piece.len());
        if left == 0 {
            this.content = None;
            this.log.complete();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
