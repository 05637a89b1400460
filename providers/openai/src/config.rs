//! The configuration.

use std::path::PathBuf;

use puna_api::{Api, Error, Host, Result, Secret};
use puna_http::{Client, NetworkConfig};
use puna_storage::{SqlReference, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1";

/// The configuration of `remote::openai`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenAiConfig {
    /// The URL below which the paths of the API lie. `https://api.openai.com/v1` by default.
    #[serde(default, alias = "url", alias = "api_base", skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The API key. Files need it. Without it every caller of models must send `openai_api_key` in the provider data header.
    #[serde(default, alias = "api_token", skip_serializing)]
    pub api_key: Option<Secret<String>>,
    /// For inference: the models that may be used; all that the server lists by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_models: Option<Vec<String>>,
    /// For inference: whether to ask for the list of models again from time to time. `false` by default.
    #[serde(default)]
    pub refresh_models: bool,
    /// TLS, proxy, timeouts and headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkConfig>,
    /// For files: the table for what is known of each file. By default `openai_files_metadata` in the backend `sql_default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_store: Option<SqlReference>,
    /// For files: whether the bytes that OpenAI does not give back stay here as well, so that vector stores and downloads can read them. `true` by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_copies: Option<bool>,
    /// For files: the folder for uploads on their way, and for those copies; made where it is not there. By default one in the distribution's own
    /// folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_dir: Option<PathBuf>,
}

impl OpenAiConfig {
    /// The URL below which the paths lie.
    pub(crate) fn base_url(&self) -> &str {
        self.base_url.as_deref().unwrap_or(DEFAULT_BASE_URL)
    }

    /// Checks what the types alone do not say.
    pub(crate) fn validate(&self) -> Result<()> {
        Client::validate_base_url(self.base_url()).map_err(|error| error.with_param("base_url"))?;
        self.network.iter().try_for_each(NetworkConfig::validate)?;
        if self
            .storage_dir
            .as_ref()
            .is_some_and(|folder| folder.as_os_str().is_empty())
        {
            return Err(
                Error::configuration("is empty; leave it out for the distribution's own folder")
                    .with_param("storage_dir"),
            );
        }
        let table = self
            .metadata_store
            .as_ref()
            .and_then(|store| store.table_name.as_deref());
        table.map_or(Ok(()), |table| {
            TableName::new(table)
                .map(drop)
                .map_err(|error| error.with_param("metadata_store.table_name"))
        })
    }

    /// Refuses what is about an API that the provider is not listed under, and what such an API lacks.
    pub(crate) fn check_apis(&self, host: &Host) -> Result<()> {
        let for_files = [
            ("metadata_store", self.metadata_store.is_some()),
            ("keep_copies", self.keep_copies.is_some()),
            ("storage_dir", self.storage_dir.is_some()),
        ];
        let for_inference = [
            ("allowed_models", self.allowed_models.is_some()),
            ("refresh_models", self.refresh_models),
        ];
        for (api, keys) in [(Api::Files, &for_files[..]), (Api::Inference, &for_inference[..])] {
            if let Some((key, _)) = keys.iter().find(|(_, is_set)| *is_set && !host.serves(api)) {
                let message = format!("`{key}` is about `{api}`, which the provider is not listed under; remove it");
                return Err(Error::configuration(message).with_param(*key));
            }
        }
        if host.serves(Api::Files) && self.key().is_none() {
            let message = "`api_key` is missing, and files cannot do without: they are looked after when nobody calls";
            return Err(Error::configuration(message).with_param("api_key"));
        }
        Ok(())
    }

    /// The key; an empty variable is none.
    pub(crate) fn key(&self) -> Option<&Secret<String>> {
        self.api_key.as_ref().filter(|key| !key.expose().is_empty())
    }
}
