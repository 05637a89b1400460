#![doc = include_str!("../README.md")]

mod blob;
mod kv;
mod reference;
mod room;
mod settings;
mod sql;
mod storage;

pub use blob::{Blob, BlobInfo, BlobKey, BlobPage, BlobStore, LocalBlobs, S3Blobs, S3Settings};
pub use kv::{Entry, KvStore, Revision};
pub use reference::{KvReference, SqlReference};
pub use room::check_room;
pub use settings::{BackendSettings, Location, PostgresSettings, SslMode, StorageSettings};
pub use sql::{Column, Database, Dialect, Migration, Row, Statement, TableName, Transaction, Value};
pub use storage::Storage;
