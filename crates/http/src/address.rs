//! Where a server is: the parts of a base URL.

use std::fmt;
use std::net::IpAddr;

use http::uri::{Authority, Uri};
use http::{HeaderValue, uri};
use puna_api::{Error, Result};

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// Whether the scheme is `https`.
    pub(crate) secure: bool,
    /// A name in lower case, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// An origin and the path below which everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    pub(crate) origin: Origin,
    /// Empty, or a path that starts with `/` and does not end in one.
    pub(crate) path: String,
}

impl BaseUrl {
    /// Reads an absolute `http` or `https` URL without credentials, query or fragment.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.contains(['?', '#']) {
            return Err(Error::configuration("a base URL has no query and no fragment"));
        }
        let (uri, authority) = split(text)?;
        if authority.as_str().contains('@') {
            return Err(Error::configuration(
                "a URL must not hold credentials, which end up in logs",
            ));
        }
        let origin = Origin::of(&uri, &authority)?;
        Ok(Self {
            origin,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl Origin {
    /// The origin of a URI that has a scheme and an authority.
    pub(crate) fn of(uri: &Uri, authority: &Authority) -> Result<Self> {
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(Error::configuration("only `http` and `https` URLs are supported")),
        };
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() {
            return Err(Error::configuration("the URL names no host"));
        }
        let after_user = authority.as_str().rsplit('@').next().unwrap_or_default();
        let port = match after_user
            .strip_prefix(authority.host())
            .and_then(|rest| rest.strip_prefix(':'))
        {
            None => own_port(secure),
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| Error::configuration(format!("`{port}` is not a port from 1 to 65535")))?,
        };
        Ok(Self {
            secure,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// The value of the `host` header: the port is left out where it is the scheme's own.
    pub(crate) fn host_header(&self) -> Result<HeaderValue> {
        let text = if self.port == own_port(self.secure) {
            self.bracketed()
        } else {
            self.authority()
        };
        HeaderValue::from_str(&text).map_err(|_| Error::configuration("the host name has unusual characters"))
    }

    /// Host and port, as in `example.com:443` or `[::1]:80`.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// The host as an address, if it is written as one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.secure { "https" } else { "http" },
            self.authority()
        )
    }
}

/// The port that the scheme implies.
fn own_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// A URI and its authority.
pub(crate) fn split(text: &str) -> Result<(Uri, Authority)> {
    let uri: Uri = text
        .parse()
        .map_err(|error: uri::InvalidUri| Error::configuration(format!("not a URL: {error}")).with_source(error))?;
    let authority = uri.authority().cloned();
    match (uri.scheme().is_some(), authority) {
        (true, Some(authority)) => Ok((uri, authority)),
        _ => Err(Error::configuration(
            "a URL must start with `http://` or `https://` and name a host",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_taken_apart() {
        for (text, shown, path, host) in [
            (
                "http://Localhost:11434/v1/",
                "http://localhost:11434",
                "/v1",
                "localhost:11434",
            ),
            (
                "https://api.openai.com/v1",
                "https://api.openai.com:443",
                "/v1",
                "api.openai.com",
            ),
            ("http://[::1]:8000", "http://[::1]:8000", "", "[::1]:8000"),
            ("https://h:443//", "https://h:443", "", "h"),
        ] {
            let base = BaseUrl::parse(text).unwrap();
            assert_eq!((base.origin.to_string().as_str(), base.path.as_str()), (shown, path));
            assert_eq!(base.origin.host_header().unwrap(), host);
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for text in [
            "",
            "/v1",
            "localhost:8000",
            "ftp://h/",
            "http://",
            "http:///x",
            "http://u:p@h/",
            "http://h/?a=1",
            "http://h/#a",
            "http://h:99999/",
            "http://h:/",
            "http://h:0/",
            "http://a b/",
            "http://h/\r\nx: y",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text:?}");
        }
    }
}
