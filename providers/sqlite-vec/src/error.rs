use std::io::ErrorKind;
use std::path::Path;

use puna_api::Error;
use rusqlite::{ErrorCode, ffi};

/// What a failure of the database means for the caller. `what` reads well after "failed to".
pub(crate) fn failed(what: &str, file: &Path, error: rusqlite::Error) -> Error {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    // The index of the log cannot grow.
    let lacks_room = error.sqlite_error().map(|error| error.extended_code) == Some(ffi::SQLITE_IOERR_SHMSIZE);
    let failure = match error.sqlite_error_code() {
        _ if lacks_room => full(what),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::internal(format!("failed to {what}: the file `{name}` is damaged: {error}"))
        }
        Some(ErrorCode::DiskFull) => full(what),
        Some(ErrorCode::SystemIoFailure) => Error::unavailable(format!(
            "failed to {what}: the disk of the file `{name}` fails: {error}"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::unavailable(format!("failed to {what}: the file `{name}` is in use"))
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Error::unavailable(format!(
            "failed to {what}: the file `{name}` cannot be written: {error}"
        )),
        _ => Error::internal(format!("failed to {what}: {error}")),
    };
    failure.with_context(file.display().to_string()).with_source(error)
}

/// What a failure of the file system means for the caller.
pub(crate) fn failed_io(what: &str, path: &Path, error: std::io::Error) -> Error {
    let failure = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => full(what),
        _ => Error::unavailable(format!("failed to {what}: {error}")),
    };
    failure.with_context(path.display().to_string()).with_source(error)
}

fn full(what: &str) -> Error {
    Error::storage_full(format!("failed to {what}: the server's storage is full"))
}

/// An index that is not there.
pub(crate) fn no_index(index_id: &str) -> Error {
    Error::not_found(format!("there is no index `{index_id}`")).with_param("index_id")
}
