//! The provider.

use puna_api::{Api, Capabilities, Host, ModelType, Provider, Result, Services};
use puna_http::{Client, NetworkConfig};
use puna_openai::{KnownModel, OpenAiCompatible, ProviderDataKeys, Settings};

use crate::OpenAiConfig;

/// The API of OpenAI.
pub struct OpenAi;

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// What OpenAI's documentation says of its embedding models, and its list of models does not.
const KNOWN_MODELS: &[KnownModel] = &[
    embedding("text-embedding-3-small", 1536, 8192),
    embedding("text-embedding-3-large", 3072, 8192),
    embedding("text-embedding-ada-002", 1536, 8192),
];

const fn embedding(id: &'static str, dimension: u32, context_length: u32) -> KnownModel {
    KnownModel {
        id,
        model_type: ModelType::Embedding,
        embedding_dimension: Some(dimension),
        context_length: Some(context_length),
    }
}

impl Provider for OpenAi {
    const TYPE: &'static str = "remote::openai";
    const SUMMARY: &'static str = "The OpenAI API, or another service that offers the same with a key";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = OpenAiConfig;

    fn sample() -> OpenAiConfig {
        OpenAiConfig {
            base_url: Some(DEFAULT_BASE_URL.to_owned()),
            ..OpenAiConfig::default()
        }
    }

    fn validate(config: &OpenAiConfig) -> Result<()> {
        let base_url = config.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL);
        Client::validate_base_url(base_url).map_err(|error| error.with_param("base_url"))?;
        config.network.iter().try_for_each(NetworkConfig::validate)
    }

    async fn build(config: OpenAiConfig, host: Host) -> Result<Services> {
        let settings = Settings {
            base_url: Some(config.base_url.unwrap_or_else(|| DEFAULT_BASE_URL.to_owned())),
            api_key: config.api_key,
            needs_key: true,
            provider_data: ProviderDataKeys {
                api_key: Some("openai_api_key"),
                ..ProviderDataKeys::default()
            },
            network: config.network.unwrap_or_default(),
            allowed_models: config.allowed_models,
            refresh_models: config.refresh_models,
            known_models: KNOWN_MODELS,
            ..Settings::new(host.provider_id(), Capabilities::all())
        };
        Ok(OpenAiCompatible::new(settings)?.into_services())
    }
}
