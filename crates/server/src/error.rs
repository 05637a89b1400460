//! Errors on the way out: the only place that knows status codes.

use http::{HeaderValue, StatusCode};
use puna_api::{Error, ErrorKind};

/// What a handler can fail with: an error, and a status where HTTP has a more exact one than the error's kind has.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    status: Option<StatusCode>,
    /// The size of what a range was asked for that holds none of it.
    size: Option<u64>,
}

/// The result of what serves a request.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn with_status(error: Error, status: StatusCode) -> Self {
        Self {
            error,
            status: Some(status),
            size: None,
        }
    }

    /// A range that holds none of so many bytes.
    pub(crate) fn range_not_satisfiable(error: Error, size: u64) -> Self {
        Self {
            error,
            status: Some(StatusCode::RANGE_NOT_SATISFIABLE),
            size: Some(size),
        }
    }

    /// The value of `Content-Range`, which tells the size (RFC 9110, 15.5.17).
    pub(crate) fn content_range(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("bytes */{}", self.size?)).ok()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status.unwrap_or_else(|| status(&self.error))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            status: None,
            size: None,
        }
    }
}

/// The client closed the connection before the answer was ready: nginx's number, for the log. Nobody receives it.
pub(crate) const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The one mapping from kinds to status codes. A status that an upstream refused the request with is kept.
pub(crate) fn status(error: &Error) -> StatusCode {
    let status = match error.kind() {
        ErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
        // Not 501: clients try that one again.
        ErrorKind::Unsupported => StatusCode::BAD_REQUEST,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable if error.upstream_status() == Some(503) => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Unavailable => StatusCode::BAD_GATEWAY,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Cancelled => StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        // `Configuration`, `Internal`, and whatever kind comes to be without a line here.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    match error.upstream_status().map(StatusCode::from_u16) {
        Some(Ok(upstream)) if upstream.is_client_error() && status.is_client_error() => upstream,
        _ => status,
    }
}

/// The message that a client may see. A fault of the server's own is not explained, only where its explanation is.
pub(crate) fn client_message<'a>(error: &'a Error, request_id: &str) -> std::borrow::Cow<'a, str> {
    if error.kind() == ErrorKind::Internal {
        return format!("an internal error occurred; the server's log has it under the request id {request_id}").into();
    }
    error.message().into()
}

/// The value of `Retry-After`, in whole seconds, rounded up.
pub(crate) fn retry_after_seconds(error: &Error) -> Option<u64> {
    let wait = error.retry_after()?;
    Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn kinds_map_to_statuses() {
        for (error, expected) in [
            (Error::invalid_request("x"), 400),
            (Error::unsupported("x"), 400),
            (Error::unauthenticated("x"), 401),
            (Error::permission_denied("x"), 403),
            (Error::not_found("x"), 404),
            (Error::conflict("x"), 409),
            (Error::too_large("x"), 413),
            (Error::rate_limited("x"), 429),
            (Error::cancelled("x"), 499),
            (Error::internal("x"), 500),
            (Error::configuration("x"), 500),
            (Error::unavailable("x"), 502),
            (Error::unavailable("x").with_upstream_status(503), 503),
            (Error::unavailable("x").with_upstream_status(500), 502),
            (Error::timeout("x"), 504),
            (Error::storage_full("x"), 507),
            (Error::invalid_request("x").with_upstream_status(422), 422),
            // An upstream's page that says 404 in HTML is nonsense from a service, not a missing resource.
            (Error::unavailable("x").with_upstream_status(404), 502),
        ] {
            assert_eq!(status(&error).as_u16(), expected, "{error:?}");
        }
    }

    #[test]
    fn retry_after_is_rounded_up() {
        let error = Error::rate_limited("x").with_retry_after(Duration::from_millis(1200));
        assert_eq!(retry_after_seconds(&error), Some(2));
    }

    #[test]
    fn internal_errors_stay_inside() {
        let error = Error::internal("the table `secret` is gone");
        assert_eq!(
            client_message(&error, "req_1"),
            "an internal error occurred; the server's log has it under the request id req_1"
        );
    }
}
