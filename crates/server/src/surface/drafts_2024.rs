//! The interface documents of 2024 that came before Llama Stack's releases. They have no shape for errors; here those are OpenAI's, as
//! everywhere in this server.

use crate::routes::Route;

mod bank;
mod document;
mod jsonl;
mod memory_bank;
mod memory_banks;
mod vector_store;

#[cfg(test)]
pub(super) use self::vector_store::{
    CREATE_FIELDS as CREATE_STORE_FIELDS, UPDATE_FIELDS as UPDATE_STORE_FIELDS,
    jobs::{
        CANCEL_FIELDS as CANCEL_JOB_FIELDS, DELETE_FIELDS as DELETE_JOB_FIELDS, INSERT_FIELDS as INSERT_JOB_FIELDS,
    },
};

/// What this surface serves.
pub(super) const ROUTES: &[Route] = &[
    memory_banks::LIST,
    memory_banks::CREATE,
    memory_banks::DROP,
    memory_bank::INSERT,
    memory_bank::UPDATE,
    memory_bank::GET,
    memory_bank::DELETE,
    vector_store::LIST,
    vector_store::CREATE,
    vector_store::UPDATE,
    vector_store::DROP,
    vector_store::jobs::SUBMIT_INSERT,
    vector_store::jobs::INSERT_STATUS,
    vector_store::jobs::CANCEL_INSERT,
    vector_store::jobs::SUBMIT_DELETE,
    vector_store::jobs::DELETE_STATUS,
    vector_store::jobs::CANCEL_DELETE,
];
