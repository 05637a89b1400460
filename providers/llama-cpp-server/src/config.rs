//! The configuration.

use puna_api::Secret;
use puna_http::NetworkConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration of `remote::llama-cpp-server`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlamaCppServerConfig {
    /// The URL of the server, with or without `/v1`. `http://localhost:8080/v1` by default.
    #[serde(default, alias = "url", skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The key that the server was started with (`--api-key`), if it was. A caller's `llama_cpp_server_api_key` in the provider data header goes first.
    #[serde(default, alias = "api_token", skip_serializing)]
    pub api_key: Option<Secret<String>>,
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
