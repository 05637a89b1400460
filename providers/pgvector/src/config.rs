//! What `config` of a `remote::pgvector` provider holds.

use std::path::PathBuf;
use std::time::Duration;

use puna_api::{Error, Result, Secret};
use puna_storage::{KvReference, PostgresSettings, SslMode, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Vectors in PostgreSQL with pgvector.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PgvectorConfig {
    /// A name, an address, or the folder of a Unix socket; `localhost` by default.
    pub host: Option<String>,
    /// The port; 5432 by default.
    pub port: Option<u16>,
    /// The database; `postgres` by default.
    pub db: Option<String>,
    /// Who connects; `postgres` by default.
    pub user: Option<String>,
    /// Their password.
    #[serde(skip_serializing)]
    pub password: Option<Secret<String>>,
    /// A URL in place of the five, such as `postgres://user:password@host:5432/db`.
    #[serde(skip_serializing)]
    pub connection_string: Option<Secret<String>>,
    /// How TLS is used: `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`; as the server offers it by default.
    pub ssl_mode: Option<SslMode>,
    /// A file with who signs the server's certificate; by default those whom the system trusts.
    pub ca_cert_path: Option<PathBuf>,
    /// How many connections are held at most. Also `pool_size`.
    #[serde(alias = "pool_size")]
    pub pool_max_size: u32,
    /// How long a statement may take, in seconds; the building of a graph may take longer.
    pub command_timeout: f64,
    /// The table that lists the indexes, and the start of the names of their tables. Servers with the same one share their indexes.
    pub table_name: String,
    /// How vectors are compared where nothing else is said. Each index says it here, so only `COSINE` is taken, which is what they say by default.
    pub distance_metric: DistanceMetric,
    /// The graph that searches among many vectors go by.
    pub vector_index: VectorIndexConfig,
    /// Where Llama Stack keeps its list of indexes. Not needed here, where they are listed in the same database: the backend must be there, and nothing
    /// is written to it. The start of the server says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<KvReference>,
}

/// How vectors are compared, in Llama Stack's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DistanceMetric {
    /// By their angle.
    Cosine,
    /// By their Euclidean distance.
    L2,
    /// By the sum of their differences.
    L1,
    /// By their inner product.
    InnerProduct,
}

/// A kind of index over vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum VectorIndexConfig {
    /// A graph of near neighbours.
    #[serde(rename = "HNSW")]
    Hnsw {
        /// How many neighbours each has, 2 to 100; 16 by default.
        #[serde(default = "m")]
        m: u16,
        /// How many candidates are looked at for them, from 2 `m` to 1,000; 64 by default.
        #[serde(default = "ef_construction")]
        ef_construction: u16,
        /// How many candidates a search looks at, at least twice as many as it answers, 1 to 1,000; 100 by default.
        #[serde(default = "ef_search")]
        ef_search: u16,
    },
}

fn m() -> u16 {
    16
}

fn ef_construction() -> u16 {
    64
}

fn ef_search() -> u16 {
    100
}

impl Default for PgvectorConfig {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            db: None,
            user: None,
            password: None,
            connection_string: None,
            ssl_mode: None,
            ca_cert_path: None,
            pool_max_size: 20,
            command_timeout: 30.0,
            table_name: "puna_vectors".to_owned(),
            distance_metric: DistanceMetric::Cosine,
            vector_index: VectorIndexConfig::default(),
            persistence: None,
        }
    }
}

impl Default for VectorIndexConfig {
    fn default() -> Self {
        Self::Hnsw {
            m: m(),
            ef_construction: ef_construction(),
            ef_search: ef_search(),
        }
    }
}

impl PgvectorConfig {
    /// Checks what the types alone do not say.
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |param: &str, message: &str| Err(Error::configuration(message).with_param(param));
        let has_parts = self.host.is_some()
            || self.port.is_some()
            || self.db.is_some()
            || self.user.is_some()
            || self.password.is_some();
        if self.connection_string.is_some() && has_parts {
            let message = "says what other keys here say too; keep it, or `host`, `port`, `db`, `user` and `password`";
            return wrong("connection_string", message);
        }
        for (param, text) in [("host", &self.host), ("db", &self.db), ("user", &self.user)] {
            if text.as_deref() == Some("") {
                return wrong(param, "is empty; leave it out for its default");
            }
        }
        if self.pool_max_size == 0 {
            return wrong("pool_max_size", "must be 1 or more");
        }
        if !(self.command_timeout > 0.0 && self.command_timeout <= 86_400.0) {
            return wrong("command_timeout", "must be above 0 and at most 86400 seconds");
        }
        if self.distance_metric != DistanceMetric::Cosine {
            let message = "each index says how its vectors are compared, and by default they say cosine; only `COSINE` can be written here";
            return wrong("distance_metric", message);
        }
        let VectorIndexConfig::Hnsw {
            m,
            ef_construction,
            ef_search,
        } = self.vector_index;
        if !(2..=100).contains(&m) {
            return wrong("vector_index.m", "must be from 2 to 100");
        }
        if !(2 * m..=1000).contains(&ef_construction) {
            return wrong("vector_index.ef_construction", "must be from twice `m` to 1000");
        }
        if !(1..=1000).contains(&ef_search) {
            return wrong("vector_index.ef_search", "must be from 1 to 1000");
        }
        self.table().map(drop)
    }

    pub(crate) fn table(&self) -> Result<TableName> {
        TableName::new(self.table_name.as_str()).map_err(|error| error.with_param("table_name"))
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        let defaults = PostgresSettings::default();
        PostgresSettings {
            host: self.host.clone().unwrap_or(defaults.host),
            port: self.port.unwrap_or(defaults.port),
            database: self.db.clone().unwrap_or(defaults.database),
            user: self.user.clone().unwrap_or(defaults.user),
            password: self.password.clone(),
            connection_string: self.connection_string.clone(),
            ssl_mode: self.ssl_mode,
            ca_cert_path: self.ca_cert_path.clone(),
            max_connections: self.pool_max_size,
            statement_timeout: Some(Duration::from_secs_f64(self.command_timeout)),
            ..defaults
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn configurations_of_llama_stack_are_taken() {
        let persistence = json!({ "namespace": "vector_io::pgvector", "backend": "kv_default" });
        let place = |more: serde_json::Value| {
            let mut config = json!({ "host": "localhost", "port": 5432, "db": "d", "user": "u", "password": 1234 });
            config
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            config
        };
        for config in [
            json!({}),
            json!({ "db": "d", "password": "p" }),
            place(json!({ "persistence": persistence })),
            place(json!({ "persistence": persistence, "distance_metric": "COSINE",
                "vector_index": { "type": "HNSW", "m": 16, "ef_construction": 64, "ef_search": 40 } })),
            json!({ "connection_string": "postgres://u:p@h/d", "ssl_mode": "verify-full", "pool_size": 3 }),
        ] {
            let checked = crate::PROVIDER.check(config.clone());
            assert!(checked.is_ok(), "{config}: {:?}", checked.err());
        }
    }

    #[test]
    fn every_mistake_is_named() {
        for (config, path) in [
            (
                json!({ "connection_string": "postgres://h/d", "db": "d" }),
                "connection_string",
            ),
            (json!({ "host": "" }), "host"),
            (json!({ "pool_max_size": 0 }), "pool_max_size"),
            (json!({ "command_timeout": 0 }), "command_timeout"),
            (json!({ "ssl_mode": "always" }), "ssl_mode"),
            (json!({ "distance_metric": "L2" }), "distance_metric"),
            (json!({ "table_name": "a b" }), "table_name"),
            (json!({ "persistence": { "type": "sqlite" } }), "persistence.type"),
            (json!({ "vector_index": { "type": "HNSW", "m": 1 } }), "vector_index.m"),
            (
                json!({ "vector_index": { "type": "HNSW", "m": 50 } }),
                "vector_index.ef_construction",
            ),
            (
                json!({ "vector_index": { "type": "HNSW", "ef_search": 1001 } }),
                "vector_index.ef_search",
            ),
        ] {
            assert_eq!(
                crate::PROVIDER.check(config.clone()).unwrap_err().path,
                path,
                "{config}"
            );
        }
        let lists = json!({ "vector_index": { "type": "IVFFlat", "lists": 100, "probes": 10 } });
        let problem = crate::PROVIDER.check(lists).unwrap_err();
        assert!(problem.message.contains("`HNSW`"), "{}", problem.message);
    }
}
