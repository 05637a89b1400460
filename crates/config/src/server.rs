//! How to serve: the `server` part of a configuration.

use std::num::NonZeroUsize;
use std::time::Duration;

use puna_api::Secret;

/// The checked `server` part.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The address to listen on. Default `127.0.0.1`.
    pub host: String,
    /// The port. Default 8321; 0 takes a free one.
    pub port: u16,
    /// How many threads serve; `None` is one for each core.
    pub workers: Option<NonZeroUsize>,
    /// The keys of `server.auth` with type `local_api_key`. Empty: no authentication.
    pub api_keys: Vec<ApiKey>,
    /// How often the lists of the providers' models are renewed. Default 300 s.
    pub registry_refresh_interval: Duration,
    /// Hosts (`models.internal`), addresses and ranges (`10.1.0.0/16`), each optionally with a port, that a URL which came with a request may
    /// name although they are not public. Default: none.
    pub egress_allow: Vec<String>,
    /// Bounds on requests.
    pub limits: LimitsConfig,
    /// Which web pages may call; `None`: no page of another origin.
    pub cors: Option<CorsConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// Whether requests are measured, and `/metrics` shows it. Default true.
    pub metrics_enabled: bool,
}

/// A key that a client may present.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Who presents it, for the log and for access decisions.
    pub name: Option<String>,
    /// The key.
    pub key: Secret<String>,
}

/// Bounds on requests: `server.limits`.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitsConfig {
    /// The size of a request body as it arrives, in bytes; an upload has a bound of its own. Default 64 MiB.
    pub max_body_bytes: usize,
    /// The size of an uploaded file, in bytes. Default 512 MiB.
    pub max_file_bytes: u64,
    /// The size that a compressed body may unpack to, in bytes. Default 100 MiB.
    pub max_decompressed_bytes: usize,
    /// How deep arrays and objects of a JSON body may nest. Default 64.
    pub max_json_depth: usize,
    /// The size of a request's head, in bytes. Default 64 KiB.
    pub max_header_bytes: usize,
    /// The time from a request's arrival to the start of its answer; `None` is no bound, which is the default.
    pub request_timeout: Option<Duration>,
    /// How long a shutdown waits for requests in progress. Default 30 s.
    pub shutdown_grace: Duration,
}

/// Which web pages of other origins may call: `server.cors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsConfig {
    /// Origins such as `https://chat.example.com`; `*` is any.
    pub allow_origins: Vec<String>,
    /// A regular expression that a whole origin may match instead. Checked to compile.
    pub allow_origin_regex: Option<String>,
    /// Methods such as `POST`; `*` is any.
    pub allow_methods: Vec<String>,
    /// Request headers; `*` is any.
    pub allow_headers: Vec<String>,
    /// Whether a page may send credentials. Never together with the origin `*`.
    pub allow_credentials: bool,
    /// Answer headers that a page may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer to a preflight request.
    pub max_age: Duration,
}

/// What is logged, and how: `server.log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The form of a line. Default text.
    pub format: LogFormat,
    /// Which lines, as a `tracing` filter: `info`, `info,puna_server=debug`. Default `info`.
    pub filter: String,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
