//! What a statement is given.

use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Postgres, Sqlite};

/// A parameter of a statement: `$1` is the first. Each variant goes into one type of column, in both databases, and `None` is null.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// For a `BIGINT`.
    Integer(Option<i64>),
    /// For a `DOUBLE PRECISION`.
    Real(Option<f64>),
    /// For a `BOOLEAN`.
    Flag(Option<bool>),
    /// For a `TEXT`; PostgreSQL takes none with a zero character.
    Text(Option<String>),
    /// For a `BLOB` of SQLite, a `BYTEA` of PostgreSQL.
    Bytes(Option<Vec<u8>>),
}

macro_rules! values {
    ($($variant:ident: $type:ty;)*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(Some(value))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value)
            }
        })*

        impl Value {
            fn add_to<'q, A: Arguments>(self, arguments: &mut A) -> Result<(), sqlx::error::BoxDynError>
            where
                $(Option<$type>: 'q + for<'t> sqlx::Encode<'t, A::Database> + sqlx::Type<A::Database>,)*
            {
                match self {
                    $(Self::$variant(value) => arguments.add(value),)*
                }
            }
        }
    };
}

values! {
    Integer: i64;
    Real: f64;
    Flag: bool;
    Text: String;
    Bytes: Vec<u8>;
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

pub(super) fn sqlite_arguments(values: Vec<Value>) -> sqlx::Result<SqliteArguments> {
    let mut arguments = <Sqlite as sqlx::Database>::Arguments::default();
    for value in values {
        value.add_to(&mut arguments).map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

pub(super) fn postgres_arguments(values: Vec<Value>) -> sqlx::Result<PgArguments> {
    let mut arguments = <Postgres as sqlx::Database>::Arguments::default();
    for value in values {
        value.add_to(&mut arguments).map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
