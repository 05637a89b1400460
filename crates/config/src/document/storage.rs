//! The shape of `storage`.

use std::collections::BTreeMap;

use puna_api::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where state is kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    /// Databases, by name.
    #[serde(default)]
    pub(crate) backends: BTreeMap<String, Backend>,
    /// What is kept in which of them.
    #[serde(default)]
    pub(crate) stores: Stores,
}

/// A database.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Backend {
    /// Keys and values in SQLite.
    KvSqlite {
        db_path: Option<String>,
        namespace: Option<String>,
    },
    /// Keys and values in Redis.
    KvRedis {
        host: Option<String>,
        port: Option<u16>,
        namespace: Option<String>,
    },
    /// Keys and values in PostgreSQL.
    KvPostgres {
        host: Option<String>,
        port: Option<u16>,
        db: Option<String>,
        user: Option<String>,
        #[serde(skip_serializing)]
        password: Option<Secret<String>>,
        #[serde(skip_serializing)]
        connection_string: Option<Secret<String>>,
        ssl_mode: Option<String>,
        ca_cert_path: Option<String>,
        table_name: Option<String>,
        namespace: Option<String>,
    },
    /// Keys and values in MongoDB.
    KvMongodb {
        host: Option<String>,
        port: Option<u16>,
        db: Option<String>,
        user: Option<String>,
        #[serde(skip_serializing)]
        password: Option<Secret<String>>,
        collection_name: Option<String>,
        namespace: Option<String>,
    },
    /// Tables in SQLite.
    SqlSqlite { db_path: Option<String> },
    /// Tables in PostgreSQL.
    SqlPostgres {
        host: Option<String>,
        port: Option<u16>,
        db: Option<String>,
        user: Option<String>,
        #[serde(skip_serializing)]
        password: Option<Secret<String>>,
        #[serde(skip_serializing)]
        connection_string: Option<Secret<String>>,
        ssl_mode: Option<String>,
        ca_cert_path: Option<String>,
        command_timeout: Option<f64>,
        pool_size: Option<u32>,
        max_overflow: Option<u32>,
        pool_recycle: Option<i64>,
        pool_pre_ping: Option<bool>,
    },
}

/// What is kept where.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stores {
    /// The registry of models and other resources.
    pub(crate) metadata: Option<Store>,
    /// Chat completions.
    pub(crate) inference: Option<Store>,
    /// Conversations.
    pub(crate) conversations: Option<Store>,
    /// Responses.
    pub(crate) responses: Option<Store>,
    /// Prompts.
    pub(crate) prompts: Option<Store>,
    /// MCP servers.
    pub(crate) connectors: Option<Store>,
    /// Vector stores.
    pub(crate) vector_stores: Option<Tables>,
    /// Jobs; Puna's own.
    pub(crate) jobs: Option<Tables>,
}

/// Tables of a database.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tables {
    /// The name of a backend.
    pub(crate) backend: Option<String>,
    /// The name of the table, and the start of those of its companions.
    pub(crate) table_name: Option<String>,
}

/// A part of a database.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// The name of a backend.
    pub(crate) backend: Option<String>,
    /// The prefix of its keys.
    pub(crate) namespace: Option<String>,
    /// Its table.
    pub(crate) table_name: Option<String>,
    /// Whether anything is stored.
    pub(crate) enabled: Option<bool>,
    /// How many writes may wait.
    pub(crate) max_write_queue_size: Option<u64>,
    /// How many writers there are.
    pub(crate) num_writers: Option<u64>,
}
