use std::path::{Path, PathBuf};

use puna_api::{Error, Host, Result};
use puna_storage::KvReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of `inline::sqlite-vec`; none is needed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqliteVecConfig {
    /// The folder to keep the indexes in, made where it is not there. By default one in the distribution's own folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The database file or folder that a configuration of Llama Stack names. It is neither read nor written: the indexes are kept in a
    /// folder beside it, `sqlite_vec.indexes` for `sqlite_vec.db`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db_path: Option<PathBuf>,
    /// Where Llama Stack keeps its list of indexes, and FAISS its vectors. Not needed here, where each index holds all that is known of it:
    /// the backend must be there, and nothing is written to it. The start of the server says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<KvReference>,
    /// What older configurations have for `persistence`. Without `path` and `db_path`, the indexes are kept in a folder beside its
    /// `db_path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kvstore: Option<KvStoreConfig>,
}

/// A database of keys and values in an older configuration of Llama Stack: `{type: sqlite, db_path: /data/faiss_store.db}`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvStoreConfig {
    /// What it is; others than `sqlite` would not say where on this machine the indexes are to be.
    pub r#type: KvStoreType,
    /// Its file, which is neither read nor written.
    pub db_path: PathBuf,
}

/// What a database of keys and values is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KvStoreType {
    /// A file of SQLite.
    Sqlite,
}

impl SqliteVecConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        if self.path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            let message = "is empty; leave it out for the distribution's own folder";
            return Err(Error::configuration(message).with_param("path"));
        }
        if self.path.is_some() && self.db_path.is_some() {
            let message = "`path` and `db_path` both say where the indexes are; remove one of them";
            return Err(Error::configuration(message).with_param("db_path"));
        }
        let kvstore = self.kvstore.as_ref().map(|kvstore| &kvstore.db_path);
        for (key, path) in [("db_path", self.db_path.as_ref()), ("kvstore.db_path", kvstore)] {
            if let Some(path) = path.filter(|path| path.file_stem().is_none()) {
                let message = format!("`{}` does not name a file", path.display());
                return Err(Error::configuration(message).with_param(key));
            }
        }
        Ok(())
    }

    /// The folder to keep the indexes in.
    pub(crate) fn folder(&self, host: &Host) -> Result<PathBuf> {
        match self.named_folder() {
            Some(folder) => Ok(folder),
            None => Ok(host.data_dir()?.to_owned()),
        }
    }

    fn named_folder(&self) -> Option<PathBuf> {
        let kvstore = || self.kvstore.as_ref().map(|kvstore| &kvstore.db_path);
        let file = || self.db_path.as_ref().or_else(kvstore);
        self.path.clone().or_else(|| file().map(|file| beside(file)))
    }
}

fn beside(file: &Path) -> PathBuf {
    file.with_extension("indexes")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn folder(config: Value) -> Option<PathBuf> {
        assert!(crate::PROVIDER.check(config.clone()).is_ok(), "{config}");
        serde_json::from_value::<SqliteVecConfig>(config)
            .unwrap()
            .named_folder()
    }

    #[test]
    fn configurations_of_llama_stack_say_where_the_indexes_are() {
        let persistence = json!({ "namespace": "vector_io::sqlite_vec", "backend": "kv_default" });
        let kvstore = json!({ "type": "sqlite", "db_path": "/kept/faiss_store.db" });
        for (config, expected) in [
            (json!({}), None),
            (json!({ "persistence": persistence }), None),
            (json!({ "path": "/data/qdrant" }), Some("/data/qdrant")),
            (
                json!({ "db_path": "/data/sqlite_vec.db", "persistence": persistence }),
                Some("/data/sqlite_vec.indexes"),
            ),
            (json!({ "kvstore": kvstore }), Some("/kept/faiss_store.indexes")),
            (
                json!({ "db_path": "/data/sqlite_vec.db", "kvstore": kvstore }),
                Some("/data/sqlite_vec.indexes"),
            ),
        ] {
            assert_eq!(folder(config.clone()).as_deref(), expected.map(Path::new), "{config}");
        }
    }

    #[test]
    fn every_mistake_is_named() {
        for (config, path) in [
            (json!({ "path": "" }), "path"),
            (json!({ "path": "/a", "db_path": "/b.db" }), "db_path"),
            (json!({ "db_path": "" }), "db_path"),
            (json!({ "db_path": "/" }), "db_path"),
            (json!({ "persistence": { "type": "sqlite" } }), "persistence.type"),
            (
                json!({ "kvstore": { "type": "redis", "host": "cache" } }),
                "kvstore.type",
            ),
            (
                json!({ "kvstore": { "type": "sqlite", "db_path": "" } }),
                "kvstore.db_path",
            ),
            (json!({ "folder": "a" }), "folder"),
        ] {
            let error = crate::PROVIDER.check(config.clone()).unwrap_err();
            assert_eq!(error.path, path, "{config}");
        }
    }
}
