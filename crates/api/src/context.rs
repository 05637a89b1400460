//! Who asks, and until when.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::{Error, Result};

/// What travels with a request from the surface to the provider. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestContext(Arc<RequestContextBuilder>);

/// Collects a [`RequestContext`].
#[derive(Clone, Debug)]
pub struct RequestContextBuilder {
    request_id: String,
    principal: Option<Principal>,
    provider_data: ProviderData,
    deadline: Option<Instant>,
}

/// The authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The name that the authentication gave, such as a user or a service account.
    pub name: String,
    /// What access policies look at: `roles`, `teams`, `projects`, `namespaces`, each with its values.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// The credentials and settings that a caller sends along for providers, as the JSON object of the header `X-OGX-Provider-Data` or
/// `X-LlamaStack-Provider-Data`. Its `Debug` output shows the keys alone.
#[derive(Clone, Default, PartialEq)]
pub struct ProviderData(Map<String, Value>);

impl RequestContext {
    /// A context with nothing but an id.
    pub fn new(request_id: impl Into<String>) -> Self {
        Self::builder(request_id).build()
    }

    /// Starts a context. The id is the one in the log and in the response header `x-request-id`.
    pub fn builder(request_id: impl Into<String>) -> RequestContextBuilder {
        RequestContextBuilder {
            request_id: request_id.into(),
            principal: None,
            provider_data: ProviderData::default(),
            deadline: None,
        }
    }

    /// The id of the request in the log.
    pub fn request_id(&self) -> &str {
        &self.0.request_id
    }

    /// The authenticated caller; `None` where the server asks for no authentication.
    pub fn principal(&self) -> Option<&Principal> {
        self.0.principal.as_ref()
    }

    /// What the caller sent along for providers.
    pub fn provider_data(&self) -> &ProviderData {
        &self.0.provider_data
    }

    /// When the answer is of no use any more.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// The time left until the deadline, zero when it has passed; `None` without a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        self.0
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

impl RequestContextBuilder {
    /// Sets the authenticated caller.
    #[must_use]
    pub fn principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        self
    }

    /// Sets what the caller sent along for providers.
    #[must_use]
    pub fn provider_data(mut self, provider_data: ProviderData) -> Self {
        self.provider_data = provider_data;
        self
    }

    /// Sets when the answer is of no use any more.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Finishes the context.
    pub fn build(self) -> RequestContext {
        RequestContext(Arc::new(self))
    }
}

impl ProviderData {
    /// Reads the header's value. Fails with an invalid request when it is not a JSON object.
    pub fn parse(header: &[u8]) -> Result<Self> {
        serde_json::from_slice(header).map(Self).map_err(|error| {
            Error::invalid_request(format!("the provider data header is not a JSON object: {error}"))
                .with_code("invalid_provider_data")
        })
    }

    /// The text under this key, such as `vllm_api_token`. Fails when the value is there but is not a string.
    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(
                Error::invalid_request(format!("`{key}` in the provider data header is not a string"))
                    .with_code("invalid_provider_data"),
            ),
        }
    }

    /// The value under this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }
}

impl From<Map<String, Value>> for ProviderData {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

impl fmt::Debug for ProviderData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_data_is_an_object_and_never_shown() {
        let data = ProviderData::parse(br#"{"vllm_api_token":"s3cret","n":1}"#).unwrap();
        assert_eq!(data.text("vllm_api_token").unwrap(), Some("s3cret"));
        assert_eq!(data.text("absent").unwrap(), None);
        assert!(data.text("n").unwrap_err().message().contains("`n`"));
        assert!(!format!("{data:?}").contains("s3cret"));
        assert!(ProviderData::parse(b"[1]").is_err());
        assert!(ProviderData::parse(b"{").is_err());
    }
}
