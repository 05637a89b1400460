//! The provider.

use puna_api::{Api, Capabilities, Capability, Host, Provider, Result, Services};
use puna_http::{Client, NetworkConfig};
use puna_openai::{HealthProbe, OpenAiCompatible, ProviderDataKeys, Quirk, RerankPath, Settings};

use crate::LlamaCppServerConfig;

/// The server of llama.cpp.
pub struct LlamaCppServer;

const DEFAULT_BASE_URL: &str = "http://localhost:8080/v1";

/// What the server honours, by its documentation. It knows nothing of `dimensions`; what depends on the model or on how the server was started, it
/// refuses by itself.
const CAPABILITIES: Capabilities = Capabilities::of(&[
    Capability::Chat,
    Capability::Completion,
    Capability::Embeddings,
    Capability::Tools,
    Capability::ForcedToolChoice,
    Capability::StructuredOutput,
    Capability::Logprobs,
    Capability::Seed,
    Capability::MultipleChoices,
    Capability::Stop,
    Capability::ImageInput,
]);

impl Provider for LlamaCppServer {
    const TYPE: &'static str = "remote::llama-cpp-server";
    const SUMMARY: &'static str = "The server of llama.cpp (llama-server), or of llama-cpp-python";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = LlamaCppServerConfig;

    fn sample() -> LlamaCppServerConfig {
        LlamaCppServerConfig {
            base_url: Some(DEFAULT_BASE_URL.to_owned()),
            ..LlamaCppServerConfig::default()
        }
    }

    fn validate(config: &LlamaCppServerConfig) -> Result<()> {
        let base_url = config.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL);
        Client::validate_base_url(base_url).map_err(|error| error.with_param("base_url"))?;
        config.network.iter().try_for_each(NetworkConfig::validate)
    }

    async fn build(config: LlamaCppServerConfig, host: Host) -> Result<Services> {
        let settings = Settings {
            base_url: Some(config.base_url.unwrap_or_else(|| DEFAULT_BASE_URL.to_owned())),
            appends_v1: true,
            api_key: config.api_key,
            provider_data: ProviderDataKeys {
                api_key: Some("llama_cpp_server_api_key"),
                ..ProviderDataKeys::default()
            },
            network: config.network.unwrap_or_default(),
            allowed_models: config.allowed_models,
            refresh_models: config.refresh_models,
            quirks: vec![Quirk::MaxTokensOnly, Quirk::Rerank { path: RerankPath::Base }],
            health: HealthProbe::Path("/health"),
            ..Settings::new(host.provider_id(), CAPABILITIES)
        };
        Ok(OpenAiCompatible::new(settings)?.into_services())
    }
}
