//! What `config` of a `remote::chroma` provider holds.

use std::time::Duration;

use puna_api::{Error, Result, Secret};
use puna_http::{Client, ClientSettings, NetworkConfig};
use puna_storage::KvReference;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// The most characters before the names of collections, and of a tenant or a database.
const MAX_PREFIX_CHARS: usize = 64;
const MAX_NAME_CHARS: usize = 512;

/// Vectors on a Chroma server.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChromaConfig {
    /// Where the server is, such as `https://chroma.example`; `http://localhost:8000` by default.
    pub url: String,
    /// Who the database belongs to.
    pub tenant: String,
    /// The database, which must be there.
    pub database: String,
    /// A token, if the server or what stands before it asks for one.
    #[serde(skip_serializing)]
    pub api_token: Option<Secret<String>>,
    /// The header with the token: `x-chroma-token`, or `authorization` with `Bearer` before it.
    pub token_header: TokenHeader,
    /// How long a request to the server may take, in seconds.
    pub timeout: f64,
    /// The start of the names of collections. Servers with the same one share their indexes.
    pub collection_prefix: String,
    /// TLS, proxy and headers, and timeouts within `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkConfig>,
    /// Where Llama Stack keeps its list of indexes. Not needed here, where Chroma itself has it: the backend must be there, and nothing is written to it.
    /// The start of the server says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistence: Option<KvReference>,
}

/// Where a token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum TokenHeader {
    /// `x-chroma-token: …`
    #[default]
    #[serde(rename = "x-chroma-token")]
    Chroma,
    /// `authorization: Bearer …`
    #[serde(rename = "authorization")]
    Authorization,
}

impl Default for ChromaConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:8000".to_owned(),
            tenant: "default_tenant".to_owned(),
            database: "default_database".to_owned(),
            api_token: None,
            token_header: TokenHeader::default(),
            timeout: 60.0,
            collection_prefix: "puna_".to_owned(),
            network: None,
            persistence: None,
        }
    }
}

impl ChromaConfig {
    /// Checks what the types alone do not say.
    pub(crate) fn validate(&self) -> Result<()> {
        Client::validate_base_url(&self.url).map_err(|error| error.with_param("url"))?;
        for (param, name) in [("tenant", &self.tenant), ("database", &self.database)] {
            if !is_name(name, MAX_NAME_CHARS) {
                let message =
                    "must have 1 to 512 ASCII letters, digits, `-`, `_` and `.`, the first a letter or a digit";
                return wrong(param, message);
            }
        }
        let is_sendable = |token: &Secret<String>| {
            !token.expose().is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.api_token.as_ref().is_some_and(|token| !is_sendable(token)) {
            let message = "must have ASCII letters, digits and signs alone, without spaces; leave it out if the server asks for none";
            return wrong("api_token", message);
        }
        if !(self.timeout > 0.0 && self.timeout <= 86_400.0) {
            return wrong("timeout", "must be above 0 and at most 86400 seconds");
        }
        if !is_name(&self.collection_prefix, MAX_PREFIX_CHARS) || self.collection_prefix.contains('.') {
            let message = "must have 1 to 64 ASCII letters, digits, `-` and `_`, the first a letter or a digit";
            return wrong("collection_prefix", message);
        }
        match &self.network {
            Some(network) => network.validate(),
            None => Ok(()),
        }
    }

    /// What calls the server.
    pub(crate) fn client(&self, provider_id: &str) -> Result<Client> {
        let client = Client::new(ClientSettings {
            name: provider_id.to_owned(),
            base_url: self.url.clone(),
            network: self.network.clone().unwrap_or_default(),
        });
        client.map_err(|error| match error.param() {
            Some("base_url") => error.with_param("url"),
            _ => error,
        })
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout)
    }

    /// Whether the token is sent to another machine for everyone on the way to read.
    pub(crate) fn shows_token(&self) -> bool {
        let Ok(url) = Url::parse(&self.url) else {
            return false;
        };
        let is_near = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.api_token.is_some() && url.scheme() == "http" && !is_near
    }
}

fn wrong<T>(param: &str, message: &str) -> Result<T> {
    Err(Error::configuration(message).with_param(param))
}

/// Whether it can be a part of a path, and the start of a collection's name.
fn is_name(name: &str, max_chars: usize) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= max_chars
        && name.bytes().all(is_allowed)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn configurations_of_llama_stack_are_taken() {
        let persistence = json!({ "namespace": "vector_io::chroma_remote", "backend": "kv_default" });
        for config in [
            json!({}),
            json!({ "url": "http://localhost:8000", "persistence": persistence }),
            json!({ "url": "https://chroma.example/behind/a/proxy", "api_token": 1234 }),
            json!({ "url": "http://c", "tenant": "7f3e", "database": "my-data.1", "token_header": "authorization" }),
            json!({ "network": { "tls": { "verify": false } }, "timeout": 5 }),
        ] {
            let checked = crate::PROVIDER.check(config.clone());
            assert!(checked.is_ok(), "{config}: {:?}", checked.err());
        }
    }

    #[test]
    fn every_mistake_is_named() {
        for (config, path, says) in [
            (json!({ "url": "chroma.example" }), "url", ""),
            (json!({ "url": "" }), "url", ""),
            (json!({ "url": "ftp://c" }), "url", ""),
            (json!({ "tenant": "" }), "tenant", "1 to 512"),
            (json!({ "database": "../admin" }), "database", "1 to 512"),
            (json!({ "database": ".." }), "database", "the first a letter"),
            (json!({ "api_token": "" }), "api_token", "leave it out"),
            (json!({ "api_token": "a b" }), "api_token", "without spaces"),
            (json!({ "token_header": "cookie" }), "token_header", "x-chroma-token"),
            (json!({ "timeout": 0 }), "timeout", "above 0"),
            (json!({ "collection_prefix": "" }), "collection_prefix", "1 to 64"),
            (
                json!({ "collection_prefix": "_a" }),
                "collection_prefix",
                "the first a letter",
            ),
            (json!({ "collection_prefix": "a." }), "collection_prefix", "1 to 64"),
            (json!({ "collection_prefix": "a/b" }), "collection_prefix", "1 to 64"),
            (json!({ "network": { "timeout": -1 } }), "network.timeout", ""),
            (json!({ "persistence": { "type": "sqlite" } }), "persistence.type", ""),
            (json!({ "db_path": "/data" }), "db_path", ""),
        ] {
            let problem = crate::PROVIDER.check(config.clone()).unwrap_err();
            assert_eq!(problem.path, path, "{config}: {}", problem.message);
            assert!(problem.message.contains(says), "{config}: {}", problem.message);
        }
    }

    #[test]
    fn tokens_are_not_shown_unnoticed() {
        for (config, shown) in [
            (json!({ "url": "http://c", "api_token": "k" }), true),
            (json!({ "url": "https://c", "api_token": "k" }), false),
            (json!({ "url": "http://127.0.0.1:8000", "api_token": "k" }), false),
            (json!({ "url": "http://[::1]:8000", "api_token": "k" }), false),
            (json!({ "url": "http://c" }), false),
        ] {
            let read: ChromaConfig = serde_json::from_value(config.clone()).unwrap();
            assert_eq!(read.shows_token(), shown, "{config}");
            assert!(!serde_json::to_string(&read).unwrap().contains("api_token"));
        }
    }
}
