//! A database, whichever it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use puna_api::Result;
use sqlx::{PgPool, SqlitePool};

use super::error::from_sqlx;

use super::{Row, Statement, Transaction, Value, postgres, sqlite};
use crate::room::check_room;
use crate::settings::Location;

/// A database with tables. Cheap to clone. What it has acknowledged is on disk.
///
/// Statements are the same for SQLite and PostgreSQL as long as they keep to the types of [`Value`] and to SQL that both have (`$1`, `ON CONFLICT …
/// DO UPDATE`, `RETURNING`, `LIMIT`). What only one of them has goes through [`sqlite`](Self::sqlite) or [`postgres`](Self::postgres).
///
/// Reading and writing are different methods, because SQLite has one writer at a time: writers wait for each other here, in order, and readers
/// for nobody.
#[derive(Clone)]
pub struct Database(Arc<Fields>);

struct Fields {
    pools: Pools,
    /// For the log.
    place: String,
    /// Where the file of SQLite is.
    folder: Option<PathBuf>,
}

pub(crate) enum Pools {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// Which SQL a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite 3.
    Sqlite,
    /// PostgreSQL, 12 or newer.
    Postgres,
}

impl Database {
    /// Opens a database; a file of SQLite is made when there is none.
    pub async fn open(location: &Location) -> Result<Self> {
        let place = location.to_string();
        let pools = match location {
            Location::Sqlite(path) => sqlite::open(path).await?,
            Location::Postgres(settings) => postgres::open(settings).await?,
        };
        let folder = match location {
            Location::Sqlite(path) => path.parent().map(Path::to_owned),
            Location::Postgres(_) => None,
        };
        Ok(Self(Arc::new(Fields { pools, place, folder })))
    }

    /// Which SQL it speaks.
    pub fn dialect(&self) -> Dialect {
        match self.0.pools {
            Pools::Sqlite { .. } => Dialect::Sqlite,
            Pools::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The rows that a statement answers which changes nothing.
    pub async fn read(&self, statement: impl Into<Statement>, values: Vec<Value>) -> Result<Vec<Row>> {
        let sql = statement.into().into_sql();
        let rows = match &self.0.pools {
            Pools::Sqlite { readers, .. } => sqlite::rows(readers, sql, values).await,
            Pools::Postgres(pool) => postgres::rows(pool, sql, values).await,
        };
        rows.map_err(|error| self.error(error))
    }

    /// The first row that a statement answers which changes nothing.
    pub async fn read_one(&self, statement: impl Into<Statement>, values: Vec<Value>) -> Result<Option<Row>> {
        Ok(self.read(statement, values).await?.into_iter().next())
    }

    /// Runs a statement that changes something, and says how many rows it changed.
    pub async fn write(&self, statement: impl Into<Statement>, values: Vec<Value>) -> Result<u64> {
        let sql = statement.into().into_sql();
        let changed = match &self.0.pools {
            Pools::Sqlite { writer, .. } => sqlite::execute(writer, sql, values).await,
            Pools::Postgres(pool) => postgres::execute(pool, sql, values).await,
        };
        changed.map_err(|error| self.error(error))
    }

    /// Runs a statement that changes something and answers rows: `… RETURNING …`.
    pub async fn write_returning(&self, statement: impl Into<Statement>, values: Vec<Value>) -> Result<Vec<Row>> {
        let sql = statement.into().into_sql();
        let rows = match &self.0.pools {
            Pools::Sqlite { writer, .. } => sqlite::rows(writer, sql, values).await,
            Pools::Postgres(pool) => postgres::rows(pool, sql, values).await,
        };
        rows.map_err(|error| self.error(error))
    }

    /// Fails as [`StorageFull`](puna_api::ErrorKind::StorageFull) where there is no room for more than deletions and the database's own notes. Whoever
    /// adds much asks this first. Of the room of a PostgreSQL nothing is known here.
    pub async fn check_room(&self) -> Result<()> {
        let Some(folder) = self.0.folder.clone() else {
            return Ok(());
        };
        let checked = tokio::task::spawn_blocking(move || check_room(&folder)).await;
        checked.map_err(|error| puna_api::Error::internal("a look at the disk failed").with_source(error))?
    }

    /// Begins a transaction: in SQLite as the one writer, in PostgreSQL at the level `READ COMMITTED`. Dropped, it changes nothing.
    pub async fn begin(&self) -> Result<Transaction> {
        let begun = match &self.0.pools {
            // Taking the lock at once: a transaction that reads first and then wants to write can be refused without waiting.
            Pools::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Transaction::sqlite),
            Pools::Postgres(pool) => pool.begin().await.map(Transaction::postgres),
        };
        begun
            .map(|transaction| transaction.at(self.0.place.clone()))
            .map_err(|error| self.error(error))
    }

    /// The connections to SQLite that may write (one), for what only SQLite has.
    pub fn sqlite(&self) -> Option<&SqlitePool> {
        match &self.0.pools {
            Pools::Sqlite { writer, .. } => Some(writer),
            Pools::Postgres(_) => None,
        }
    }

    /// The connections to PostgreSQL, for what only PostgreSQL has.
    pub fn postgres(&self) -> Option<&PgPool> {
        match &self.0.pools {
            Pools::Postgres(pool) => Some(pool),
            Pools::Sqlite { .. } => None,
        }
    }

    /// Ends all connections, once nobody uses them any more.
    pub async fn close(&self) {
        match &self.0.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    /// What a failed statement on a connection of [`sqlite`](Self::sqlite) or [`postgres`](Self::postgres) means.
    pub fn error(&self, error: sqlx::Error) -> puna_api::Error {
        from_sqlx(error, &self.0.place)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.0.place).finish()
    }
}
