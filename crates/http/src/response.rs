//! Answers, and their bodies as they arrive.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use puna_api::{Error, Result};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::client::{Call, Client};
use crate::connection::Connection;
use crate::error::Failure;
use crate::pool;

/// An answer: its status and headers are here, its body is on the way.
#[derive(Debug)]
pub struct Response {
    /// The status. Every status is a response; what to make of it is the caller's matter.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: ResponseBody,
}

/// The body of an answer as it arrives. Dropping it before its end closes the connection, which tells the server to stop.
pub struct ResponseBody {
    client: Client,
    /// Both are gone after the end.
    incoming: Option<Incoming>,
    connection: Option<Box<Connection>>,
    timer: Option<Pin<Box<Sleep>>>,
    last_piece: Instant,
    deadline: Option<Instant>,
    call: Call,
}

impl ResponseBody {
    pub(crate) fn new(
        client: Client,
        incoming: Incoming,
        connection: Box<Connection>,
        deadline: Option<Instant>,
        call: Call,
    ) -> Self {
        let mut body = Self {
            client,
            incoming: Some(incoming),
            connection: Some(connection),
            timer: None,
            last_piece: Instant::now(),
            deadline,
            call,
        };
        body.release_at_end();
        body
    }

    /// The next piece; `None` at the end. Pieces are as large as the network made them.
    pub fn poll_next_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let (Some(incoming), Some(connection)) = (&mut self.incoming, &mut self.connection) else {
            return Poll::Ready(None);
        };
        match connection.poll_body(incoming, cx) {
            Poll::Ready(Some(Ok(piece))) => {
                self.last_piece = Instant::now();
                self.release_at_end();
                Poll::Ready(Some(Ok(piece)))
            }
            Poll::Ready(None) => {
                self.release(None);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.fail(Failure::Broken(error))))),
            Poll::Pending => self.poll_timer(cx).map(|failure| Some(Err(self.fail(failure)))),
        }
    }

    /// The whole body. Fails as unavailable when it is longer than `limit` bytes.
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes> {
        let Some(first) = self.next_piece(0, limit).await? else {
            return Ok(Bytes::new());
        };
        // Most answers arrive in one piece, which needs no copy.
        let Some(second) = self.next_piece(first.len(), limit).await? else {
            return Ok(first);
        };
        let mut all = BytesMut::with_capacity((first.len() + second.len()).next_power_of_two());
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.next_piece(all.len(), limit).await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The body up to `limit` bytes; the rest is not waited for.
    pub async fn bytes_up_to(mut self, limit: usize) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(mut piece) = poll_fn(|cx| self.poll_next_piece(cx)).await.transpose()? {
            piece.truncate(limit - all.len());
            all.extend_from_slice(&piece);
            if all.len() == limit {
                break;
            }
        }
        Ok(all.freeze())
    }

    /// Says that the rest of the body is of no interest because the message in it is complete. The connection is kept if the end follows
    /// soon, and closed otherwise.
    pub fn finish(mut self) {
        let rest = self.incoming.take();
        self.release(rest);
    }

    async fn next_piece(&mut self, so_far: usize, limit: usize) -> Result<Option<Bytes>> {
        let piece = poll_fn(|cx| self.poll_next_piece(cx)).await.transpose()?;
        match piece {
            Some(piece) if piece.len() > limit.saturating_sub(so_far) => Err(self.fail(Failure::TooLarge { limit })),
            piece => Ok(piece),
        }
    }

    /// Why to wait no longer, when the time has come.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            let read = self.client.timeouts().read;
            let due = self.last_piece + read;
            let due = self.deadline.map_or(due, |deadline| deadline.min(due));
            // The timer is set once and moved only when it rings, rather than with every piece.
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(Failure::Deadline);
            }
            if due <= now {
                return Poll::Ready(Failure::ReadTimeout(read));
            }
            timer.as_mut().reset(due);
        }
    }

    fn release_at_end(&mut self) {
        if self.incoming.as_ref().is_some_and(http_body::Body::is_end_stream) {
            self.release(None);
        }
    }

    fn release(&mut self, rest: Option<Incoming>) {
        self.incoming = None;
        if let Some(mut connection) = self.connection.take()
            && connection.retire(rest)
        {
            let (id, owner) = self.client.pool_key();
            pool::put(id, owner, connection);
        }
    }

    fn fail(&mut self, failure: Failure) -> Error {
        self.incoming = None;
        self.connection = None;
        self.client.error(failure, &self.call)
    }
}

impl Stream for ResponseBody {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.poll_next_piece(cx)
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody")
            .field("of", &self.call)
            .finish_non_exhaustive()
    }
}

/// How long is left until `deadline`, at most `limit`.
pub(crate) fn earlier(limit: Duration, deadline: Option<Instant>) -> Instant {
    let due = Instant::now() + limit;
    deadline.map_or(due, |deadline| deadline.min(due))
}
