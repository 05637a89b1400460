//! Server-sent events, as OpenAI's API has them: `data:` lines without names, and `[DONE]` at the end.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use futures::{StreamExt, stream};
use http_body::Frame;
use memchr::memchr2;
use puna_api::{BoxStream, Error, Json, Result};
use serde::Serialize;

use crate::request_log::RequestLog;
use crate::routes::ErrorBody;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// Events take their memory from blocks of this size.
const BLOCK_BYTES: usize = 8 << 10;

/// The documents of a stream whose first one has come: what fails before that is an ordinary answer with its status.
pub(crate) async fn started<T>(mut documents: BoxStream<Result<Json<T>>>) -> Result<BoxStream<Result<Bytes>>>
where
    T: Serialize + Send + 'static,
{
    let first = match documents.next().await {
        Some(first) => Some(first?),
        None => None,
    };
    let encode = |document: Json<T>| document.bytes().cloned();
    Ok(stream::iter(first.map(encode))
        .chain(documents.map(move |document| encode(document?)))
        .boxed())
}

/// The body of an answer that streams documents: each is one event and one frame, which the connection writes at once.
///
/// An error, or a panic, ends it with the dialect's error event and without `[DONE]`. Dropping it drops the stream, and with that the work
/// behind it. The request's log line is written when the body goes.
pub(crate) struct EventBody {
    documents: Option<BoxStream<Result<Bytes>>>,
    block: BytesMut,
    error_body: ErrorBody,
    log: RequestLog,
}

impl EventBody {
    pub(crate) fn new(documents: BoxStream<Result<Bytes>>, error_body: ErrorBody, log: RequestLog) -> Self {
        Self {
            documents: Some(documents),
            block: BytesMut::new(),
            error_body,
            log,
        }
    }

    fn event(&mut self, document: &[u8]) -> Bytes {
        let length = document.len() + 8;
        if self.block.capacity() < length {
            self.block.reserve(length.max(BLOCK_BYTES));
        }
        self.block.put_slice(b"data: ");
        let start = self.block.len();
        self.block.put_slice(document);
        // A line break would end the event's line. In JSON it can only stand between tokens, where a space does as well.
        let mut rest = &mut self.block[start..];
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            rest[at] = b' ';
            rest = &mut rest[at + 1..];
        }
        self.block.put_slice(b"\n\n");
        self.block.split().freeze()
    }

    fn failed(&mut self, error: Error) -> Bytes {
        let body = (self.error_body)(&error, self.log.request_id());
        self.log.fail(error);
        self.event(&body)
    }
}

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(documents) = &mut this.documents else {
            return Poll::Ready(None);
        };
        let polled = catch_unwind(AssertUnwindSafe(|| documents.as_mut().poll_next(cx)));
        let event = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Some(Ok(document)))) => {
                this.log.look_at(&document);
                this.event(&document)
            }
            Ok(Poll::Ready(None)) => {
                this.documents = None;
                this.log.complete();
                Bytes::from_static(DONE)
            }
            Ok(Poll::Ready(Some(Err(error)))) => {
                this.documents = None;
                this.failed(error)
            }
            Err(panic) => {
                this.documents = None;
                this.failed(panicked(&*panic))
            }
        };
        this.log.add_bytes_out(event.len());
        Poll::Ready(Some(Ok(Frame::data(event))))
    }

    fn is_end_stream(&self) -> bool {
        self.documents.is_none()
    }
}

/// The error that stands for a panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .map(|message| (*message).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "of an unknown kind".to_owned());
    Error::internal("a request panicked").with_context(format!("panic: {message}"))
}
