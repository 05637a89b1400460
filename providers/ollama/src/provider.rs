//! The provider.

use puna_api::{Api, Capabilities, Capability, Host, ModelType, Provider, Result, Services};
use puna_http::{Client, EgressPolicy, NetworkConfig};
use puna_openai::{KnownModel, OpenAiCompatible, ProviderDataKeys, Quirk, Settings};

use crate::OllamaConfig;

/// An Ollama server.
pub struct Ollama;

const DEFAULT_BASE_URL: &str = "http://localhost:11434/v1";

/// What Ollama's OpenAI paths honour, by its documentation: of what there is, not `tool_choice` and `n`.
const CAPABILITIES: Capabilities = Capabilities::of(&[
    Capability::Chat,
    Capability::Completion,
    Capability::Embeddings,
    Capability::EmbeddingDimensions,
    Capability::Tools,
    Capability::StructuredOutput,
    Capability::Logprobs,
    Capability::Seed,
    Capability::Stop,
    Capability::ImageInput,
]);

const KNOWN_MODELS: &[KnownModel] = &[
    embedding("all-minilm:l6-v2", 384, 512),
    embedding("all-minilm:latest", 384, 512),
    embedding("nomic-embed-text:latest", 768, 8192),
    embedding("nomic-embed-text:v1.5", 768, 8192),
    embedding("nomic-embed-text:137m-v1.5-fp16", 768, 8192),
];

const fn embedding(id: &'static str, dimension: u32, context_length: u32) -> KnownModel {
    KnownModel {
        id,
        model_type: ModelType::Embedding,
        embedding_dimension: Some(dimension),
        context_length: Some(context_length),
    }
}

fn quirks() -> Vec<Quirk> {
    vec![
        Quirk::MaxTokensOnly,
        Quirk::ToolChoiceIgnored,
        Quirk::ImagesAsData,
        Quirk::Ignores {
            member: "logit_bias",
            harmless: &["{}"],
        },
        Quirk::Ignores {
            member: "functions",
            harmless: &["[]"],
        },
        Quirk::Ignores {
            member: "best_of",
            harmless: &["1"],
        },
        Quirk::Ignores {
            member: "echo",
            harmless: &["false"],
        },
    ]
}

impl Provider for Ollama {
    const TYPE: &'static str = "remote::ollama";
    const SUMMARY: &'static str = "An Ollama server";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = OllamaConfig;

    fn sample() -> OllamaConfig {
        OllamaConfig {
            base_url: Some(DEFAULT_BASE_URL.to_owned()),
            ..OllamaConfig::default()
        }
    }

    fn validate(config: &OllamaConfig) -> Result<()> {
        let base_url = config.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL);
        Client::validate_base_url(base_url).map_err(|error| error.with_param("base_url"))?;
        config.network.iter().try_for_each(NetworkConfig::validate)
    }

    async fn build(config: OllamaConfig, host: Host) -> Result<Services> {
        let settings = Settings {
            base_url: Some(config.base_url.unwrap_or_else(|| DEFAULT_BASE_URL.to_owned())),
            appends_v1: true,
            api_key: config.api_key,
            provider_data: ProviderDataKeys {
                api_key: Some("ollama_api_key"),
                ..ProviderDataKeys::default()
            },
            network: config.network.unwrap_or_default(),
            egress: host.resource::<EgressPolicy>().unwrap_or_default(),
            allowed_models: config.allowed_models,
            refresh_models: config.refresh_models,
            quirks: quirks(),
            known_models: KNOWN_MODELS,
            ..Settings::new(host.provider_id(), CAPABILITIES)
        };
        Ok(OpenAiCompatible::new(settings)?.into_services())
    }
}
