//! Where a trial runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use puna_api::Secret;
use puna_storage::{BackendSettings, Location, PostgresSettings, Storage, StorageSettings};
use tempfile::TempDir;

/// A database for one trial, and a folder for what is not in it.
#[derive(Clone)]
pub(crate) struct Place {
    /// The URL of PostgreSQL; a file of SQLite in the folder when absent.
    pub(crate) url: Option<String>,
    /// What the names of tables begin with, since trials share a server.
    pub(crate) prefix: String,
    folder: PathBuf,
    _held: Option<Arc<TempDir>>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::new(None)
    }

    pub(crate) fn postgres(url: &str) -> Self {
        Self::new(Some(url.to_owned()))
    }

    /// Another place of the same kind.
    pub(crate) fn like(&self) -> Self {
        Self::new(self.url.clone())
    }

    fn new(url: Option<String>) -> Self {
        let held = tempfile::tempdir().unwrap();
        let prefix = format!("t{:x}", fastrand::u64(..));
        Self {
            folder: held.path().to_owned(),
            _held: Some(Arc::new(held)),
            ..Self::at(url, prefix, PathBuf::new())
        }
    }

    /// A place that another process holds.
    pub(crate) fn at(url: Option<String>, prefix: String, folder: PathBuf) -> Self {
        Self {
            url,
            prefix,
            folder,
            _held: None,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn storage(&self) -> Storage {
        let location = match &self.url {
            None => Location::Sqlite(self.folder.join("made/on/the/way.db")),
            Some(url) => Location::Postgres(Box::new(PostgresSettings {
                connection_string: Some(Secret::new(url.clone())),
                max_connections: 4,
                ..PostgresSettings::default()
            })),
        };
        let backend = BackendSettings {
            location,
            table: None,
            namespace: None,
        };
        Storage::new(StorageSettings {
            kv: [].into(),
            sql: [("sql_default".to_owned(), backend)].into(),
        })
    }
}
