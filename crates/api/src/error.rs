//! The one error type that crosses crate boundaries.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of everything in Puna that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as the caller can act on it. The server maps each kind to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is malformed, or a value in it is out of range. Sending it again unchanged fails again.
    InvalidRequest,
    /// The request, or a part of it, is larger than a configured bound.
    TooLarge,
    /// A named resource (a model, a file, …) does not exist.
    NotFound,
    /// The request contradicts the state of a resource.
    Conflict,
    /// No credentials, or wrong ones.
    Unauthenticated,
    /// Known caller, but not allowed to do this.
    PermissionDenied,
    /// Too many requests; [`Error::retry_after`] says when to try again, where known.
    RateLimited,
    /// The request is valid, but what it asks for is not available from this provider.
    Unsupported,
    /// The server's configuration is wrong.
    Configuration,
    /// A service that the answer depends on cannot be reached, or answered nonsense.
    Unavailable,
    /// The server has no room left to keep something. What it keeps already can still be read and deleted.
    StorageFull,
    /// The deadline passed before the answer was ready.
    Timeout,
    /// The caller, or a shutdown, ended the work.
    Cancelled,
    /// A fault of Puna's own.
    Internal,
}

/// A failure: its kind, a message that is safe to show to the client, and context for the log alone.
///
/// Making an error logs nothing; the server logs each fault once, with the request's id.
pub struct Error(Box<Fields>);

struct Fields {
    kind: ErrorKind,
    message: String,
    param: Option<String>,
    code: Option<String>,
    error_type: Option<String>,
    upstream_status: Option<u16>,
    retry_after: Option<Duration>,
    context: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(ErrorKind::$kind, message)
        })*
    };
}

impl Error {
    /// An error of this kind, with a message that is safe for the client: lower case, no final dot.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            kind,
            message: message.into(),
            param: None,
            code: None,
            error_type: None,
            upstream_status: None,
            retry_after: None,
            context: Vec::new(),
            source: None,
        }))
    }

    constructors! {
        /// See [`ErrorKind::InvalidRequest`].
        invalid_request => InvalidRequest;
        /// See [`ErrorKind::TooLarge`].
        too_large => TooLarge;
        /// See [`ErrorKind::NotFound`].
        not_found => NotFound;
        /// See [`ErrorKind::Conflict`].
        conflict => Conflict;
        /// See [`ErrorKind::Unauthenticated`].
        unauthenticated => Unauthenticated;
        /// See [`ErrorKind::PermissionDenied`].
        permission_denied => PermissionDenied;
        /// See [`ErrorKind::RateLimited`].
        rate_limited => RateLimited;
        /// See [`ErrorKind::Unsupported`].
        unsupported => Unsupported;
        /// See [`ErrorKind::Configuration`].
        configuration => Configuration;
        /// See [`ErrorKind::Unavailable`].
        unavailable => Unavailable;
        /// See [`ErrorKind::StorageFull`].
        storage_full => StorageFull;
        /// See [`ErrorKind::Timeout`].
        timeout => Timeout;
        /// See [`ErrorKind::Cancelled`].
        cancelled => Cancelled;
        /// See [`ErrorKind::Internal`].
        internal => Internal;
    }

    /// Names the request parameter at fault, as a path: `messages[0].content`.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// Sets a machine-readable code, such as OpenAI's `model_not_found`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Keeps an upstream's own error type, such as OpenAI's `invalid_request_error`.
    #[must_use]
    pub fn with_type(mut self, error_type: impl Into<String>) -> Self {
        self.0.error_type = Some(error_type.into());
        self
    }

    /// Keeps the HTTP status that an upstream answered with.
    #[must_use]
    pub fn with_upstream_status(mut self, status: u16) -> Self {
        self.0.upstream_status = Some(status);
        self
    }

    /// Says after which time the same request may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.0.retry_after = Some(retry_after);
        self
    }

    /// Adds a line for the log that the client never sees.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// Keeps the cause, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong, as far as the caller can act on it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The request parameter at fault, as a path.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// The machine-readable code.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The upstream's own error type.
    pub fn error_type(&self) -> Option<&str> {
        self.0.error_type.as_deref()
    }

    /// The HTTP status that an upstream answered with.
    pub fn upstream_status(&self) -> Option<u16> {
        self.0.upstream_status
    }

    /// After which time the same request may succeed, where known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same request may succeed later, unchanged.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::StorageFull | ErrorKind::Timeout
        )
    }

    /// The lines for the log, outermost last.
    pub fn context(&self) -> &[String] {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fields {
            kind,
            message,
            param,
            code,
            error_type,
            upstream_status,
            retry_after,
            context,
            source,
        } = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("kind", kind).field("message", message);
        for (name, value) in [("param", param), ("code", code), ("error_type", error_type)] {
            if let Some(value) = value {
                out.field(name, value);
            }
        }
        if let Some(status) = upstream_status {
            out.field("upstream_status", status);
        }
        if let Some(retry_after) = retry_after {
            out.field("retry_after", retry_after);
        }
        if !context.is_empty() {
            out.field("context", context);
        }
        if let Some(source) = source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_shows_what_is_safe_and_debug_shows_the_rest() {
        let error = Error::unavailable("the upstream did not answer").with_context("GET http://10.0.0.7/v1/models");
        assert_eq!(error.to_string(), "the upstream did not answer");
        assert!(format!("{error:?}").contains("10.0.0.7"));
    }
}
