//! What the caller of [`StoredCompletions`](crate::StoredCompletions) decides.

use std::sync::Arc;

use puna_storage::{SqlReference, Storage};

/// Which chat completions are kept, and where.
#[derive(Debug, Clone)]
pub struct CompletionsSettings {
    /// The server's storage.
    pub storage: Arc<Storage>,
    /// The table in it; `inference_store` of the default backend when nothing is said.
    pub store: SqlReference,
    /// Whether those are kept whose request says nothing of it.
    pub keeps_all: bool,
    /// How many may wait to be written.
    pub max_write_queue_size: usize,
    /// How many transactions are written at the same time.
    pub num_writers: usize,
}
