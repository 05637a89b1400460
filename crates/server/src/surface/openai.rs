//! The OpenAI API (specification 2.3.0).

use bytes::Bytes;
use puna_api::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::client_message;
use crate::routes::Route;

mod chat_completions;
mod completions;
mod embeddings;
mod files;
mod models;
mod vector_stores;

pub(super) use self::models::ModelObject;
pub(crate) use self::vector_stores::ROUTES as VECTOR_STORE_ROUTES;

#[cfg(test)]
pub(crate) use self::{
    chat_completions::FIELDS as CHAT_COMPLETION_FIELDS,
    chat_completions::UPDATE_FIELDS as CHAT_COMPLETION_UPDATE_FIELDS,
    completions::FIELDS as COMPLETION_FIELDS,
    embeddings::FIELDS as EMBEDDINGS_FIELDS,
    vector_stores::{
        ATTACH_FIELDS, ATTRIBUTES_FIELDS, CREATE_FIELDS as CREATE_STORE_FIELDS, FILE_BATCH_FIELDS, SEARCH_FIELDS,
        UPDATE_FIELDS as UPDATE_STORE_FIELDS,
    },
};

/// What this surface serves.
pub(crate) const ROUTES: &[Route] = &[
    chat_completions::CREATE,
    chat_completions::LIST,
    chat_completions::RETRIEVE,
    chat_completions::UPDATE,
    chat_completions::DELETE,
    chat_completions::MESSAGES,
    completions::CREATE,
    embeddings::CREATE,
    files::CREATE,
    files::LIST,
    files::RETRIEVE,
    files::CONTENT,
    files::DELETE,
    models::LIST,
    models::RETRIEVE,
];

/// An error as OpenAI's API has it. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ErrorResponse<'a> {
    /// What went wrong.
    error: ErrorObject<'a>,
}

/// What went wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct ErrorObject<'a> {
    /// For people.
    message: std::borrow::Cow<'a, str>,
    /// The class of the error, such as `invalid_request_error` or `server_error`.
    #[serde(rename = "type")]
    error_type: &'a str,
    /// The request parameter at fault, as a path.
    param: Option<&'a str>,
    /// The exact error, such as `model_not_found`.
    code: Option<&'a str>,
}

/// Writes an error as OpenAI's API has it, for answers and for streams.
pub(crate) fn error_body(error: &Error, request_id: &str) -> Bytes {
    let response = ErrorResponse {
        error: ErrorObject {
            message: client_message(error, request_id),
            error_type: error.error_type().unwrap_or_else(|| error_type(error.kind())),
            param: error.param(),
            code: error.code().or_else(|| code(error.kind())),
        },
    };
    // Four strings always have a JSON form.
    serde_json::to_vec(&response).unwrap_or_default().into()
}

fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::Unsupported
        | ErrorKind::TooLarge
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::Cancelled
        | ErrorKind::Unauthenticated => "invalid_request_error",
        ErrorKind::PermissionDenied => "permission_error",
        ErrorKind::RateLimited => "rate_limit_error",
        _ => "server_error",
    }
}

fn code(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::RateLimited => Some("rate_limit_exceeded"),
        ErrorKind::Unsupported => Some("unsupported_parameter"),
        ErrorKind::PermissionDenied => Some("permission_denied"),
        ErrorKind::Unavailable => Some("upstream_unavailable"),
        ErrorKind::StorageFull => Some("storage_full"),
        ErrorKind::Timeout => Some("timeout"),
        _ => None,
    }
}
