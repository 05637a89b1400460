//! The server that has the database: its connections, and what its pgvector can do.

use puna_api::{Error, Result};
use puna_storage::{Database, Location, Migration, TableName};
use sqlx::{PgPool, Postgres, Row, Transaction};

use crate::config::{PgvectorConfig, VectorIndexConfig};
use crate::error::{is_gone, no_index};

/// The table of indexes, and one of how large they are. A writer adds a row to that of sizes and folds those into it that no other writer is folding,
/// so that writers wait for nobody and there are about as many rows as writers.
const MIGRATIONS: &[Migration] = &[Migration::portable(
    1,
    "CREATE TABLE {table} (
        index_id TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE GENERATED ALWAYS AS IDENTITY, dimension BIGINT NOT NULL, metric TEXT NOT NULL
    );
    CREATE TABLE {table}_sizes (number BIGINT NOT NULL, chunks BIGINT NOT NULL, words BIGINT NOT NULL);
    CREATE INDEX {table}_sizes_by_number ON {table}_sizes (number);",
)];

/// The lock that whoever adds the extension holds: a number that nobody else is likely to use.
const LOCK: i64 = 0x7075_6e62;

/// A database with indexes.
pub(crate) struct Server {
    pub(crate) database: Database,
    pub(crate) pool: PgPool,
    /// The table that lists the indexes.
    pub(crate) table: TableName,
    pub(crate) graph: VectorIndexConfig,
    pub(crate) version: Version,
}

/// A version of pgvector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32);

impl Version {
    /// The first with graphs.
    const OLDEST: Self = Self(0, 5);

    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        Some(Self(parts.next()??, parts.next()??))
    }

    /// Whether it has vectors of 16 bits for each number.
    pub(crate) fn has_half_vectors(self) -> bool {
        self >= Self(0, 7)
    }

    /// Whether a search by the graph goes on where a filter leaves too few.
    pub(crate) fn has_iterative_scans(self) -> bool {
        self >= Self(0, 8)
    }
}

impl Server {
    /// Connects, and brings the database to what is needed.
    pub(crate) async fn open(config: &PgvectorConfig) -> Result<Self> {
        let (settings, table) = (config.settings(), config.table()?);
        let place = settings.to_string();
        let database = Database::open(&Location::Postgres(Box::new(settings))).await?;
        let Some(pool) = database.postgres().cloned() else {
            return Err(Error::internal("the database of vectors is not PostgreSQL"));
        };
        let version = extension(&database, &pool, &place).await?;
        database.migrate("vector_io.pgvector", &table, MIGRATIONS).await?;
        Ok(Self {
            database,
            pool,
            table,
            graph: config.vector_index,
            version,
        })
    }

    /// Whether it answers.
    pub(crate) async fn check(&self) -> Result<()> {
        let answered = sqlx::query("SELECT 1").execute(&self.pool).await;
        answered.map(drop).map_err(|error| self.database.error(error))
    }

    /// Begins a transaction that writes.
    pub(crate) async fn writing(&self) -> Result<Transaction<'static, Postgres>> {
        self.pool.begin().await.map_err(|error| self.database.error(error))
    }

    /// Begins a transaction that sees one state of everything.
    pub(crate) async fn reading(&self) -> Result<Transaction<'static, Postgres>> {
        let begun = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await;
        begun.map_err(|error| self.database.error(error))
    }

    /// What a failed statement about an index means.
    pub(crate) fn failed(&self, index_id: &str, error: sqlx::Error) -> Error {
        match is_gone(&error) {
            // It was deleted after it was looked up.
            true => no_index(index_id).with_source(error),
            false => self.database.error(error),
        }
    }
}

/// The version of the extension, which is added where it is not there.
async fn extension(database: &Database, pool: &PgPool, place: &str) -> Result<Version> {
    if let Some(text) = added(database, pool).await? {
        return usable(&text, place);
    }
    let failed = |error| database.error(error);
    let mut adding = pool.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *adding)
        .await
        .map_err(failed)?;
    if let Err(error) = sqlx::query("CREATE EXTENSION IF NOT EXISTS vector")
        .execute(&mut *adding)
        .await
    {
        return Err(match error.as_database_error().map(ToString::to_string) {
            Some(reason) => Error::configuration(format!(
                "the database {place} has no extension `vector`, and it cannot be added: {reason}; install pgvector there, and run `CREATE EXTENSION vector` as \
                 its owner"
            ))
            .with_source(error),
            None => failed(error),
        });
    }
    adding.commit().await.map_err(failed)?;
    let text = added(database, pool).await?;
    usable(&text.unwrap_or_default(), place)
}

async fn added(database: &Database, pool: &PgPool) -> Result<Option<String>> {
    let row = sqlx::query("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        .fetch_optional(pool)
        .await;
    let text = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
    text.map_err(|error| database.error(error))
}

fn usable(text: &str, place: &str) -> Result<Version> {
    match Version::read(text) {
        Some(version) if version >= Version::OLDEST => Ok(version),
        _ => Err(Error::configuration(format!(
            "the database {place} has version `{text}` of pgvector; 0.5 or newer is needed (`ALTER EXTENSION vector UPDATE`)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        let version = |text| Version::read(text).unwrap();
        assert!(version("0.6.2") > version("0.5.1"));
        assert!(version("0.10.0").has_iterative_scans() && version("1.0").has_half_vectors());
        assert!(!version("0.7.4").has_iterative_scans() && version("0.7.4").has_half_vectors());
        for text in ["0.4.4", "", "abc", "0"] {
            let error = usable(text, "h:5432/d").unwrap_err();
            assert!(error.message().contains(&format!("version `{text}`")), "{error:?}");
        }
    }
}
