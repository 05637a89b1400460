use std::path::Path;

use puna_api::Error;
use rusqlite::ErrorCode;

/// What a failure of the database means for the caller. `what` reads well after "failed to".
pub(crate) fn failed(what: &str, file: &Path, error: rusqlite::Error) -> Error {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let failure = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::internal(format!("failed to {what}: the file `{name}` is damaged: {error}"))
        }
        Some(ErrorCode::DiskFull) => Error::unavailable(format!("failed to {what}: the disk is full")),
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
    Error::unavailable(format!("failed to {what}: {error}"))
        .with_context(path.display().to_string())
        .with_source(error)
}

/// An index that is not there.
pub(crate) fn no_index(index_id: &str) -> Error {
    Error::not_found(format!("there is no index `{index_id}`")).with_param("index_id")
}
