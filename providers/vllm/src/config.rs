//! The configuration.

use puna_api::Secret;
use puna_http::{NetworkConfig, TlsVerify};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration of `remote::vllm`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VllmConfig {
    /// The URL of the server's OpenAI paths, such as `http://localhost:8000/v1`. Required.
    #[serde(default, alias = "url", skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The limit of chats that set none, in tokens. 4096 by default; `null` leaves it to the server.
    #[serde(default = "default_max_tokens", skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The token that the server was started with (`--api-key`), if it was. A caller's `vllm_api_token` in the provider data header goes first.
    #[serde(default, alias = "api_key", skip_serializing)]
    pub api_token: Option<Secret<String>>,
    /// The older spelling of `network.tls.verify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("deprecated" = true))]
    pub tls_verify: Option<TlsVerify>,
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

fn default_max_tokens() -> Option<u32> {
    Some(4096)
}

impl Default for VllmConfig {
    fn default() -> Self {
        Self {
            base_url: None,
            max_tokens: default_max_tokens(),
            api_token: None,
            tls_verify: None,
            allowed_models: None,
            refresh_models: false,
            network: None,
        }
    }
}
