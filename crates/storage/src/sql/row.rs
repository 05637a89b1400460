//! What a statement answers.

use puna_api::{Error, Result};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Postgres, Row as _, Sqlite, ValueRef};

/// A row of an answer.
pub struct Row(RowOf);

enum RowOf {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a column can be read as: `i64`, `f64`, `bool`, `String` and `Vec<u8>`, and an `Option` of each. A sum or an average is to be cast in the
/// statement, because the databases differ in its type.
pub trait Column: sealed::Column {}

impl<T: sealed::Column> Column for T {}

mod sealed {
    use super::{Postgres, Sqlite};

    pub trait Column:
        for<'r> sqlx::Decode<'r, Sqlite>
        + sqlx::Type<Sqlite>
        + for<'r> sqlx::Decode<'r, Postgres>
        + sqlx::Type<Postgres>
    {
        /// Whether null can be read as it. SQLite itself takes null for 0.
        const TAKES_NULL: bool = false;
    }

    impl Column for i64 {}
    impl Column for f64 {}
    impl Column for bool {}
    impl Column for String {}
    impl Column for Vec<u8> {}
    impl Column for Option<i64> {
        const TAKES_NULL: bool = true;
    }
    impl Column for Option<f64> {
        const TAKES_NULL: bool = true;
    }
    impl Column for Option<bool> {
        const TAKES_NULL: bool = true;
    }
    impl Column for Option<String> {
        const TAKES_NULL: bool = true;
    }
    impl Column for Option<Vec<u8>> {
        const TAKES_NULL: bool = true;
    }
}

impl Row {
    /// The value of a column.
    pub fn get<T: Column>(&self, column: &str) -> Result<T> {
        let value = match &self.0 {
            RowOf::Sqlite(row) => row
                .try_get_raw(column)
                .and_then(|raw| match raw.is_null() && !T::TAKES_NULL {
                    true => Err(sqlx::Error::Decode("the value is null".into())),
                    false => row.try_get(column),
                }),
            RowOf::Postgres(row) => row.try_get(column),
        };
        value.map_err(|error| {
            Error::internal(format!(
                "the column `{column}` of an answer is not what it was taken for"
            ))
            .with_source(error)
        })
    }
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self(RowOf::Sqlite(row))
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self(RowOf::Postgres(row))
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row(…)")
    }
}
