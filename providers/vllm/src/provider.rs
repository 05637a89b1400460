//! The provider.

use puna_api::{Api, Capabilities, Error, Host, Provider, Result, Services};
use puna_http::{Client, NetworkConfig, TlsConfig};
use puna_openai::{HealthProbe, OpenAiCompatible, ProviderDataKeys, Quirk, RerankPath, Settings};

use crate::VllmConfig;

/// A vLLM server.
pub struct Vllm;

impl Provider for Vllm {
    const TYPE: &'static str = "remote::vllm";
    const SUMMARY: &'static str = "A vLLM server";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = VllmConfig;

    fn sample() -> VllmConfig {
        VllmConfig {
            base_url: Some("http://localhost:8000/v1".to_owned()),
            ..VllmConfig::default()
        }
    }

    fn validate(config: &VllmConfig) -> Result<()> {
        Client::validate_base_url(base_url(config)?).map_err(|error| error.with_param("base_url"))?;
        if config.max_tokens == Some(0) {
            return Err(Error::configuration("must be 1 or more").with_param("max_tokens"));
        }
        let has_verify = |network: &NetworkConfig| network.tls.as_ref().is_some_and(|tls| tls.verify.is_some());
        if config.tls_verify.is_some() && config.network.as_ref().is_some_and(has_verify) {
            return Err(
                Error::configuration("contradicts `network.tls.verify`; leave out this older spelling")
                    .with_param("tls_verify"),
            );
        }
        config.network.iter().try_for_each(NetworkConfig::validate)
    }

    async fn build(config: VllmConfig, host: Host) -> Result<Services> {
        let base_url = base_url(&config)?.to_owned();
        let mut network = config.network.unwrap_or_default();
        if config.tls_verify.is_some() {
            network.tls.get_or_insert_with(TlsConfig::default).verify = config.tls_verify;
        }
        let mut quirks = vec![Quirk::Rerank { path: RerankPath::Root }];
        quirks.extend(config.max_tokens.map(Quirk::DefaultMaxTokens));
        let settings = Settings {
            base_url: Some(base_url),
            api_key: config.api_token,
            provider_data: ProviderDataKeys {
                api_key: Some("vllm_api_token"),
                ..ProviderDataKeys::default()
            },
            network,
            allowed_models: config.allowed_models,
            refresh_models: config.refresh_models,
            quirks,
            health: HealthProbe::Path("/health"),
            ..Settings::new(host.provider_id(), Capabilities::all())
        };
        Ok(OpenAiCompatible::new(settings)?.into_services())
    }
}

fn base_url(config: &VllmConfig) -> Result<&str> {
    config.base_url.as_deref().ok_or_else(|| {
        Error::configuration(
            "the address of the server is missing, such as `http://localhost:8000/v1` or `${env.VLLM_URL}`",
        )
        .with_param("base_url")
    })
}
