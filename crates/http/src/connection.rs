//! One HTTP/1.1 connection, driven by whoever uses it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::runtime;
use tokio::task::unconstrained;

use crate::body::Body;
use crate::transport::{Probe, Transport};

/// A connection that was used less than this ago is taken to be open without looking at its socket.
const TRUSTED: Duration = Duration::from_millis(200);

/// A connection and the state of hyper's protocol machine.
///
/// The usual way is to spawn the machine as a task of its own and to talk to it through channels, which costs two switches between tasks
/// for every message and piece of body. Here the task that waits for an answer drives the machine itself; dropping the connection, at any time,
/// closes it.
pub(crate) struct Connection {
    sender: http1::SendRequest<Body>,
    machine: http1::Connection<TokioIo<Transport>, Body>,
    probe: Probe,
    /// The machine has ended; it must not be polled again.
    is_closed: bool,
    /// The unread end of the last answer.
    rest: Option<Incoming>,
    last_used: Instant,
    /// The runtime that wakes its tasks.
    runtime: runtime::Id,
}

/// Why a request has no answer.
pub(crate) struct SendError {
    pub(crate) error: hyper::Error,
    /// The request, where nothing of it was sent.
    pub(crate) unsent: Option<http::Request<Body>>,
}

impl Connection {
    /// Starts HTTP on a new transport.
    pub(crate) async fn open(transport: Transport, probe: Probe) -> Result<Self, hyper::Error> {
        let (sender, machine) = http1::handshake(TokioIo::new(transport)).await?;
        Ok(Self {
            sender,
            machine,
            probe,
            is_closed: false,
            rest: None,
            last_used: Instant::now(),
            runtime: runtime::Handle::current().id(),
        })
    }

    pub(crate) fn runtime(&self) -> runtime::Id {
        self.runtime
    }

    pub(crate) fn last_used(&self) -> Instant {
        self.last_used
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(&mut self, request: http::Request<Body>) -> Result<http::Response<Incoming>, SendError> {
        // The machine answers from within its own turn, so nobody has to be woken when it does. Without the exemption from tokio's
        // cooperation budget the answer could be withheld with no wake-up to follow.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        let machine = &mut self.machine;
        let is_closed = &mut self.is_closed;
        poll_fn(|cx| {
            if !*is_closed {
                *is_closed = Pin::new(&mut *machine).poll(cx).is_ready();
            }
            answer
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .map_err(|mut failure| SendError {
                    unsent: failure.take_message(),
                    error: failure.into_error(),
                })
        })
        .await
    }

    /// The next piece of the answer's body.
    pub(crate) fn poll_body(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<bytes::Bytes, hyper::Error>>> {
        loop {
            let mut quiet = Context::from_waker(Waker::noop());
            let mut frame = Pin::new(&mut *body).poll_frame(&mut quiet);
            if frame.is_pending() && !self.is_closed {
                self.is_closed = Pin::new(&mut self.machine).poll(cx).is_ready();
                frame = Pin::new(&mut *body).poll_frame(&mut quiet);
            }
            return match frame {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    // Trailers say nothing that anybody here wants to know.
                    Err(_) => continue,
                },
            };
        }
    }

    /// Prepares the connection for its next request; `rest` is the body of the last answer if its end was not seen.
    /// False when the connection is of no more use.
    pub(crate) fn retire(&mut self, rest: Option<Incoming>) -> bool {
        self.last_used = Instant::now();
        self.rest = rest;
        // This also makes the connection forget the task that used it.
        self.turn();
        !self.is_closed
    }

    /// Whether the connection can take a request now.
    pub(crate) fn is_usable(&mut self) -> Usability {
        self.turn();
        if self.is_closed {
            return Usability::Never;
        }
        if let Some(mut rest) = self.rest.take() {
            match self.poll_body(&mut rest, &mut Context::from_waker(Waker::noop())) {
                Poll::Ready(None) => self.turn(),
                Poll::Ready(Some(_)) => return Usability::Never,
                Poll::Pending => {
                    self.rest = Some(rest);
                    return Usability::NotYet;
                }
            }
        }
        if !self.is_closed && self.last_used.elapsed() > TRUSTED {
            self.probe.request();
            self.turn();
        }
        if !self.is_closed && self.sender.is_ready() {
            Usability::Now
        } else {
            Usability::Never
        }
    }

    /// As if the connection had not been used for this long.
    #[cfg(test)]
    pub(crate) fn grow_older(&mut self, by: Duration) {
        self.last_used -= by;
    }

    /// Lets the machine do what it can without waiting.
    fn turn(&mut self) {
        if !self.is_closed {
            self.is_closed = Pin::new(&mut self.machine)
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready();
        }
    }
}

/// Whether a connection can take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usability {
    Now,
    /// The end of the last answer has not arrived.
    NotYet,
    Never,
}
