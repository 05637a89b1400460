//! From the databases' errors to ours.

use std::time::Duration;

use puna_api::Error;

use crate::room;

/// SQLSTATE classes and codes of PostgreSQL, and result codes of SQLite, that mean: not now.
const PASSING: &[&str] = &["40001", "40P01", "53300", "57P01", "57P02", "57P03"];
const BUSY: &[&str] = &["5", "6", "261", "517", "262", "773"];
/// `SQLITE_FULL`, `SQLITE_IOERR_SHMSIZE` (the index of the log cannot grow), `disk_full`.
const FULL: &[&str] = &["13", "4874", "53100"];
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
                room::full()
            } else if is_any_of(READ_ONLY) {
                Error::unavailable("the server's database cannot be written to")
            } else if is_any_of(BUSY) {
                unavailable("the server's database is busy")
            } else if is_failing_disk(&code) {
                unavailable("the disk of the server's database fails")
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

/// Whether this is `SQLITE_IOERR` or one of its kin, which have it in their last byte, or PostgreSQL's `io_error`.
fn is_failing_disk(code: &str) -> bool {
    const IOERR: u32 = 10;
    let of_sqlite = (code.len() < 5).then(|| code.parse::<u32>().ok()).flatten();
    of_sqlite.is_some_and(|code| code & 0xff == IOERR) || code == "58030"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fails_is_told_from_a_statement_that_is_wrong() {
        for (code, fails) in [
            ("10", true),
            ("778", true),
            ("1034", true),
            ("58030", true),
            ("1", false),
            ("2067", false),
            ("23505", false),
            ("42P01", false),
        ] {
            assert_eq!(is_failing_disk(code), fails, "{code}");
        }
    }
}
