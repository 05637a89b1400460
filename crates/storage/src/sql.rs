//! Tables, in SQLite or PostgreSQL.

mod database;
mod error;
mod migration;
mod postgres;
mod row;
mod sqlite;
mod statement;
mod transaction;
mod value;

pub use database::{Database, Dialect};
pub use migration::Migration;
pub use row::{Column, Row};
pub use statement::{Statement, TableName};
pub use transaction::Transaction;
pub use value::Value;

pub(crate) use database::Pools;
