//! The shape of `server`.

use std::num::{NonZeroU64, NonZeroUsize};

use puna_api::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Free;

/// How to serve.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// The address to listen on.
    pub(crate) host: String,
    /// The port; 0 takes a free one.
    pub(crate) port: u16,
    /// How many threads serve. By default one for each core.
    pub(crate) workers: Option<NonZeroUsize>,
    /// How often the lists of the providers' models are renewed, in seconds.
    pub(crate) registry_refresh_interval_seconds: f64,
    /// Hosts and address ranges that a URL which came with a request may name although they are not public. Puna's own.
    pub(crate) egress_allow: Vec<String>,
    /// Who may call.
    #[serde(skip_serializing)]
    pub(crate) auth: Option<Auth>,
    /// Which web pages of other origins may call.
    pub(crate) cors: Option<Cors>,
    /// Bounds on requests. Puna's own.
    pub(crate) limits: Limits,
    /// What is logged, and how. Puna's own.
    pub(crate) log: Log,
    /// What is measured. Puna's own.
    pub(crate) metrics: Metrics,
    /// How many requests a caller may make in a time.
    pub(crate) quota: Option<Quota>,
    /// The certificate, for TLS.
    pub(crate) tls_certfile: Option<String>,
    /// The certificate's key, for TLS.
    pub(crate) tls_keyfile: Option<String>,
    /// Who signs the certificates of clients, for mutual TLS.
    pub(crate) tls_cafile: Option<String>,
    /// More about TLS.
    pub(crate) tls_config: Option<Free>,
    /// How long a browser insists on TLS, in seconds.
    pub(crate) hsts_max_age: Option<u64>,
    /// Whether plain HTTP is meant.
    pub(crate) insecure: Option<bool>,
    /// Whether callers are kept apart.
    pub(crate) tenancy: Option<Tenancy>,
}

/// Who may call.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    /// How callers are known.
    pub(crate) provider_config: Option<AuthProvider>,
    /// Which callers may use which paths.
    pub(crate) route_policy: Option<Vec<Free>>,
    /// Which callers may use which resources.
    pub(crate) access_policy: Option<Vec<Free>>,
}

/// How callers are known.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AuthProvider {
    /// `local_api_key`: by the keys that stand here.
    pub(crate) r#type: String,
    /// The keys, for `local_api_key`.
    pub(crate) api_keys: Option<Vec<Key>>,
    /// The settings of other types.
    #[serde(flatten)]
    pub(crate) others: Free,
}

/// A key that a client may present.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Key {
    /// The key alone.
    Plain(Secret<String>),
    /// The key, and who presents it.
    Named(NamedKey),
}

/// A key, and who presents it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedKey {
    /// Who presents it.
    pub(crate) name: String,
    /// The key.
    pub(crate) key: Secret<String>,
}

/// Which web pages of other origins may call.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Cors {
    /// Pages of this machine, or none.
    Switch(bool),
    /// What the rules say.
    Rules(CorsRules),
}

/// Which web pages of other origins may call, and how.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CorsRules {
    /// Origins; `*` is any.
    pub(crate) allow_origins: Vec<String>,
    /// A regular expression that a whole origin may match instead.
    pub(crate) allow_origin_regex: Option<String>,
    /// Methods; `*` is any. By default `GET`.
    pub(crate) allow_methods: Option<Vec<String>>,
    /// Request headers; `*` is any.
    pub(crate) allow_headers: Vec<String>,
    /// Whether a page may send credentials.
    pub(crate) allow_credentials: bool,
    /// Answer headers that a page may read.
    pub(crate) expose_headers: Vec<String>,
    /// How long a browser may keep the answer to a preflight request, in seconds. By default 600.
    pub(crate) max_age: Option<u64>,
}

/// Bounds on requests.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// The size of a request body as it arrives, in bytes.
    pub(crate) max_body_bytes: NonZeroUsize,
    /// The size of an uploaded file, in bytes.
    pub(crate) max_file_bytes: NonZeroU64,
    /// The size that a compressed body may unpack to, in bytes.
    pub(crate) max_decompressed_bytes: NonZeroUsize,
    /// How deep arrays and objects of a JSON body may nest.
    pub(crate) max_json_depth: NonZeroUsize,
    /// The size of a request's head, in bytes.
    pub(crate) max_header_bytes: NonZeroUsize,
    /// The time from a request's arrival to the start of its answer, in seconds. By default no bound.
    pub(crate) request_timeout_seconds: Option<f64>,
    /// How long a shutdown waits for requests in progress, in seconds.
    pub(crate) shutdown_grace_seconds: f64,
}

/// What is logged, and how.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `text` for people, `json` for machines.
    pub(crate) format: Format,
    /// Which lines: a level, or levels by target: `info,puna_server=debug`.
    pub(crate) filter: String,
}

/// What is measured.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metrics {
    /// Whether requests are measured, and `/metrics` shows it.
    pub(crate) enabled: bool,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Text,
    Json,
}

/// How many requests a caller may make in a time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quota {
    /// Where the counts are kept.
    pub(crate) kvstore: Option<Free>,
    /// How many requests a caller without credentials may make.
    pub(crate) anonymous_max_requests: Option<u64>,
    /// How many requests a known caller may make.
    pub(crate) authenticated_max_requests: Option<u64>,
    /// In which time: `day`.
    pub(crate) period: Option<String>,
}

/// Whether callers are kept apart.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenancy {
    /// `disabled`, `single` or `multi`.
    pub(crate) mode: Option<String>,
    /// The tenant of a caller that names none.
    pub(crate) default_tenant_id: Option<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8321,
            workers: None,
            registry_refresh_interval_seconds: 300.0,
            egress_allow: Vec::new(),
            auth: None,
            cors: None,
            limits: Limits::default(),
            log: Log::default(),
            metrics: Metrics::default(),
            quota: None,
            tls_certfile: None,
            tls_keyfile: None,
            tls_cafile: None,
            tls_config: None,
            hsts_max_age: None,
            insecure: None,
            tenancy: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        let bytes = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        Self {
            max_body_bytes: bytes(64 * MIB),
            max_file_bytes: NonZeroU64::new(512 << 20).unwrap_or(NonZeroU64::MIN),
            max_decompressed_bytes: bytes(100 * MIB),
            max_json_depth: bytes(64),
            max_header_bytes: bytes(64 << 10),
            request_timeout_seconds: None,
            shutdown_grace_seconds: 30.0,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: Format::Text,
            filter: "info".to_owned(),
        }
    }
}
