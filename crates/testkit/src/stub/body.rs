//! Response bodies that know whether they were read to their end.

use std::convert::Infallible;
use std::io;
use std::iter::Peekable;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::sync::watch;

use super::received::Outcome;

/// A body made of writes.
pub(super) struct StubBody {
    writes: Peekable<Box<dyn Iterator<Item = Bytes> + Send>>,
    end: End,
    progress: Progress,
    /// Whether the last write is still to be flushed.
    pause: bool,
}

/// What comes after the last write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The proper end.
    Proper,
    /// The connection closes without it.
    Disconnect,
    /// Nothing at all.
    Stall,
}

/// Reports how an answer ended: as abandoned, when it is dropped before [`Progress::finish`].
pub(super) struct Progress(watch::Sender<Outcome>);

impl Progress {
    pub(super) fn new() -> (Self, watch::Receiver<Outcome>) {
        let (sender, receiver) = watch::channel(Outcome::Open);
        (Self(sender), receiver)
    }

    pub(super) fn finish(&self) {
        self.0.send_replace(Outcome::Answered);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.send_if_modified(|outcome| {
            let open = *outcome == Outcome::Open;
            if open {
                *outcome = Outcome::Abandoned;
            }
            open
        });
    }
}

impl StubBody {
    pub(super) fn new(writes: impl Iterator<Item = Bytes> + Send + 'static, end: End, progress: Progress) -> Self {
        Self {
            writes: (Box::new(writes) as Box<dyn Iterator<Item = Bytes> + Send>).peekable(),
            end,
            progress,
            pause: false,
        }
    }
}

impl Body for StubBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if std::mem::take(&mut self.pause) {
            // hyper flushes what it has when there is no more, so each write goes out alone.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(write) = self.writes.next() {
            self.pause = true;
            // A body of a known length is dropped once it has all, and not asked for its end.
            if self.end != End::Stall && self.writes.peek().is_none() {
                self.progress.finish();
            }
            return Poll::Ready(Some(Ok(Frame::data(write))));
        }
        match self.end {
            End::Proper => {
                self.progress.finish();
                Poll::Ready(None)
            }
            End::Disconnect => {
                self.progress.finish();
                Poll::Ready(Some(Err(io::Error::other("the stub closes the connection"))))
            }
            End::Stall => Poll::Pending,
        }
    }
}

/// The one write of a plain body.
pub(super) fn once(write: impl Into<Bytes>) -> impl Iterator<Item = Bytes> + Send + 'static {
    std::iter::once(write.into())
}

/// Waits for ever, and reports when the client gives up.
pub(super) async fn hang(progress: Progress) -> Result<Infallible, Infallible> {
    let _progress = progress;
    std::future::pending().await
}
