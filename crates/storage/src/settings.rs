//! Where state is kept, as code says it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use puna_api::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every backend by its name.
#[derive(Debug, Clone)]
pub struct StorageSettings {
    /// Those for keys and values.
    pub kv: BTreeMap<String, BackendSettings>,
    /// Those for tables.
    pub sql: BTreeMap<String, BackendSettings>,
}

/// A backend.
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// Where it is.
    pub location: Location,
    /// The table that a backend for keys and values keeps them in; `puna_kv` by default.
    pub table: Option<String>,
    /// What stands before the namespaces of all that use it; nothing by default.
    pub namespace: Option<String>,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(Box<PostgresSettings>),
}

/// A database of a PostgreSQL server, and how to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// A name, an address, or the folder of a Unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// Who connects.
    pub user: String,
    /// Their password.
    pub password: Option<Secret<String>>,
    /// A URL in place of the five.
    pub connection_string: Option<Secret<String>>,
    /// How TLS is used; as the server offers it by default.
    pub ssl_mode: Option<SslMode>,
    /// Who signs the server's certificate; by default those whom the system trusts.
    pub ca_cert_path: Option<PathBuf>,
    /// How many connections are held at most.
    pub max_connections: u32,
    /// How old a connection may become.
    pub max_lifetime: Option<Duration>,
    /// Whether a connection is tried before it is used.
    pub test_before_use: bool,
    /// How long a statement may take.
    pub statement_timeout: Option<Duration>,
}

/// How TLS is used with PostgreSQL; the names are those of libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never.
    Disable,
    /// Where the server insists.
    Allow,
    /// Where the server can.
    Prefer,
    /// Always, whoever answers.
    Require,
    /// Always, with a certificate that somebody trusted signed.
    VerifyCa,
    /// Always, with a certificate that somebody trusted signed for this host.
    VerifyFull,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 5432,
            database: "postgres".to_owned(),
            user: "postgres".to_owned(),
            password: None,
            connection_string: None,
            ssl_mode: None,
            ca_cert_path: None,
            max_connections: 30,
            max_lifetime: None,
            test_before_use: true,
            statement_timeout: None,
        }
    }
}

/// Only what tells one database from another.
impl std::hash::Hash for PostgresSettings {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.host, self.port, &self.database, &self.user).hash(state);
    }
}

/// Without secrets.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(settings) => settings.fmt(f),
        }
    }
}

/// Without secrets.
impl fmt::Display for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.connection_string {
            Some(_) => f.write_str("of the connection string"),
            None => write!(f, "{}:{}/{}", self.host, self.port, self.database),
        }
    }
}
