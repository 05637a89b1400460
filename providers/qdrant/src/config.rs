//! What `config` of a `remote::qdrant` provider holds.

use std::time::Duration;

use puna_api::{Error, Result, Secret};
use puna_storage::KvReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// The ports that a server has where nothing else is said.
const REST_PORT: u16 = 6333;
const GRPC_PORT: u16 = 6334;

/// The most characters before the names of collections, so that those of the longest indexes are still short enough for Qdrant.
const MAX_PREFIX_CHARS: usize = 64;

/// Vectors on a Qdrant server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QdrantConfig {
    /// Where the server is, such as `https://qdrant.example:6333`; `http://localhost` by default. Its port is that of REST, as in Llama Stack: gRPC is at
    /// `grpc_port`.
    pub url: Option<String>,
    /// Another name of `url`. There is no `:memory:`.
    pub location: Option<String>,
    /// A name or an address, in place of `url`.
    pub host: Option<String>,
    /// The port of REST, in place of one in `url`. Not called: it tells whether gRPC can be at its default port, which it is beside 6333.
    pub port: Option<u16>,
    /// The port of gRPC; 6334 by default, where REST is at 6333 or nothing is said of it.
    pub grpc_port: Option<u16>,
    /// Whether `host` is called over TLS; by default if there is an `api_key`. A `url` says so itself.
    pub https: Option<bool>,
    /// A key, if the server asks for one.
    #[serde(skip_serializing)]
    pub api_key: Option<Secret<String>>,
    /// Nothing else is spoken than gRPC: `true`, or left out.
    pub prefer_grpc: Option<bool>,
    /// The start of REST's paths. There is none in gRPC, so it must be empty or left out.
    pub prefix: Option<String>,
    /// How long a request to the server may take, in seconds.
    pub timeout: f64,
    /// The start of the names of collections. Servers with the same one share their indexes.
    pub collection_prefix: String,
    /// Whether indexes of the same dimension and metric share a collection, for servers with hundreds of indexes and more. Those that were made with the
    /// other setting are not seen.
    pub share_collections: bool,
    /// Where Llama Stack keeps its list of indexes. Not needed here, where Qdrant itself has it: the backend must be there, and nothing is written to it.
    /// The start of the server says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<KvReference>,
}

impl Default for QdrantConfig {
    fn default() -> Self {
        Self {
            url: None,
            location: None,
            host: None,
            port: None,
            grpc_port: None,
            https: None,
            api_key: None,
            prefer_grpc: None,
            prefix: None,
            timeout: 30.0,
            collection_prefix: "puna_".to_owned(),
            share_collections: false,
            persistence: None,
        }
    }
}

impl QdrantConfig {
    /// Checks what the types alone do not say.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.prefer_grpc == Some(false) {
            return wrong("prefer_grpc", "only gRPC is spoken here; write `true` or leave it out");
        }
        if self.prefix.as_deref().is_some_and(|prefix| !prefix.is_empty()) {
            let message = "is the start of REST's paths, and only gRPC is spoken here, which has none; leave it out";
            return wrong("prefix", message);
        }
        let is_sendable =
            |key: &Secret<String>| !key.expose().is_empty() && key.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if self.api_key.as_ref().is_some_and(|key| !is_sendable(key)) {
            let message = "must have ASCII letters, digits and signs alone, without spaces; leave it out if the server asks for none";
            return wrong("api_key", message);
        }
        if !(self.timeout > 0.0 && self.timeout <= 86_400.0) {
            return wrong("timeout", "must be above 0 and at most 86400 seconds");
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let length = self.collection_prefix.len();
        if !(1..=MAX_PREFIX_CHARS).contains(&length) || !self.collection_prefix.bytes().all(is_allowed) {
            let message = "must have 1 to 64 ASCII letters, digits, `-` and `_`";
            return wrong("collection_prefix", message);
        }
        self.address().map(drop)
    }

    /// Where gRPC is.
    pub(crate) fn address(&self) -> Result<Url> {
        let (param, address) = match (&self.url, &self.location, &self.host) {
            (None, None, None) => ("host", self.of_host("localhost")?),
            (None, None, Some(host)) => ("host", self.of_host(host)?),
            (Some(url), None, None) => ("url", self.of_url("url", url)?),
            (None, Some(location), None) => ("location", self.of_url("location", location)?),
            (Some(_), Some(_), _) => return wrong("location", "says what `url` says too; keep one of them"),
            (_, _, Some(_)) => return wrong("host", "says what `url` says too; keep one of them"),
        };
        let (param, rest_port) = match (address.port(), self.port) {
            (Some(one), Some(other)) if one != other => {
                return wrong("port", &format!("is {other}, and the port in `{param}` is {one}"));
            }
            (_, Some(port)) => ("port", port),
            (Some(port), None) => (param, port),
            (None, None) => (param, REST_PORT),
        };
        let grpc_port = match (self.grpc_port, rest_port) {
            (Some(port), _) => port,
            (None, REST_PORT | GRPC_PORT) => GRPC_PORT,
            (None, _) => {
                let message = format!(
                    "has port {rest_port}, which is that of REST and not called; say with `grpc_port` where gRPC is"
                );
                return wrong(param, &message);
            }
        };
        let mut address = address;
        // The scheme of either kind takes a port.
        _ = address.set_port(Some(grpc_port));
        Ok(address)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    /// Whether the key is sent to another machine for everyone on the way to read.
    pub(crate) fn shows_key(&self, address: &Url) -> bool {
        let is_near = match address.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.api_key.is_some() && address.scheme() == "http" && !is_near
    }

    fn of_host(&self, host: &str) -> Result<Url> {
        let scheme = match self.https.unwrap_or(self.api_key.is_some()) {
            true => "https",
            false => "http",
        };
        let bracketed = match host.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => host.to_owned(),
        };
        match Url::parse(&format!("{scheme}://{bracketed}")) {
            Ok(url) if is_bare(&url) && url.port().is_none() => Ok(url),
            _ => wrong(
                "host",
                &format!("{host:?} is no name and no address, such as `qdrant.example`"),
            ),
        }
    }

    fn of_url(&self, param: &str, text: &str) -> Result<Url> {
        if text == ":memory:" {
            let message = "`:memory:` keeps nothing; `inline::sqlite-vec` needs no server either";
            return wrong(param, message);
        }
        let url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && is_bare(&url) => url,
            _ => {
                return wrong(
                    param,
                    "must be `http://` or `https://`, a name and maybe a port, such as `http://localhost:6333`",
                );
            }
        };
        match self.https {
            Some(https) if https != (url.scheme() == "https") => wrong(
                "https",
                &format!("is {https}, and `{param}` starts with `{}://`", url.scheme()),
            ),
            _ => Ok(url),
        }
    }
}

fn wrong<T>(param: &str, message: &str) -> Result<T> {
    Err(Error::configuration(message).with_param(param))
}

/// Whether nothing is said but a host and maybe a port.
fn is_bare(url: &Url) -> bool {
    url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn address(config: &Value) -> String {
        let config: QdrantConfig = serde_json::from_value(config.clone()).unwrap();
        config.address().unwrap().to_string()
    }

    #[test]
    fn configurations_of_llama_stack_are_taken() {
        let persistence = json!({ "namespace": "vector_io::qdrant_remote", "backend": "kv_default" });
        for (config, expected) in [
            (json!({}), "http://localhost:6334/"),
            (
                json!({ "api_key": "k", "persistence": persistence }),
                "https://localhost:6334/",
            ),
            (
                json!({ "url": null, "host": null, "api_key": null }),
                "http://localhost:6334/",
            ),
            (json!({ "url": "http://localhost:6333" }), "http://localhost:6334/"),
            (
                json!({ "url": "http://localhost:6334", "prefer_grpc": true }),
                "http://localhost:6334/",
            ),
            (
                json!({ "url": "https://q.example", "api_key": 1234 }),
                "https://q.example:6334/",
            ),
            (
                json!({ "url": "http://q.example:7000", "grpc_port": 7001, "port": 7000 }),
                "http://q.example:7001/",
            ),
            (json!({ "location": "http://[::1]:6333/" }), "http://[::1]:6334/"),
            (
                json!({ "host": "q", "port": 6333, "grpc_port": 443, "https": true }),
                "https://q/",
            ),
            (
                json!({ "host": "::1", "api_key": "k", "https": false }),
                "http://[::1]:6334/",
            ),
            (json!({ "host": "q", "prefix": "", "timeout": 5 }), "http://q:6334/"),
        ] {
            let checked = crate::PROVIDER.check(config.clone());
            assert!(checked.is_ok(), "{config}: {:?}", checked.err());
            assert_eq!(address(&config), expected, "{config}");
        }
    }

    #[test]
    fn every_mistake_is_named() {
        for (config, path, says) in [
            (json!({ "url": "q.example" }), "url", "must be `http://`"),
            (json!({ "url": "" }), "url", "must be `http://`"),
            (json!({ "url": "ftp://q" }), "url", "must be `http://`"),
            (json!({ "url": "http://u:p@q" }), "url", "must be `http://`"),
            (json!({ "url": "http://q/service" }), "url", "must be `http://`"),
            (json!({ "url": "http://q:7000" }), "url", "`grpc_port`"),
            (json!({ "url": "http://q:7000", "port": 6333 }), "port", "is 6333"),
            (
                json!({ "url": "http://q", "https": true }),
                "https",
                "`url` starts with `http://`",
            ),
            (json!({ "url": "http://q", "host": "q" }), "host", "keep one"),
            (
                json!({ "url": "http://q", "location": "http://q" }),
                "location",
                "keep one",
            ),
            (json!({ "location": ":memory:" }), "location", "`inline::sqlite-vec`"),
            (json!({ "host": "" }), "host", "is no name"),
            (json!({ "host": "q:6333" }), "host", "is no name"),
            (json!({ "host": "q", "port": 7000 }), "port", "`grpc_port`"),
            (json!({ "prefer_grpc": false }), "prefer_grpc", "only gRPC"),
            (json!({ "prefix": "service/v1" }), "prefix", "REST"),
            (json!({ "api_key": "" }), "api_key", "leave it out"),
            (json!({ "api_key": "a b" }), "api_key", "without spaces"),
            (json!({ "timeout": 0 }), "timeout", "above 0"),
            (json!({ "collection_prefix": "" }), "collection_prefix", "1 to 64"),
            (json!({ "collection_prefix": "a/b" }), "collection_prefix", "1 to 64"),
            (json!({ "persistence": { "type": "sqlite" } }), "persistence.type", ""),
            (json!({ "path": "/data" }), "path", ""),
        ] {
            let problem = crate::PROVIDER.check(config.clone()).unwrap_err();
            assert_eq!(problem.path, path, "{config}: {}", problem.message);
            assert!(problem.message.contains(says), "{config}: {}", problem.message);
        }
    }

    #[test]
    fn keys_are_not_shown_unnoticed() {
        for (config, shown) in [
            (json!({ "url": "http://q", "api_key": "k" }), true),
            (json!({ "url": "https://q", "api_key": "k" }), false),
            (json!({ "url": "http://127.0.0.1", "api_key": "k" }), false),
            (json!({ "url": "http://q" }), false),
        ] {
            let read: QdrantConfig = serde_json::from_value(config.clone()).unwrap();
            assert_eq!(read.shows_key(&read.address().unwrap()), shown, "{config}");
        }
    }
}
