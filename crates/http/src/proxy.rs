//! HTTP proxies: which requests go through one, and the tunnel that `https` needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use puna_api::{Error, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::address::{Origin, split};
use crate::egress::Network;
use crate::network::ProxyConfig;

/// A proxy server.
#[derive(Debug, Clone)]
pub(crate) struct ProxyServer {
    pub(crate) origin: Origin,
    /// The value of `proxy-authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

/// A host, or a range of hosts, that is reached without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BypassRule {
    /// Every host.
    All,
    /// A name and all names below it, without a leading dot.
    Domain { name: String, port: Option<u16> },
    /// Addresses written as such.
    Network { network: Network, port: Option<u16> },
}

/// Why a proxy gave no tunnel.
#[derive(Debug)]
pub(crate) enum TunnelError {
    /// The connection to the proxy failed.
    Io(std::io::Error),
    /// The proxy answered this instead of a success.
    Answer(String),
}

impl ProxyServer {
    /// Reads a proxy's URL, with its user name and password if it has them. Only `http` and `https` proxies are known.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (uri, authority) = split(url)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(Error::configuration("only `http` and `https` proxies are supported"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(Error::configuration("a proxy's URL has no path and no query"));
        }
        let authorization = match authority.as_str().rsplit_once('@') {
            None => None,
            Some((user, _)) => Some(basic(user)?),
        };
        Ok(Self {
            origin: Origin::of(&uri, &authority)?,
            authorization,
        })
    }

    /// The proxy for requests to this origin, if there is one.
    pub(crate) fn for_origin(config: &ProxyConfig, origin: &Origin) -> Result<Option<Self>> {
        for rule in config.no_proxy.iter().flatten() {
            if BypassRule::parse(rule)?.matches(origin) {
                return Ok(None);
            }
        }
        let url = config.url.as_ref().or(if origin.secure {
            config.https.as_ref()
        } else {
            config.http.as_ref()
        });
        url.map(|url| Self::parse(url.expose())).transpose()
    }
}

/// The value of `proxy-authorization` for the user information of a URL, `name:password`, percent-encoded.
fn basic(user: &str) -> Result<HeaderValue> {
    let user = percent_decode(user).ok_or_else(|| Error::configuration("the proxy's user name is badly encoded"))?;
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(user)))
        .map_err(|_| Error::configuration("the proxy's user name is badly encoded"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(out)
}

impl BypassRule {
    pub(crate) fn parse(rule: &str) -> Result<Self> {
        let text = rule.trim();
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(network) = Network::parse(text) {
            return Ok(Self::Network { network, port: None });
        }
        let problem = || {
            Error::configuration(format!(
                "`{rule}` is not a host name, an address, a range such as `10.0.0.0/8`, or `*`"
            ))
        };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| problem())?)),
            None => (text, None),
        };
        let unbracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Some(network) = Network::parse(unbracketed) {
            return Ok(Self::Network { network, port });
        }
        let name = host
            .trim_start_matches("*.")
            .trim_start_matches('.')
            .to_ascii_lowercase();
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if is_name {
            Ok(Self::Domain { name, port })
        } else {
            Err(problem())
        }
    }

    fn matches(&self, origin: &Origin) -> bool {
        match self {
            Self::All => true,
            Self::Domain { name, port } => {
                port.is_none_or(|port| port == origin.port)
                    && origin
                        .host
                        .strip_suffix(name.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Network { network, port } => {
                port.is_none_or(|port| port == origin.port)
                    && origin.address().is_some_and(|address| network.contains(address))
            }
        }
    }
}

/// Asks a proxy for a tunnel to `target` (host and port) with `CONNECT` (RFC 9110, section 9.3.6).
pub(crate) async fn open_tunnel<T: AsyncRead + AsyncWrite + Unpin>(
    proxy: &mut T,
    target: &str,
    authorization: Option<&HeaderValue>,
) -> Result<(), TunnelError> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n").into_bytes();
    if let Some(authorization) = authorization {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    proxy.write_all(&request).await.map_err(TunnelError::Io)?;
    proxy.flush().await.map_err(TunnelError::Io)?;

    // What follows the header belongs to the tunnel, so nothing beyond it may be read.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == 8192 {
            return Err(TunnelError::Answer("a header that does not end".to_owned()));
        }
        answer.push(proxy.read_u8().await.map_err(TunnelError::Io)?);
    }
    let status_line = answer.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let status_line = String::from_utf8_lossy(status_line);
    let mut words = status_line.split(' ');
    match (words.next(), words.next()) {
        (Some("HTTP/1.1" | "HTTP/1.0"), Some(status)) if status.len() == 3 && status.starts_with('2') => Ok(()),
        _ => Err(TunnelError::Answer(status_line.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use puna_api::Secret;

    use super::*;

    fn origin(secure: bool, host: &str, port: u16) -> Origin {
        Origin {
            secure,
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn credentials_become_a_header() {
        let proxy = ProxyServer::parse("http://us%65r:p%40ss@Proxy.example:3128/").unwrap();
        assert_eq!(proxy.origin, origin(false, "proxy.example", 3128));
        assert_eq!(
            proxy.authorization.unwrap(),
            format!("Basic {}", STANDARD.encode("user:p@ss"))
        );
        assert!(ProxyServer::parse("http://p:80").unwrap().authorization.is_none());
        for url in ["socks5://p:1080", "p:1080", "http://p:1/path", "http://u%4@p:1"] {
            assert!(ProxyServer::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_scheme_and_the_bypass_list_decide() {
        let secret = |url: &str| Some(Secret::new(url.to_owned()));
        let config = ProxyConfig {
            http: secret("http://one:1"),
            https: secret("http://two:2"),
            no_proxy: Some(["corp.example", "10.0.0.0/8", "h:8080"].map(str::to_owned).to_vec()),
            ..ProxyConfig::default()
        };
        for (origin, expected) in [
            (origin(false, "a.example", 80), Some("one")),
            (origin(true, "a.example", 443), Some("two")),
            (origin(true, "corp.example", 443), None),
            (origin(true, "x.corp.example", 443), None),
            (origin(true, "xcorp.example", 443), Some("two")),
            (origin(false, "10.3.0.1", 80), None),
            (origin(false, "h", 8080), None),
            (origin(false, "h", 80), Some("one")),
        ] {
            let proxy = ProxyServer::for_origin(&config, &origin).unwrap();
            assert_eq!(
                proxy.as_ref().map(|proxy| proxy.origin.host.as_str()),
                expected,
                "{origin}"
            );
        }
    }
}
