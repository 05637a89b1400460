//! Headers that a request may carry.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The headers of a request: none of them frames the message or ends at the next hop, and no value holds a line break.
#[derive(Debug, Clone, Default)]
pub struct RequestHeaders(HeaderMap);

impl RequestHeaders {
    /// Sets a header, replacing what it was. A header that the client manages itself ([`is_managed`]) is left alone.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        if !is_managed(&name) {
            self.0.insert(name, value);
        }
    }

    /// Sets `authorization` to a bearer token. `None` when the token has characters that a header must not contain.
    #[must_use]
    pub fn set_bearer(&mut self, token: &str) -> Option<()> {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        self.0.insert(header::AUTHORIZATION, value);
        Some(())
    }

    /// Takes a header out.
    pub fn remove(&mut self, name: &HeaderName) {
        self.0.remove(name);
    }

    /// Sets every header of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            self.0.insert(name.clone(), value.clone());
        }
    }

    /// The value of a header.
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.get(name)
    }

    /// The headers with `host` set.
    pub(crate) fn into_map(mut self, host: HeaderValue) -> HeaderMap {
        self.0.insert(header::HOST, host);
        self.0
    }
}

/// Whether a header belongs to the connection or to the framing of the message, so that only the client may set it.
pub fn is_managed(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::CONNECTION
            | header::CONTENT_LENGTH
            | header::EXPECT
            | header::HOST
            | header::PROXY_AUTHENTICATE
            | header::PROXY_AUTHORIZATION
            | header::TE
            | header::TRAILER
            | header::TRANSFER_ENCODING
            | header::UPGRADE
            | header::ACCEPT_ENCODING
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managed_headers_and_line_breaks_stay_out() {
        let mut headers = RequestHeaders::default();
        headers.set(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.set(HeaderName::from_static("keep-alive"), HeaderValue::from_static("1"));
        assert!(headers.set_bearer("a\r\nx: y").is_none());
        assert!(headers.0.is_empty());
        headers.set_bearer("k").unwrap();
        assert_eq!(headers.get(&header::AUTHORIZATION).unwrap(), "Bearer k");
        assert!(!format!("{headers:?}").contains("Bearer k"));
    }
}
