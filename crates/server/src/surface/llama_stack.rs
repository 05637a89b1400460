//! Llama Stack's own operations, in the shapes of OGX 0.8, which are those of Llama Stack 0.3.5. Errors are OpenAI's, as they are there.

use crate::routes::Route;

mod file_processors;
mod inspect;
mod models;
mod providers;
mod rerank;

#[cfg(test)]
pub(super) use self::{models::FIELDS as REGISTRATION_FIELDS, rerank::FIELDS as RERANK_FIELDS};

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
];
