//! From Qdrant's errors to ours.

use std::time::Duration;

use puna_api::{Error, ErrorKind};
use qdrant_client::QdrantError;
use tonic::Code;

/// What the client's own message starts with when there is no connection.
const NO_CONNECTION: &str = "Failed to connect to";

/// An index that is not there.
pub(crate) fn no_index(index_id: &str) -> Error {
    Error::not_found(format!("there is no index `{index_id}`")).with_param("index_id")
}

/// A point or a collection that this provider has not written so.
pub(crate) fn not_ours(what: &str) -> Error {
    Error::configuration(format!(
        "{what} on the Qdrant server was not written by this provider, or by a newer one; use another `collection_prefix`"
    ))
}

/// Whether a request failed because a collection is not there.
pub(crate) fn is_gone(error: &QdrantError) -> bool {
    matches!(error, QdrantError::ResponseError { status } if status.code() == Code::NotFound)
}

/// What a failed request to an index means, which may have gone meanwhile.
pub(crate) fn failed(index_id: &str, error: QdrantError) -> Error {
    match is_gone(&error) {
        true => no_index(index_id),
        false => from_qdrant(error),
    }
}

/// What a failed request means.
pub(crate) fn from_qdrant(error: QdrantError) -> Error {
    let unavailable = |message: &str| Error::unavailable(message).with_retry_after(Duration::from_secs(1));
    let (status, retry_after) = match error {
        QdrantError::ResponseError { status } => (status, None),
        QdrantError::ResourceExhaustedError {
            status,
            retry_after_seconds,
        } => (status, Some(Duration::from_secs(retry_after_seconds))),
        other => return Error::internal("the request to the Qdrant server could not be made").with_source(other),
    };
    let said = status.message();
    let told = match status.code() {
        Code::Internal if said.starts_with(NO_CONNECTION) => unavailable("the Qdrant server cannot be reached by gRPC"),
        Code::Unavailable | Code::Unknown => unavailable("the Qdrant server cannot answer right now"),
        // The client gives up with the former, the server with the latter.
        Code::Cancelled | Code::DeadlineExceeded => Error::timeout("the Qdrant server took too long"),
        Code::Unauthenticated | Code::PermissionDenied => {
            let message = "the Qdrant server refuses the key of this provider (`api_key`), or its lack";
            Error::new(ErrorKind::Configuration, message)
        }
        Code::ResourceExhausted => {
            let told = format!("the Qdrant server has had enough for now: {said}");
            let told = Error::new(ErrorKind::RateLimited, told);
            match retry_after {
                Some(after) => told.with_retry_after(after),
                None => told,
            }
        }
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange | Code::AlreadyExists => {
            Error::invalid_request(format!("the Qdrant server refuses the request: {said}"))
        }
        Code::Unimplemented => {
            Error::unsupported("the Qdrant server does not know this request; 1.16 or newer is needed")
        }
        _ => Error::unavailable("the Qdrant server failed"),
    };
    let context = format!("qdrant answered {:?}: {said}", status.code());
    told.with_context(context)
}
