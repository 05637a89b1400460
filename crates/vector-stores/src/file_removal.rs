//! The removal of files from a store, as a job.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files that a job takes out of a store, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRemoval {
    /// The job's id.
    pub id: String,
    /// The store.
    pub vector_store_id: String,
    /// How far it is.
    pub status: FileRemovalStatus,
    /// How many files are gone, from the store and from its index; a second old at most.
    pub done: u64,
    /// How many were to go.
    pub total: u64,
    /// Why it failed, or what it waits for.
    pub error: Option<String>,
}

/// How far a removal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileRemovalStatus {
    /// It waits: for a server, or for its next attempt.
    Queued,
    /// A server works on it.
    Running,
    /// All files are gone.
    Completed,
    /// It was given up.
    Failed,
    /// It was cancelled; files that were gone by then stay gone.
    Cancelled,
}
