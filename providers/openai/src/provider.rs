//! The provider.

use std::sync::Arc;

use puna_api::{Api, Capabilities, Error, Host, ModelType, Provider, Result, Services};
use puna_openai::{FilesSettings, FilesUpstream, KnownModel, OpenAiCompatible, ProviderDataKeys, Settings};
use puna_storage::Storage;

use crate::OpenAiConfig;
use crate::files::{FilesParts, OpenAiFiles};

/// The API of OpenAI.
pub struct OpenAi;

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
    const APIS: &'static [Api] = &[Api::Inference, Api::Files];
    type Config = OpenAiConfig;

    fn sample() -> OpenAiConfig {
        OpenAiConfig {
            base_url: Some(OpenAiConfig::default().base_url().to_owned()),
            ..OpenAiConfig::default()
        }
    }

    fn validate(config: &OpenAiConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: OpenAiConfig, host: Host) -> Result<Services> {
        config.check_apis(&host)?;
        let files = if host.serves(Api::Files) {
            let files = Arc::new(files(&config, &host)?);
            files.keep_swept(&host);
            Some(files)
        } else {
            None
        };
        let mut services = if host.serves(Api::Inference) {
            inference(config, &host)?.into_services()
        } else {
            Services::default()
        };
        if let Some(files) = files {
            services = services.with_files(files);
        }
        Ok(services)
    }
}

fn inference(config: OpenAiConfig, host: &Host) -> Result<OpenAiCompatible> {
    OpenAiCompatible::new(Settings {
        base_url: Some(config.base_url().to_owned()),
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
    })
}

fn files(config: &OpenAiConfig, host: &Host) -> Result<OpenAiFiles> {
    let storage = host
        .resource::<Storage>()
        .ok_or_else(|| Error::internal("the server shares no storage with its providers"))?;
    let upstream = FilesUpstream::new(FilesSettings {
        provider_id: host.provider_id().to_owned(),
        base_url: config.base_url().to_owned(),
        api_key: config
            .key()
            .cloned()
            .ok_or_else(|| Error::internal("files are built without a key"))?,
        network: config.network.clone().unwrap_or_default(),
    })?;
    Ok(OpenAiFiles::new(FilesParts {
        provider_id: host.provider_id().to_owned(),
        upstream,
        storage,
        metadata: config.metadata_store.clone(),
        folder: config.storage_dir.clone(),
        keeps_copies: config.keep_copies.unwrap_or(true),
        host: host.clone(),
    }))
}
