//! The runtime of commands that wait for others.

use puna_api::{Error, Result};

/// Waits on this thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("failed to start the async runtime").with_source(error))?
        .block_on(work)
}
