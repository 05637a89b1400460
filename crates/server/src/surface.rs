//! The dialects. A surface translates between its wire format and the types of `puna-api`, and does nothing else.

use futures::FutureExt;
use futures::future::BoxFuture;
use http::StatusCode;
use puna_api::Error;

use crate::call::{Call, Reply};
use crate::error::{Failure, Result};
use crate::routes::{self, Route};

mod drafts_2024;
mod llama_stack;
pub(crate) mod openai;

/// The routes of every surface, in the order of the documentation.
pub(crate) const ROUTES: &[&[Route]] = &[
    openai::ROUTES,
    openai::VECTOR_STORE_ROUTES,
    llama_stack::ROUTES,
    drafts_2024::ROUTES,
];

/// Every table of fields that a surface reads from a body.
#[cfg(test)]
pub(crate) const TABLES: &[&[crate::head::Field]] = &[
    openai::CHAT_COMPLETION_FIELDS,
    openai::CHAT_COMPLETION_UPDATE_FIELDS,
    openai::COMPLETION_FIELDS,
    openai::EMBEDDINGS_FIELDS,
    openai::CREATE_STORE_FIELDS,
    openai::UPDATE_STORE_FIELDS,
    openai::ATTACH_FIELDS,
    openai::ATTRIBUTES_FIELDS,
    openai::FILE_BATCH_FIELDS,
    openai::SEARCH_FIELDS,
    llama_stack::REGISTRATION_FIELDS,
    llama_stack::RERANK_FIELDS,
    llama_stack::INSERT_CHUNKS_FIELDS,
    llama_stack::QUERY_CHUNKS_FIELDS,
    llama_stack::RAG_INSERT_FIELDS,
    llama_stack::RAG_QUERY_FIELDS,
    drafts_2024::CREATE_STORE_FIELDS,
    drafts_2024::UPDATE_STORE_FIELDS,
    drafts_2024::INSERT_JOB_FIELDS,
    drafts_2024::DELETE_JOB_FIELDS,
    drafts_2024::CANCEL_JOB_FIELDS,
];

/// Answers a path that is not there.
pub(crate) fn not_found(call: &mut Call) -> BoxFuture<'_, Result<Reply>> {
    async move {
        let path = call.uri().path();
        let shown: String = path.chars().take(200).collect();
        let mut message = format!("there is no path `{shown}`");
        // The most frequent mistake is a base URL without its version.
        if let Some(meant) = routes::all().find(|route| route.path.strip_prefix("/v1") == Some(path)) {
            message = format!("{message}; did you mean `{}`?", meant.path);
        }
        Err(Error::not_found(message).with_code("unknown_url").into())
    }
    .boxed()
}

/// Answers a method that the path does not have. The router adds the header `Allow`.
pub(crate) fn not_allowed(call: &mut Call) -> BoxFuture<'_, Result<Reply>> {
    async move {
        let path: String = call.uri().path().chars().take(200).collect();
        let error = Error::invalid_request(format!("the path `{path}` does not take the method {}", call.method()))
            .with_code("method_not_allowed");
        Err(Failure::with_status(error, StatusCode::METHOD_NOT_ALLOWED))
    }
    .boxed()
}
