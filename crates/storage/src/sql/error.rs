//! From the databases' errors to ours.

use std::time::Duration;

use puna_api::Error;

/// SQLSTATE classes and codes of PostgreSQL, and result codes of SQLite, that mean: not now.
const PASSING: &[&str] = &["40001", "40P01", "53300", "57P01", "57P02", "57P03"];
const BUSY: &[&str] = &["5", "6", "261", "517", "262", "773"];
const FULL: &[&str] = &["13", "53100"];
const READ_ONLY: &[&str] = &["8", "264", "520", "776", "1032", "1288", "1544", "25006"];

/// What a failed statement means. `place` is for the log: a path, or host, port and database.
pub(super) fn from_sqlx(error: sqlx::Error, place: &str) -> Error {
    let unavailable = |message: &str| Error::unavailable(message).with_retry_after(Duration::from_secs(1));
    let told = match &error {
        sqlx::Error::Database(refused) => {
            let code = refused.code().unwrap_or_default().into_owned();
            let is_any_of = |codes: &[&str]| codes.contains(&code.as_str());
            if refused.is_unique_violation() {
                Error::conflict("there is an entry of this key already")
            } else if is_any_of(FULL) {
                Error::unavailable("the disk of the server's database is full")
            } else if is_any_of(READ_ONLY) {
                Error::unavailable("the server's database cannot be written to")
            } else if is_any_of(BUSY) {
                unavailable("the server's database is busy")
            } else if is_any_of(PASSING) || code.starts_with("08") {
                unavailable("the server's database cannot answer right now")
            } else if code == "57014" {
                Error::timeout("the server's database took too long")
            } else {
                Error::internal("the database refused a statement")
            }
        }
        sqlx::Error::PoolTimedOut => unavailable("no connection to the server's database became free in time"),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => unavailable("the server's database cannot be reached"),
        _ => Error::internal("a statement does not fit the database"),
    };
    told.with_context(format!("database {place}")).with_source(error)
}
