//! SQLite: one writer, some readers, and a log that is on disk before anything is acknowledged.

use std::path::Path;
use std::time::Duration;

use puna_api::{Error, Result};
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Connection, Executor, SqlStr};

use super::error::from_sqlx;
use super::value::sqlite_arguments;
use super::{Pools, Row, Value};
use crate::room;

/// How long a statement waits for another process's lock.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a statement waits for a connection; longer than a writer may wait for a lock.
const POOL_PATIENCE: Duration = Duration::from_secs(15);
/// Readers go when nothing is read for this time.
const IDLE: Duration = Duration::from_secs(60);
const READERS: u32 = 4;
/// How often opening is tried while other processes open the same new file; turning the log on is the one lock that SQLite does not wait for.
const TRIES: u32 = 50;

pub(super) async fn open(path: &Path) -> Result<Pools> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::configuration(format!("failed to open the database {}: {error}", path.display()))
    };
    if path.as_os_str() == ":memory:" {
        return Err(failed(&"it would be lost at the end; give a file (`db_path`)"));
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| match room::is_full(&error) {
            true => room::full().with_source(error),
            false => failed(&error).with_source(error),
        })?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // With a write-ahead log `NORMAL` would acknowledge what a power cut can still take back.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_PATIENCE);
    let mut tries = 0;
    let writer = loop {
        let opened = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(POOL_PATIENCE)
            .after_release(|connection, _| Box::pin(is_settled(connection)))
            .connect_with(options.clone())
            .await;
        match opened {
            Ok(writer) => break writer,
            Err(error) if tries < TRIES && is_busy(&error) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => {
                let reason = error.to_string();
                let told = from_sqlx(error, &path.display().to_string());
                return Err(match told.is_transient() {
                    true => told,
                    false => failed(&reason).with_source(told),
                });
            }
        }
    };
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(IDLE)
        .acquire_timeout(POOL_PATIENCE)
        .connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Pools::Sqlite { writer, readers })
}

/// Whether a connection that was given back is of further use. Where the disk is full or fails, SQLite takes a transaction back by itself; sqlx, whose
/// own attempt at that then fails, goes on counting one that is no more, and lets no other begin.
async fn is_settled(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // What was asked for last, such as taking a dropped transaction back, is done when this is answered.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["5", "261", "517"].contains(&code.as_ref()))
}

pub(super) async fn rows<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    sql: SqlStr,
    values: Vec<Value>,
) -> sqlx::Result<Vec<Row>> {
    let rows: Vec<SqliteRow> = sqlx::query_with(sql, sqlite_arguments(values)?)
        .fetch_all(executor)
        .await?;
    Ok(rows.into_iter().map(Row::from).collect())
}

pub(super) async fn execute<'e>(
    executor: impl Executor<'e, Database = Sqlite>,
    sql: SqlStr,
    values: Vec<Value>,
) -> sqlx::Result<u64> {
    let done = sqlx::query_with(sql, sqlite_arguments(values)?)
        .execute(executor)
        .await?;
    Ok(done.rows_affected())
}

/// Runs statements without parameters, one after the other.
pub(super) async fn run(connection: &mut SqliteConnection, sql: SqlStr) -> sqlx::Result<()> {
    sqlx::raw_sql(sql).execute(connection).await.map(drop)
}
