//! What a provider tells the core about itself.

use std::sync::Arc;

use http::HeaderName;
use puna_api::{Capabilities, ModelType, Secret};
use puna_http::{EgressPolicy, NetworkConfig};

/// What an [`OpenAiCompatible`](crate::OpenAiCompatible) is made of. Start from [`new`](Self::new).
#[derive(Debug, Clone)]
pub struct Settings {
    /// The provider's id, for error messages.
    pub provider_id: String,
    /// The URL below which the OpenAI paths lie. Without it every request must bring its own; see [`ProviderDataKeys::url`].
    pub base_url: Option<String>,
    /// Whether `/v1` is appended to URLs that do not end in it.
    pub appends_v1: bool,
    /// The key to send as bearer token.
    pub api_key: Option<Secret<String>>,
    /// Whether the upstream answers nobody without a key. If so, a request for which there is none is refused here, and no models are listed.
    pub needs_key: bool,
    /// What a caller may send along.
    pub provider_data: ProviderDataKeys,
    /// TLS, proxy, timeouts, headers.
    pub network: NetworkConfig,
    /// The guard of URLs that a request chose.
    pub egress: Arc<EgressPolicy>,
    /// The models that may be used; all of them if `None`.
    pub allowed_models: Option<Vec<String>>,
    /// Whether the list of models is asked for again from time to time.
    pub refresh_models: bool,
    /// What the upstream can do. What is missing here is refused by name.
    pub capabilities: Capabilities,
    /// Where the upstream differs from OpenAI.
    pub quirks: Vec<Quirk>,
    /// What is known of models that the upstream's list does not tell.
    pub known_models: &'static [KnownModel],
    /// How to ask for its health.
    pub health: HealthProbe,
}

impl Settings {
    /// Settings of an upstream without a key, which lists its models to tell its health.
    pub fn new(provider_id: impl Into<String>, capabilities: Capabilities) -> Self {
        Self {
            provider_id: provider_id.into(),
            base_url: None,
            appends_v1: false,
            api_key: None,
            needs_key: false,
            provider_data: ProviderDataKeys::default(),
            network: NetworkConfig::default(),
            egress: Arc::default(),
            allowed_models: None,
            refresh_models: false,
            capabilities,
            quirks: Vec::new(),
            known_models: &[],
            health: HealthProbe::Models,
        }
    }

    /// Where the upstream reranks, if it does.
    pub(crate) fn rerank_path(&self) -> Option<RerankPath> {
        self.quirks.iter().find_map(|quirk| match quirk {
            Quirk::Rerank { path } => Some(*path),
            _ => None,
        })
    }
}

/// The keys of the provider data header that the provider reads.
#[derive(Debug, Clone, Default)]
pub struct ProviderDataKeys {
    /// The caller's API key, such as `vllm_api_token`. It goes before the configured one unless `config_first` is set.
    pub api_key: Option<&'static str>,
    /// The URL to call where none is configured. It passes the egress guard, and gets neither the configured key nor configured headers.
    pub url: Option<&'static str>,
    /// Whether the configured key goes before the caller's.
    pub config_first: bool,
    /// Values to forward, each with the header that carries it.
    pub headers: Vec<(String, HeaderName)>,
}

/// Where an upstream differs from OpenAI.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Quirk {
    /// It wants a limit: chats without `max_tokens` and `max_completion_tokens` get this one.
    DefaultMaxTokens(u32),
    /// It ignores `max_completion_tokens`, so `max_tokens` gets its value where it has none of its own.
    MaxTokensOnly,
    /// It ignores `tool_choice`. For `none` the tools are taken out, which comes to the same.
    ToolChoiceIgnored,
    /// It ignores a member of requests, which is therefore refused by name.
    Ignores {
        /// The member.
        member: &'static str,
        /// Values that ask for nothing out of the ordinary, as JSON, beside `null`.
        harmless: &'static [&'static str],
    },
    /// It takes images as data only. Those given by URL are fetched, past the egress guard, and put in their place.
    ImagesAsData,
    /// It reranks at this path, in the form of the Jina API.
    Rerank {
        /// The path.
        path: RerankPath,
    },
}

/// Where an upstream reranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RerankPath {
    /// At `/rerank` beside `/v1`.
    Root,
    /// At `/rerank` below the base URL.
    Base,
}

/// How to ask an upstream for its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthProbe {
    /// It cannot be asked without running a model, or without a caller's key.
    None,
    /// It lists its models.
    Models,
    /// `GET` this path from the server's root, such as `/health`; where the upstream does not know it, it lists its models.
    Path(&'static str),
}

/// What is known of a model.
#[derive(Debug, Clone, Copy)]
pub struct KnownModel {
    /// Its id at the upstream.
    pub id: &'static str,
    /// What it is for.
    pub model_type: ModelType,
    /// The length of its vectors.
    pub embedding_dimension: Option<u32>,
    /// How many tokens it reads.
    pub context_length: Option<u32>,
}
