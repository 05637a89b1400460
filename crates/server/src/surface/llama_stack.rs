//! Llama Stack's own operations, in the shapes of OGX 0.8, which are those of Llama Stack 0.3.5. Errors are OpenAI's, as they are there.

use crate::routes::Route;

mod content;
mod file_processors;
mod inspect;
mod models;
mod providers;
mod rag_tool;
mod rerank;
mod vector_io;

#[cfg(test)]
pub(super) use self::{
    models::FIELDS as REGISTRATION_FIELDS,
    rag_tool::{INSERT_FIELDS as RAG_INSERT_FIELDS, QUERY_FIELDS as RAG_QUERY_FIELDS},
    rerank::FIELDS as RERANK_FIELDS,
    vector_io::{INSERT_FIELDS as INSERT_CHUNKS_FIELDS, QUERY_FIELDS as QUERY_CHUNKS_FIELDS},
};

/// What this surface serves.
pub(super) const ROUTES: &[Route] = &[
    inspect::HEALTH,
    inspect::VERSION,
    inspect::ROUTES,
    models::REGISTER,
    models::UNREGISTER,
    providers::LIST,
    providers::RETRIEVE,
    rerank::RERANK,
    file_processors::PROCESS,
    vector_io::INSERT,
    vector_io::QUERY,
    rag_tool::INSERT,
    rag_tool::QUERY,
];
