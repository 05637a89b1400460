//! The tables of stores, files and batches.
//!
//! They are in the database of the jobs, so that a file and the job that ingests it are written together. Times are seconds since 1970.

mod batches;
mod documents;
mod files;
mod listing;
mod stores;

pub(crate) use batches::BatchRow;
pub(crate) use files::{FileFilter, FileRow, Indexed, NewFile};
pub(crate) use stores::{NewStore, StoreRow, StoreState};

use puna_api::{Error, Result};
use puna_storage::{Database, Migration, Statement, TableName, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The tables, with texts that are compared as the dialect's collation has it.
macro_rules! tables {
    ($ordered:literal) => {
        concat!(
            "CREATE TABLE {table} (
                id TEXT ",
            $ordered,
            " PRIMARY KEY,
                place TEXT ",
            $ordered,
            " NOT NULL UNIQUE,
                state TEXT NOT NULL,
                name TEXT NOT NULL,
                description TEXT,
                metadata TEXT NOT NULL,
                provider_id TEXT NOT NULL,
                embedding_model TEXT NOT NULL,
                embedding_dimension BIGINT NOT NULL,
                expires_days BIGINT,
                created_at BIGINT NOT NULL,
                last_active_at BIGINT NOT NULL,
                expires_at BIGINT
            );
            CREATE INDEX {table}_by_state ON {table} (state, expires_at);
            CREATE TABLE {table}_files (
                attachment TEXT ",
            $ordered,
            " PRIMARY KEY,
                store_id TEXT ",
            $ordered,
            " NOT NULL,
                file_id TEXT ",
            $ordered,
            " NOT NULL,
                batch_id TEXT ",
            $ordered,
            ",
                state TEXT NOT NULL,
                status TEXT NOT NULL,
                filename TEXT NOT NULL,
                attributes TEXT NOT NULL,
                revision BIGINT NOT NULL,
                chunking TEXT NOT NULL,
                usage_bytes BIGINT NOT NULL,
                error_code TEXT,
                error_message TEXT,
                created_at BIGINT NOT NULL
            );
            CREATE UNIQUE INDEX {table}_files_live ON {table}_files (store_id, file_id) WHERE state = 'live';
            CREATE INDEX {table}_files_by_place ON {table}_files (store_id, state, attachment);
            CREATE INDEX {table}_files_by_status ON {table}_files (store_id, state, status, usage_bytes);
            CREATE INDEX {table}_files_by_batch ON {table}_files (batch_id, state, attachment) WHERE batch_id IS NOT NULL;
            CREATE INDEX {table}_files_by_file ON {table}_files (file_id, state);
            CREATE INDEX {table}_files_by_state ON {table}_files (state, status);
            CREATE TABLE {table}_batches (
                id TEXT ",
            $ordered,
            " PRIMARY KEY,
                store_id TEXT ",
            $ordered,
            " NOT NULL,
                is_cancelled BOOLEAN NOT NULL,
                created_at BIGINT NOT NULL
            );
            CREATE INDEX {table}_batches_by_store ON {table}_batches (store_id)"
        )
    };
}

// Ordered by bytes in both, whatever PostgreSQL's language is.
const MIGRATIONS: &[Migration] = &[
    Migration::by_dialect(1, tables!(""), tables!(r#"COLLATE "C""#)),
    Migration::by_dialect(
        2,
        "CREATE TABLE {table}_documents (
            attachment TEXT PRIMARY KEY, media_type TEXT NOT NULL, metadata TEXT NOT NULL, content BLOB NOT NULL
        )",
        r#"CREATE TABLE {table}_documents (
            attachment TEXT COLLATE "C" PRIMARY KEY, media_type TEXT NOT NULL, metadata TEXT NOT NULL, content BYTEA NOT NULL
        )"#,
    ),
];

/// The tables of stores, files and batches.
#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) database: Database,
    table: TableName,
}

impl Tables {
    pub(crate) async fn open(database: Database, table: TableName) -> Result<Self> {
        database.migrate("vector_stores", &table, MIGRATIONS).await?;
        Ok(Self { database, table })
    }

    fn sql(&self, text: &'static str) -> Statement {
        self.table.sql(text)
    }
}

fn number(number: u64) -> Value {
    Value::Integer(Some(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::internal("a row of vector stores has no JSON form").with_source(error))
}

fn read_json<T: DeserializeOwned>(text: &str, column: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        Error::internal(format!("the column `{column}` of vector stores cannot be read")).with_source(error)
    })
}
