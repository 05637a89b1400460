//! Room on the disk, and the lack of it.

use std::io::{self, ErrorKind};
use std::path::Path;

use puna_api::{Error, Result};

/// What is left of a disk to the databases, in bytes. A database has to write to delete, so one that may grow until nothing is left could not even
/// be told to forget something. This is the log that SQLite lets grow to 4 MiB before it is used anew, and as much again.
const HEADROOM: u64 = 8 << 20;

/// Fails as [`StorageFull`](puna_api::ErrorKind::StorageFull) where the disk of a folder has so little room that nothing new is to be kept on it.
pub fn check_room(folder: &Path) -> Result<()> {
    match free(folder) {
        Some(free) if free < HEADROOM => Err(full().with_context(format!(
            "{free} bytes are free at {}; the last {HEADROOM} are for deletions",
            folder.display()
        ))),
        _ => Ok(()),
    }
}

/// What a client hears whose request needs room that there is not.
pub(crate) fn full() -> Error {
    Error::storage_full("the server's storage is full")
}

/// Whether it was for lack of room that something could not be written.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// What an ordinary user may still write, in bytes; `None` where that cannot be told.
fn free(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.is_dir())?;
    let system = rustix::fs::statvfs(existing).ok()?;
    // Some file systems know no bounds, and say that all of nothing is taken.
    (system.f_blocks > 0).then(|| system.f_bavail.saturating_mul(system.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_bounds_is_never_full() {
        assert_eq!(free(Path::new("/proc")), None);
        assert!(check_room(Path::new("/proc/nowhere")).is_ok());
    }

    #[test]
    fn what_is_below_a_folder_that_is_not_there_yet_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(&folder.path().join("a/b")).is_some_and(|free| free > 0));
    }

    #[test]
    fn what_a_full_disk_answers_is_told_from_the_rest() {
        assert!(is_full(&io::Error::from_raw_os_error(28)) && is_full(&io::Error::from_raw_os_error(122)));
        assert!(!is_full(&io::Error::from_raw_os_error(13)));
    }
}
