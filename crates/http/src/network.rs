//! The `network` block of a remote provider's configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use puna_api::{Error, Result, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::headers::{RequestHeaders, is_managed};
use crate::proxy::{BypassRule, ProxyServer};
use crate::tls::cipher_suite;

/// How a remote provider is connected to: TLS, proxy, timeouts, headers. Keys as in Llama Stack's `network` block.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// How to secure connections to `https` addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// The HTTP proxy to go through. None by default; proxy variables of the environment are not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyConfig>,
    /// How long to wait: seconds for both connecting and reading, or an object that sets them apart.
    /// 5 seconds to connect and 600 to read by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeoutConfig>,
    /// Headers to add to every request.
    #[serde(default, skip_serializing)]
    pub headers: Option<BTreeMap<String, Secret<String>>>,
}

/// How to secure connections.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// `true` to check the server's certificate against the system's certificate authorities (the default), `false` not to check it
    /// at all, or the path of a PEM file with the authorities to trust instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<TlsVerify>,
    /// The oldest protocol version to accept: `TLSv1.2` (the default) or `TLSv1.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// The cipher suites to offer, by their IANA or OpenSSL names, such as `TLS_AES_256_GCM_SHA384` or `ECDHE-RSA-AES128-GCM-SHA256`.
    /// All that are considered safe by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphers: Option<Vec<String>>,
    /// The path of a PEM file with the certificate to show to the server, and its chain. Needs `client_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<PathBuf>,
    /// The path of a PEM file with the private key of `client_cert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

/// Whether and against what the server's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected true, false or the path of a PEM file")]
pub enum TlsVerify {
    /// Against the system's authorities, or not at all.
    Switch(bool),
    /// Against the authorities in this PEM file.
    File(PathBuf),
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "TLSv1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "TLSv1.3")]
    V13,
}

/// The HTTP proxies to go through.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// The proxy for all requests, such as `http://user:password@proxy.example.com:8080`.
    #[serde(default, skip_serializing)]
    pub url: Option<Secret<String>>,
    /// The proxy for requests to `http` addresses.
    #[serde(default, skip_serializing)]
    pub http: Option<Secret<String>>,
    /// The proxy for requests to `https` addresses.
    #[serde(default, skip_serializing)]
    pub https: Option<Secret<String>>,
    /// The path of a PEM file with authorities to trust as well, for a proxy that has its own or that intercepts TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cacert: Option<PathBuf>,
    /// Hosts to reach directly: `internal.example` (and all names below it), `.internal.example`, `10.0.0.0/8`, `192.0.2.1`, `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<Vec<String>>,
}

/// How long to wait, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected seconds as a number, or an object of `connect` and `read`"
)]
pub enum TimeoutConfig {
    /// For connecting, and for reading.
    Both(f64),
    /// Each by itself.
    Each(TimeoutParts),
}

/// How long to wait, in seconds, for each part of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutParts {
    /// For the connection, TLS included. 5 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<f64>,
    /// For the answer to begin, and then for each further piece of it. 600 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<f64>,
}

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the answer to begin, and then for each further piece of it.
    pub read: Duration,
}

impl Default for Timeouts {
    /// 5 seconds to connect, 600 to read: what the OpenAI clients use, since a long answer may take minutes to begin.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(600),
        }
    }
}

impl NetworkConfig {
    /// Checks what types alone cannot say, without any I/O. The error's parameter is a path that starts with `network`.
    pub fn validate(&self) -> Result<()> {
        if let Some(tls) = &self.tls {
            tls.validate()?;
        }
        if let Some(proxy) = &self.proxy {
            proxy.validate()?;
        }
        self.timeouts()?;
        self.request_headers()?;
        Ok(())
    }

    /// The timeouts, defaults filled in.
    pub(crate) fn timeouts(&self) -> Result<Timeouts> {
        let defaults = Timeouts::default();
        let (connect, read, paths) = match self.timeout {
            None => return Ok(defaults),
            Some(TimeoutConfig::Both(seconds)) => (Some(seconds), Some(seconds), ["network.timeout"; 2]),
            Some(TimeoutConfig::Each(TimeoutParts { connect, read })) => {
                (connect, read, ["network.timeout.connect", "network.timeout.read"])
            }
        };
        Ok(Timeouts {
            connect: duration(connect, paths[0])?.unwrap_or(defaults.connect),
            read: duration(read, paths[1])?.unwrap_or(defaults.read),
        })
    }

    /// The configured headers, ready to send.
    pub(crate) fn request_headers(&self) -> Result<RequestHeaders> {
        let mut headers = RequestHeaders::default();
        for (name, value) in self.headers.iter().flatten() {
            let path = format!("network.headers.{name}");
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::configuration("not a header name").with_param(&path))?;
            if is_managed(&name) {
                return Err(Error::configuration("this header is set by the client itself").with_param(&path));
            }
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
                Error::configuration("the value has characters that a header must not contain").with_param(&path)
            })?;
            value.set_sensitive(true);
            headers.set(name, value);
        }
        Ok(headers)
    }
}

impl TlsConfig {
    fn validate(&self) -> Result<()> {
        for (i, name) in self.ciphers.iter().flatten().enumerate() {
            cipher_suite(name).map_err(|error| error.with_param(format!("network.tls.ciphers[{i}]")))?;
        }
        if self.ciphers.as_ref().is_some_and(Vec::is_empty) {
            return Err(
                Error::configuration("name at least one cipher suite, or leave it out for all safe ones")
                    .with_param("network.tls.ciphers"),
            );
        }
        match (&self.client_cert, &self.client_key) {
            (Some(_), None) => {
                Err(Error::configuration("needs `client_key` beside it").with_param("network.tls.client_cert"))
            }
            (None, Some(_)) => {
                Err(Error::configuration("needs `client_cert` beside it").with_param("network.tls.client_key"))
            }
            _ => Ok(()),
        }
    }
}

impl ProxyConfig {
    fn validate(&self) -> Result<()> {
        if self.url.is_some() && (self.http.is_some() || self.https.is_some()) {
            return Err(
                Error::configuration("either `url` for all requests, or `http` and `https`, not both")
                    .with_param("network.proxy.url"),
            );
        }
        for (path, url) in [
            ("network.proxy.url", &self.url),
            ("network.proxy.http", &self.http),
            ("network.proxy.https", &self.https),
        ] {
            if let Some(url) = url {
                ProxyServer::parse(url.expose()).map_err(|error| error.with_param(path))?;
            }
        }
        for (i, rule) in self.no_proxy.iter().flatten().enumerate() {
            BypassRule::parse(rule).map_err(|error| error.with_param(format!("network.proxy.no_proxy[{i}]")))?;
        }
        Ok(())
    }
}

fn duration(seconds: Option<f64>, path: &str) -> Result<Option<Duration>> {
    match seconds {
        None => Ok(None),
        // A day is longer than any answer, and keeps clear of what timers can hold.
        Some(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(Some(Duration::from_secs_f64(seconds))),
        Some(seconds) => Err(Error::configuration(format!(
            "{seconds} is not a number of seconds above 0 and up to 86400"
        ))
        .with_param(path)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(config: serde_json::Value) -> Result<NetworkConfig, String> {
        let config: NetworkConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
        config
            .validate()
            .map_err(|error| format!("{}: {}", error.param().unwrap(), error.message()))?;
        Ok(config)
    }

    #[test]
    fn the_keys_of_the_original_are_read() {
        let config = check(json!({
            "tls": {
                "verify": "/etc/ca.pem", "min_version": "TLSv1.3", "ciphers": ["TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256"],
                "client_cert": "/c.pem", "client_key": "/k.pem",
            },
            "proxy": { "url": "http://u:p@proxy:3128", "cacert": "/p.pem", "no_proxy": ["localhost", ".corp", "10.0.0.0/8", "*"] },
            "timeout": { "connect": 1.5 },
            "headers": { "X-Team": "a", "X-Number": 7 },
        }))
        .unwrap();
        assert_eq!(
            config.timeouts().unwrap(),
            Timeouts {
                connect: Duration::from_millis(1500),
                ..Timeouts::default()
            }
        );
        assert_eq!(
            check(json!({ "timeout": 30 })).unwrap().timeouts().unwrap().read,
            Duration::from_secs(30)
        );
        assert_eq!(
            check(json!({ "tls": { "verify": false } }))
                .unwrap()
                .tls
                .unwrap()
                .verify,
            Some(TlsVerify::Switch(false))
        );
        check(json!({ "tls": null, "proxy": null, "timeout": null, "headers": null })).unwrap();
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (config, expected) in [
            (
                json!({ "tls": { "ciphers": ["DHE+AESGCM"] } }),
                "network.tls.ciphers[0]: unknown cipher suite `DHE+AESGCM`",
            ),
            (
                json!({ "tls": { "ciphers": [] } }),
                "network.tls.ciphers: name at least one",
            ),
            (
                json!({ "tls": { "client_cert": "/c.pem" } }),
                "network.tls.client_cert: needs `client_key`",
            ),
            (
                json!({ "tls": { "client_key": "/c.pem" } }),
                "network.tls.client_key: needs `client_cert`",
            ),
            (
                json!({ "tls": { "min_version": "TLSv1.1" } }),
                "unknown variant `TLSv1.1`, expected `TLSv1.2` or `TLSv1.3`",
            ),
            (
                json!({ "tls": { "verify": 3 } }),
                "expected true, false or the path of a PEM file",
            ),
            (json!({ "proxy": { "url": "socks5://p:1080" } }), "network.proxy.url: "),
            (
                json!({ "proxy": { "url": "http://p:1", "http": "http://p:1" } }),
                "network.proxy.url: either `url`",
            ),
            (
                json!({ "proxy": { "no_proxy": ["10.0.0.0/40"] } }),
                "network.proxy.no_proxy[0]: ",
            ),
            (
                json!({ "timeout": 0 }),
                "network.timeout: 0 is not a number of seconds above 0",
            ),
            (json!({ "timeout": { "read": -1 } }), "network.timeout.read: -1 is not"),
            (
                json!({ "timeout": { "write": 1 } }),
                "expected seconds as a number, or an object of `connect` and `read`",
            ),
            (
                json!({ "headers": { "Content-Length": "1" } }),
                "network.headers.Content-Length: this header is set by",
            ),
            (
                json!({ "headers": { "a b": "1" } }),
                "network.headers.a b: not a header name",
            ),
            (
                json!({ "headers": { "a": "x\r\ny: 1" } }),
                "network.headers.a: the value has characters",
            ),
            (json!({ "limits": {} }), "unknown field `limits`"),
        ] {
            let error = check(config.clone()).unwrap_err();
            assert!(error.contains(expected), "{config} gave {error}");
        }
    }

    #[test]
    fn secrets_are_not_written_back() {
        let config =
            check(json!({ "proxy": { "http": "http://u:s3cret@p:1" }, "headers": { "a": "s3cret" } })).unwrap();
        assert!(!serde_json::to_string(&config).unwrap().contains("s3cret"));
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
