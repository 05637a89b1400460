//! Room on the disk.

use std::io;
use std::path::Path;

use puna_api::{Error, Result};

/// Fails where the file system of `folder`, which need not exist yet, has less room than is needed.
pub(crate) fn check(folder: &Path, needed: u64) -> Result<()> {
    match free(folder) {
        Some(free) if free < needed => Err(no_room(folder, needed, Some(free))),
        _ => Ok(()),
    }
}

/// The error for a write that failed because there was no room; any other is one of the folder.
pub(crate) fn write_failed(folder: &Path, needed: u64, error: &io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => {
            no_room(folder, needed, free(folder)).with_context(error.to_string())
        }
        _ => crate::error::unusable(folder, error),
    }
}

fn no_room(folder: &Path, needed: u64, free: Option<u64>) -> Error {
    let free = free.map_or_else(String::new, |free| format!(" and {} are free", shown(free)));
    Error::unavailable(format!(
        "not enough room in {}: {} are needed{free}; free some, or choose another folder with `HF_HOME` or `--to`; what was fetched is kept",
        folder.display(),
        shown(needed),
    ))
    .with_code("no_disk_space")
}

/// What an ordinary user may still write, in bytes.
fn free(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|folder| folder.is_dir())?;
    let system = rustix::fs::statvfs(existing).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

/// An amount for people and for programs: `1.5 GB (1500000000 bytes)`.
pub(crate) fn shown(bytes: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match UNITS.iter().find(|(_, size)| bytes as f64 >= *size) {
        Some((unit, size)) => format!("{:.1} {unit} ({bytes} bytes)", bytes as f64 / size),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_and_what_is_free_are_named() {
        let folder = std::env::temp_dir().join("puna-hub-not-there/deeper");
        check(&folder, 1).unwrap();
        let error = check(&folder, u64::MAX).unwrap_err();
        assert_eq!(error.code(), Some("no_disk_space"));
        assert!(
            error.message().contains("(18446744073709551615 bytes) are needed and "),
            "{error}"
        );
        for (bytes, text) in [
            (999, "999 bytes"),
            (1500, "1.5 kB (1500 bytes)"),
            (2_000_000_000, "2.0 GB (2000000000 bytes)"),
        ] {
            assert_eq!(shown(bytes), text);
        }
    }
}
