//! How a provider's configuration names a place in the storage.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// The key of a schema that tells which kind of backend a text names, so that a name without a backend is found with the file's other mistakes.
const BACKEND_KEYWORD: &str = "x-puna-backend";

/// Tables of a database: `{backend: sql_default, table_name: files}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlReference {
    /// The name of a backend in `storage.backends`, of a type that starts with `sql_`. By default the only one, or `sql_default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = names_sql_backend)]
    pub backend: Option<String>,
    /// The name of the table, and the start of those of its companions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_name: Option<String>,
}

/// Keys and values under a prefix: `{backend: kv_default, namespace: registry}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvReference {
    /// The name of a backend in `storage.backends`, of a type that starts with `kv_`. By default the only one, or `kv_default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = names_kv_backend)]
    pub backend: Option<String>,
    /// What keeps these keys apart from others in the same backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

fn names_sql_backend(schema: &mut Schema) {
    schema.insert(BACKEND_KEYWORD.to_owned(), "sql".into());
}

fn names_kv_backend(schema: &mut Schema) {
    schema.insert(BACKEND_KEYWORD.to_owned(), "kv".into());
}
