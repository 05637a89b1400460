//! All backends, each opened by whoever needs it first.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use puna_api::{Error, Result};
use tokio::sync::OnceCell;

use crate::settings::{BackendSettings, Location};
use crate::sql::{Database, TableName};
use crate::{KvReference, KvStore, SqlReference, StorageSettings};

/// The table of a backend for keys and values that names none.
const KV_TABLE: &str = "puna_kv";

/// Where a server keeps its state. Nothing is opened before somebody asks for it, and then once: backends at the same place share their
/// connections.
#[derive(Debug)]
pub struct Storage {
    settings: StorageSettings,
    opened: Mutex<HashMap<Location, Arc<OnceCell<Database>>>>,
}

impl Storage {
    /// The storage of these backends.
    pub fn new(settings: StorageSettings) -> Self {
        Self {
            settings,
            opened: Mutex::default(),
        }
    }

    /// SQLite in a folder: what a server without a `storage` section has.
    pub fn in_folder(folder: &Path) -> Self {
        let backend = |name: &str, file: &str| {
            let settings = BackendSettings {
                location: Location::Sqlite(folder.join(file)),
                table: None,
                namespace: None,
            };
            [(name.to_owned(), settings)].into()
        };
        Self::new(StorageSettings {
            kv: backend("kv_default", "kvstore.db"),
            sql: backend("sql_default", "sql_store.db"),
        })
    }

    /// The database of a backend for tables, opened, and the name of the table in it.
    pub async fn sql(&self, reference: &SqlReference, default_table: &str) -> Result<(Database, TableName)> {
        let table = TableName::new(reference.table_name.as_deref().unwrap_or(default_table))?;
        let backend = self.sql_backend(reference)?;
        Ok((self.open(&backend.location).await?, table))
    }

    /// Keys and values of a backend, opened, with the table that holds them.
    pub async fn kv(&self, reference: &KvReference, default_namespace: &str) -> Result<KvStore> {
        let backend = self.kv_backend(reference)?;
        let table = TableName::new(backend.table.as_deref().unwrap_or(KV_TABLE))?;
        let own = reference.namespace.as_deref().unwrap_or(default_namespace);
        let namespace = match backend.namespace.as_deref() {
            None | Some("") => own.to_owned(),
            Some(prefix) => format!("{prefix}:{own}"),
        };
        KvStore::open(self.open(&backend.location).await?, table, namespace).await
    }

    /// Whether there may be something in a backend for tables, told without opening it: a file that is not there holds nothing.
    pub fn may_hold_sql(&self, reference: &SqlReference) -> Result<bool> {
        Ok(may_hold(&self.sql_backend(reference)?.location))
    }

    /// Whether there may be something in a backend for keys and values, told without opening it: a file that is not there holds nothing.
    pub fn may_hold_kv(&self, reference: &KvReference) -> Result<bool> {
        Ok(may_hold(&self.kv_backend(reference)?.location))
    }

    /// Ends all connections.
    pub async fn close(&self) {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner));
        for database in opened.values().filter_map(|cell| cell.get()) {
            database.close().await;
        }
    }

    fn sql_backend(&self, reference: &SqlReference) -> Result<&BackendSettings> {
        find("sql", &self.settings.sql, reference.backend.as_deref())
    }

    fn kv_backend(&self, reference: &KvReference) -> Result<&BackendSettings> {
        find("kv", &self.settings.kv, reference.backend.as_deref())
    }

    async fn open(&self, location: &Location) -> Result<Database> {
        let cell = {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(opened.entry(location.clone()).or_default())
        };
        cell.get_or_try_init(|| Database::open(location)).await.cloned()
    }
}

fn may_hold(location: &Location) -> bool {
    match location {
        Location::Sqlite(path) => path.exists(),
        Location::Postgres(_) => true,
    }
}

/// The backend of this name; without one, the only backend or the one that is named `…_default`.
fn find<'a>(
    kind: &str,
    backends: &'a std::collections::BTreeMap<String, BackendSettings>,
    name: Option<&str>,
) -> Result<&'a BackendSettings> {
    let found = match name {
        Some(name) => backends.get(name),
        None if backends.len() == 1 => backends.values().next(),
        None => backends.get(&format!("{kind}_default")),
    };
    found.ok_or_else(|| {
        let there: Vec<_> = backends.keys().map(|name| format!("`{name}`")).collect();
        let there = match there.as_slice() {
            [] => "there is none".to_owned(),
            there => format!("there are {}", there.join(", ")),
        };
        let message = match name {
            Some(name) => format!("the storage has no backend `{name}` of a type `{kind}_…`; {there}"),
            None => format!("no backend of a type `{kind}_…` is named, and none is `{kind}_default`; {there}"),
        };
        Error::configuration(message).with_param("backend")
    })
}
