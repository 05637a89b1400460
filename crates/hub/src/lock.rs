//! Locks between processes, at the places where `huggingface_hub` has its own.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::Duration;

use puna_api::{Error, Result};

use crate::error::unusable;

/// How often a held lock is tried again.
const PATIENCE: Duration = Duration::from_millis(100);

/// A lock that is held until this goes, or the process does.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "closing the file ends the lock")] File);

impl Lock {
    /// Takes the lock of this path, waiting for whoever holds it; `waiting` is called once if somebody does. The file stays, so that nobody
    /// locks one that another removed.
    pub(crate) async fn take(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|error| unusable(path, &error))?;
        let mut waiting = Some(waiting);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) => {
                    if let Some(waiting) = waiting.take() {
                        waiting();
                    }
                    tokio::time::sleep(PATIENCE).await;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(Error::internal(format!("failed to lock {}: {error}", path.display())));
                }
            }
        }
    }
}
