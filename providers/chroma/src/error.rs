//! From Chroma's errors to ours.

use std::time::Duration;

use http::StatusCode;
use puna_api::{Error, ErrorKind};
use serde::Deserialize;

/// What Chroma says of a chunk that somebody removes while it is read, as first what is known of chunks is read there, then their vectors; and of an index that
/// is being written to its disk for the first time.
const OVERTAKEN: &[&str] = &["Error finding id", "Error getting embedding", "Nothing found on disk"];

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server answered so.
    Refused(Refusal),
    /// There was no answer, or none that makes sense.
    Broken(Error),
}

/// What a server answered in place of what it was asked for.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// Whether it is in the form that Chroma's errors have.
    is_chromas: bool,
}

/// Wire shape: `ErrorResponse` of Chroma's API v2.
#[derive(Deserialize)]
struct ErrorResponse {
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, body: &[u8]) -> Self {
        match serde_json::from_slice::<ErrorResponse>(body) {
            Ok(ErrorResponse { message }) => Self {
                status,
                message,
                is_chromas: true,
            },
            Err(_) => Self {
                status,
                message: String::from_utf8_lossy(body).into_owned(),
                is_chromas: false,
            },
        }
    }

    /// Whether what was asked for is not there, as Chroma says it.
    pub(crate) fn is_gone(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.is_chromas
    }

    /// Whether the same request can be answered now, as others have done what they were about to do.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.status.is_server_error() && OVERTAKEN.iter().any(|said| self.message.contains(said))
    }

    fn into_error(self) -> Error {
        let Self {
            status,
            message,
            is_chromas,
        } = self;
        let told = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::configuration(
                "the Chroma server refuses the token of this provider (`api_token`, `token_header`), or its lack",
            ),
            StatusCode::TOO_MANY_REQUESTS => {
                let told = "the Chroma server has had enough for now";
                Error::new(ErrorKind::RateLimited, told).with_retry_after(Duration::from_secs(1))
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
                Error::timeout("the Chroma server took too long")
            }
            // Before 1.5 it knows no lists in metadata.
            StatusCode::UNPROCESSABLE_ENTITY if is_chromas => Error::invalid_request(format!(
                "the Chroma server does not understand the request, as one before version 1.5 would not: {message}"
            )),
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT if is_chromas => {
                Error::invalid_request(format!("the Chroma server refuses the request: {message}"))
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                Error::invalid_request("a chunk is larger than what the Chroma server takes in a request")
            }
            status if status.is_server_error() => {
                Error::unavailable("the Chroma server failed").with_retry_after(Duration::from_secs(1))
            }
            _ => Error::configuration("what is at `url` does not answer as a Chroma server of version 1.5 or newer"),
        };
        let context = format!("chroma answered {status}: {message}");
        told.with_upstream_status(status.as_u16()).with_context(context)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into_error(),
            Failure::Broken(error) => error,
        }
    }
}

/// An index that is not there.
pub(crate) fn no_index(index_id: &str) -> Error {
    Error::not_found(format!("there is no index `{index_id}`")).with_param("index_id")
}

/// A record or a collection that this provider has not written so.
pub(crate) fn not_ours(what: &str) -> Error {
    Error::configuration(format!(
        "{what} on the Chroma server was not written by this provider, or by a newer one; use another `collection_prefix`"
    ))
}

/// What a failed request to an index means, which may have gone meanwhile.
pub(crate) fn failed(index_id: &str, failure: Failure) -> Error {
    match failure {
        Failure::Refused(refusal) if refusal.is_gone() => no_index(index_id),
        other => other.into(),
    }
}
