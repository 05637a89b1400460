//! One line in the log for each request, and its measurements.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, StatusCode};
use puna_api::{Error, RequestContext};
use tracing::Level;

use crate::error::CLIENT_CLOSED_REQUEST;
use crate::metrics::{EndpointMetrics, Generation, Outcome};

/// What is known of a request; it is written and measured when this goes, however the request ends. Target `puna::request`.
///
/// A fault of the server's own is an error line, a service that failed a warning, and everything else is informational, what a client did
/// wrong included.
pub(crate) struct RequestLog {
    started: Instant,
    context: RequestContext,
    method: Method,
    path: Cow<'static, str>,
    model: Option<String>,
    stream: bool,
    bytes_in: usize,
    bytes_out: usize,
    end: End,
    metrics: Option<Arc<EndpointMetrics>>,
    generation: Option<Generation>,
}

enum End {
    /// Nothing was answered yet, or not all of it: if it ends here, the client has gone.
    Open { status: Option<StatusCode> },
    /// The whole answer was made.
    Complete { status: StatusCode },
    /// It failed; with a status of 200 in the middle of a stream.
    Failed { status: StatusCode, error: Error },
}

impl RequestLog {
    /// Starts the line of a request that came at `started`. The path is the pattern that it matched, or what it asked for in vain.
    pub(crate) fn start(
        started: Instant,
        context: RequestContext,
        method: Method,
        path: Cow<'static, str>,
        metrics: Option<Arc<EndpointMetrics>>,
    ) -> Self {
        if let Some(metrics) = &metrics {
            metrics.begin();
        }
        Self {
            metrics,
            generation: None,
            started,
            context,
            method,
            path,
            model: None,
            stream: false,
            bytes_in: 0,
            bytes_out: 0,
            end: End::Open { status: None },
        }
    }

    pub(crate) fn request_id(&self) -> &str {
        self.context.request_id()
    }

    /// Notes which model was asked for, and whether a stream.
    pub(crate) fn note_model(&mut self, model: &str, stream: bool) {
        self.model = Some(model.to_owned());
        self.stream = stream;
    }

    /// From here on the request is measured as one that a model answers.
    pub(crate) fn note_generation(&mut self, generation: Option<Generation>) {
        self.generation = generation;
    }

    /// Sees an answer, or a chunk of one, as it goes out.
    pub(crate) fn look_at(&mut self, document: &[u8]) {
        if let Some(generation) = &mut self.generation {
            generation.look_at(document);
        }
    }

    pub(crate) fn note_bytes_in(&mut self, bytes: usize) {
        self.bytes_in = bytes;
    }

    pub(crate) fn add_bytes_out(&mut self, bytes: usize) {
        self.bytes_out += bytes;
    }

    /// A stream begins: its first chunk is there.
    pub(crate) fn open(&mut self, status: StatusCode) {
        if let Some(generation) = &mut self.generation {
            generation.first_chunk(self.started.elapsed());
        }
        self.end = End::Open { status: Some(status) };
    }

    /// The stream that was begun is whole.
    pub(crate) fn complete(&mut self) {
        if let Some(generation) = &mut self.generation {
            generation.last_chunk(self.started.elapsed());
        }
        if let End::Open { status: Some(status) } = self.end {
            self.end = End::Complete { status };
        }
    }

    /// The stream that was begun fails.
    pub(crate) fn fail(&mut self, error: Error) {
        self.end = End::Failed {
            status: StatusCode::OK,
            error,
        };
    }

    /// The whole answer is made.
    pub(crate) fn answered(&mut self, status: StatusCode, error: Option<Error>, bytes: usize) {
        self.bytes_out = bytes;
        self.end = match error {
            Some(error) => End::Failed { status, error },
            None => End::Complete { status },
        };
    }

    fn level(&self) -> Level {
        match &self.end {
            End::Failed { error, .. } => match crate::error::status(error).as_u16() {
                500 | 501 | 505.. => Level::ERROR,
                502..=504 => Level::WARN,
                _ => Level::INFO,
            },
            End::Open { .. } | End::Complete { .. } => Level::INFO,
        }
    }
}

macro_rules! line {
    ($level:expr, $log:expr, $status:expr, $outcome:expr, $error:expr) => {
        tracing::event!(
            target: "puna::request",
            $level,
            request_id = $log.context.request_id(),
            method = $log.method.as_str(),
            path = &*$log.path,
            status = $status,
            outcome = $outcome,
            duration_us = u64::try_from($log.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            principal = $log.context.principal().map(|principal| principal.name.as_str()),
            model = $log.model.as_deref(),
            stream = $log.stream,
            bytes_in = $log.bytes_in,
            bytes_out = $log.bytes_out,
            error = $error,
        )
    };
}

impl RequestLog {
    fn measure(&self, status: u16) {
        let Some(metrics) = &self.metrics else { return };
        let elapsed = self.started.elapsed();
        metrics.end(&self.method, status, elapsed);
        if let Some(generation) = &self.generation {
            let outcome = match &self.end {
                End::Open { .. } => Outcome::Cancelled,
                End::Complete { .. } => Outcome::Complete,
                End::Failed { error, .. } => Outcome::Failed(error),
            };
            generation.end(outcome, elapsed);
        }
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        let (status, outcome) = match &self.end {
            End::Open { status } => (
                status.map_or(CLIENT_CLOSED_REQUEST, |status| status.as_u16()),
                "client_gone",
            ),
            End::Complete { status } => (status.as_u16(), "complete"),
            End::Failed { status, .. } => (status.as_u16(), "failed"),
        };
        self.measure(status);
        let error = match &self.end {
            End::Failed { error, .. } => Some(explain(error)),
            End::Open { .. } | End::Complete { .. } => None,
        };
        match self.level() {
            Level::ERROR => line!(Level::ERROR, self, status, outcome, error),
            Level::WARN => line!(Level::WARN, self, status, outcome, error),
            _ => line!(Level::INFO, self, status, outcome, error),
        }
    }
}

/// The message, the context and the causes, in one line.
fn explain(error: &Error) -> String {
    let mut text = error.message().to_owned();
    for context in error.context() {
        let _ = write!(text, "; {context}");
    }
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, "; caused by: {cause}");
        source = cause.source();
    }
    text
}
