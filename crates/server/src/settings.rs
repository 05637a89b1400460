//! What the caller of [`app`](crate::app()) and [`serve`](crate::serve()) decides.

use std::time::Duration;

use puna_api::Secret;

use crate::{CorsSettings, Metrics};

/// Whom the server lets in, and what it bounds.
#[derive(Debug, Clone, Default)]
pub struct ServerSettings {
    /// The bounds on requests.
    pub limits: Limits,
    /// The keys that are accepted as `Authorization: Bearer`; with none, everyone is served.
    pub api_keys: Vec<ApiKey>,
    /// Which web pages of other origins may call; with none, no CORS headers are sent.
    pub cors: Option<CorsSettings>,
    /// Where requests are measured, and what `/metrics` shows; without it, neither is done.
    pub metrics: Option<Metrics>,
}

/// A key that a client may present.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Who presents it: the name of the request's principal. By default `api-key-` and the key's place among all, from 1.
    pub name: Option<String>,
    /// The key.
    pub key: Secret<String>,
}

/// Bounds that are checked before the work they bound. A request beyond one gets an answer that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A request body as it is sent, in bytes; 64 MiB.
    pub max_body_bytes: usize,
    /// An uploaded file, in bytes; 512 MiB.
    pub max_file_bytes: u64,
    /// A gzip or zstd body when it is unpacked, in bytes; 100 MiB.
    pub max_decompressed_bytes: usize,
    /// How deeply arrays and objects of a JSON body nest; 64.
    pub max_json_depth: usize,
    /// The request line and all headers together, in bytes; 64 KiB.
    pub max_header_bytes: usize,
    /// How long a connection may take to send its next request's headers, which is also how long it may be idle; 75 s.
    pub header_timeout: Duration,
    /// How long a request body may make no progress; 30 s.
    pub body_timeout: Duration,
    /// The time from a request's arrival to the start of its answer; without it, as long as the provider takes.
    pub request_timeout: Option<Duration>,
    /// How long running requests may go on after a shutdown begins; 30 s.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 << 20,
            max_file_bytes: 512 << 20,
            max_decompressed_bytes: 100 << 20,
            max_json_depth: 64,
            max_header_bytes: 64 << 10,
            header_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            request_timeout: None,
            shutdown_grace: Duration::from_secs(30),
        }
    }
}
