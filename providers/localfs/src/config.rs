//! What `config` of an `inline::localfs` provider holds.

use std::path::PathBuf;
use std::time::Duration;

use puna_api::{Error, Result};
use puna_storage::{SqlReference, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files on the server's own disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LocalFsConfig {
    /// The folder for the files' bytes, made where it is not there. By default one in the distribution's own folder.
    pub storage_dir: Option<PathBuf>,
    /// The table for what is known of each file. By default `files_metadata` in the backend `sql_default`.
    pub metadata_store: Option<SqlReference>,
    /// How long a file is kept whose upload does not say it, in seconds. By default the requests of batches for 30 days, and others until they
    /// are deleted.
    pub ttl_secs: Option<u64>,
}

impl LocalFsConfig {
    /// Checks what the types alone do not say.
    pub(crate) fn validate(&self) -> Result<()> {
        if self
            .storage_dir
            .as_ref()
            .is_some_and(|folder| folder.as_os_str().is_empty())
        {
            return Err(
                Error::configuration("is empty; leave it out for the distribution's own folder")
                    .with_param("storage_dir"),
            );
        }
        if self.ttl_secs == Some(0) {
            return Err(Error::configuration("must be 1 or more; leave it out to keep files").with_param("ttl_secs"));
        }
        let table = self
            .metadata_store
            .as_ref()
            .and_then(|store| store.table_name.as_deref());
        table.map_or(Ok(()), |table| {
            TableName::new(table)
                .map(drop)
                .map_err(|error| error.with_param("metadata_store.table_name"))
        })
    }

    pub(crate) fn ttl(&self) -> Option<Duration> {
        self.ttl_secs.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[test]
    fn nothing_is_needed_and_every_mistake_is_named() {
        let check = crate::PROVIDER.check(Value::Null);
        assert!(check.is_ok());
        assert!(crate::PROVIDER.check(crate::PROVIDER.sample().unwrap()).is_ok());
        for (config, path) in [
            (json!({ "storage_dir": "" }), "storage_dir"),
            (json!({ "ttl_secs": 0 }), "ttl_secs"),
            (json!({ "ttl_secs": -1 }), "ttl_secs"),
            (
                json!({ "metadata_store": { "table_name": "a b" } }),
                "metadata_store.table_name",
            ),
            (
                json!({ "metadata_store": { "namespace": "a" } }),
                "metadata_store.namespace",
            ),
            (json!({ "folder": "a" }), "folder"),
        ] {
            assert_eq!(
                crate::PROVIDER.check(config.clone()).unwrap_err().path,
                path,
                "{config}"
            );
        }
    }
}
