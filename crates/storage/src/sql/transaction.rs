//! Statements that take effect together.

use puna_api::Result;
use sqlx::{Postgres, Sqlite};

use super::error::from_sqlx;
use super::{Row, Statement, Value, postgres, sqlite};

/// A transaction of a [`Database`](super::Database). Nothing of it is there before [`commit`](Self::commit) returns, and everything after.
pub struct Transaction {
    of: TransactionOf,
    place: String,
}

enum TransactionOf {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    pub(super) fn sqlite(transaction: sqlx::Transaction<'static, Sqlite>) -> Self {
        Self {
            of: TransactionOf::Sqlite(transaction),
            place: String::new(),
        }
    }

    pub(super) fn postgres(transaction: sqlx::Transaction<'static, Postgres>) -> Self {
        Self {
            of: TransactionOf::Postgres(transaction),
            place: String::new(),
        }
    }

    pub(super) fn at(self, place: String) -> Self {
        Self { place, ..self }
    }

    /// The rows that a statement answers, whether it changes something or not.
    pub async fn rows(&mut self, statement: impl Into<Statement>, values: Vec<Value>) -> Result<Vec<Row>> {
        let sql = statement.into().into_sql();
        let rows = match &mut self.of {
            TransactionOf::Sqlite(transaction) => sqlite::rows(&mut **transaction, sql, values).await,
            TransactionOf::Postgres(transaction) => postgres::rows(&mut **transaction, sql, values).await,
        };
        rows.map_err(|error| from_sqlx(error, &self.place))
    }

    /// The first row that a statement answers.
    pub async fn row(&mut self, statement: impl Into<Statement>, values: Vec<Value>) -> Result<Option<Row>> {
        Ok(self.rows(statement, values).await?.into_iter().next())
    }

    /// Runs a statement that changes something, and says how many rows it changed.
    pub async fn write(&mut self, statement: impl Into<Statement>, values: Vec<Value>) -> Result<u64> {
        let sql = statement.into().into_sql();
        let changed = match &mut self.of {
            TransactionOf::Sqlite(transaction) => sqlite::execute(&mut **transaction, sql, values).await,
            TransactionOf::Postgres(transaction) => postgres::execute(&mut **transaction, sql, values).await,
        };
        changed.map_err(|error| from_sqlx(error, &self.place))
    }

    /// Runs statements without parameters, separated by semicolons.
    pub(super) async fn run(&mut self, statements: Statement) -> Result<()> {
        let sql = statements.into_sql();
        let done = match &mut self.of {
            TransactionOf::Sqlite(transaction) => sqlite::run(transaction, sql).await,
            TransactionOf::Postgres(transaction) => postgres::run(transaction, sql).await,
        };
        done.map_err(|error| from_sqlx(error, &self.place))
    }

    /// Makes it all true, durably.
    pub async fn commit(self) -> Result<()> {
        let done = match self.of {
            TransactionOf::Sqlite(transaction) => transaction.commit().await,
            TransactionOf::Postgres(transaction) => transaction.commit().await,
        };
        done.map_err(|error| from_sqlx(error, &self.place))
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Transaction").field(&self.place).finish()
    }
}
