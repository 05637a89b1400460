//! The configuration.

use std::collections::BTreeMap;

use puna_api::Secret;
use puna_http::NetworkConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration of `remote::passthrough`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PassthroughConfig {
    /// The URL of the server, with or without `/v1`. Without it every caller must send `passthrough_url` in the provider data header; such URLs
    /// pass the egress guard.
    #[serde(default, alias = "url", skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The API key. It goes before the `passthrough_api_key` of the provider data header, and is never sent to a URL that a caller chose.
    #[serde(default, alias = "api_token", skip_serializing)]
    pub api_key: Option<Secret<String>>,
    /// Which values of the provider data header to forward: their keys, each with the header to send it in, such as `tenant_id: X-Tenant-ID`.
    /// All others stay here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_headers: Option<BTreeMap<String, String>>,
    /// Headers that `forward_headers` must not name, beside those that are always refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_blocked_headers: Option<Vec<String>>,
    /// The models that may be used; all that the server lists by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_models: Option<Vec<String>>,
    /// Whether to ask for the list of models again from time to time. `false` by default.
    #[serde(default)]
    pub refresh_models: bool,
    /// TLS, proxy, timeouts and headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkConfig>,
}
