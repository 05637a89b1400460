//! Where a trial runs.
#![expect(clippy::unwrap_used, reason = "a trial fails as loudly as a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use puna_api::Secret;
use puna_storage::{BackendSettings, Location, PostgresSettings, SqlReference, Storage, StorageSettings, TableName};
use tempfile::TempDir;

/// A database for one trial, and a folder for what is not in it. The folder goes with the last clone.
#[derive(Debug, Clone)]
pub struct Place {
    /// The URL of PostgreSQL; a file of SQLite in the folder when absent.
    url: Option<String>,
    /// What the names of tables begin with, since trials share a server.
    prefix: String,
    folder: PathBuf,
    _held: Option<Arc<TempDir>>,
}

impl Place {
    /// A file of SQLite that is not there yet, nor is its folder.
    pub fn sqlite() -> Self {
        Self::new(None)
    }

    /// Tables of its own in the database that the URL names.
    pub fn postgres(url: &str) -> Self {
        Self::new(Some(url.to_owned()))
    }

    /// Another place of the same kind.
    pub fn like(&self) -> Self {
        Self::new(self.url.clone())
    }

    fn new(url: Option<String>) -> Self {
        let held = tempfile::tempdir().unwrap();
        Self {
            url,
            prefix: format!("t{:x}", fastrand::u64(..)),
            folder: held.path().to_owned(),
            _held: Some(Arc::new(held)),
        }
    }

    /// This program, to be started again in a process of its own, which [`Place::of_process`] tells the place.
    pub fn process(&self, role: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([role, self.folder.to_str().unwrap(), &self.prefix])
            .args(&self.url)
            .stdout(Stdio::piped());
        command
    }

    /// The place of the process that started this one for a role; none if this one was started otherwise.
    pub fn of_process(role: &str) -> Option<Self> {
        let mut arguments = std::env::args().skip(1);
        if arguments.next()? != role {
            return None;
        }
        let (folder, prefix, url) = (arguments.next()?, arguments.next()?, arguments.next());
        Some(Self {
            url,
            prefix,
            folder: PathBuf::from(folder),
            _held: None,
        })
    }

    /// Whether the database is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.url.is_some()
    }

    /// The folder, which exists.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of SQLite, whose folder does not exist at first.
    pub fn file(&self) -> PathBuf {
        self.folder.join("made/on/the/way.db")
    }

    /// The database.
    pub fn location(&self) -> Location {
        match &self.url {
            None => Location::Sqlite(self.file()),
            Some(url) => postgres(url),
        }
    }

    /// Backends of which the database is the only one, opened anew.
    pub fn storage(&self) -> Storage {
        storage(self.location())
    }

    /// The name of a table, which is this trial's own.
    pub fn table_name(&self, name: &str) -> TableName {
        TableName::new(format!("{}_{name}", self.prefix)).unwrap()
    }

    /// The same as a configuration names it.
    pub fn table(&self, name: &str) -> SqlReference {
        SqlReference {
            backend: None,
            table_name: Some(format!("{}_{name}", self.prefix)),
        }
    }
}

/// Backends of which a PostgreSQL is the only one, opened anew.
pub fn postgres_storage(url: &str) -> Storage {
    storage(postgres(url))
}

/// The name of a table that no other trial uses, for a trial that has the folder to itself.
pub fn table_of(folder: &Path) -> String {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    format!("t_{}", name.trim_start_matches('.').to_lowercase())
}

fn postgres(url: &str) -> Location {
    Location::Postgres(Box::new(PostgresSettings {
        connection_string: Some(Secret::new(url.to_owned())),
        max_connections: 6,
        ..PostgresSettings::default()
    }))
}

fn storage(location: Location) -> Storage {
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
