//! Pretend providers, and short ways to load a text.

use puna_api::{Api, Error, Host, Provider, ProviderSpec, Result, Secret, Services};
use puna_config::{Environment, Overrides, Plan, Problems, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A remote provider with the settings that such a provider usually has.
pub(crate) struct Mountain;

/// Settings of [`Mountain`].
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MountainConfig {
    /// The address of the server, such as `http://localhost:8000/v1`.
    #[serde(alias = "url")]
    base_url: String,
    /// The key to present.
    #[serde(default, alias = "api_key", skip_serializing)]
    #[expect(dead_code, reason = "nothing connects")]
    api_token: Option<Secret<String>>,
    /// The most tokens to generate.
    #[serde(default)]
    max_tokens: Option<u32>,
    /// Whether the list of models is renewed.
    #[serde(default)]
    refresh_models: bool,
    /// The models to serve.
    #[serde(default)]
    allowed_models: Vec<String>,
    /// Whether the server's certificate is checked.
    #[serde(default)]
    tls_verify: Option<bool>,
    /// The connection.
    #[serde(default)]
    network: Network,
    /// Where things are kept.
    #[serde(default)]
    store: Option<Store>,
}

/// Where things are kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// A backend for tables.
    #[schemars(extend("x-puna-backend" = "sql"))]
    backend: String,
}

/// The connection.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Network {
    /// TLS.
    tls: Tls,
    /// Headers of every request.
    headers: std::collections::BTreeMap<String, String>,
}

/// TLS.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// Whether the server's certificate is checked, or what it is checked against.
    verify: Option<Verify>,
}

/// Whether a certificate is checked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Verify {
    /// Whether it is.
    Switch(bool),
    /// Against what.
    Path(String),
}

impl Provider for Mountain {
    const TYPE: &'static str = "remote::mountain";
    const ALIASES: &'static [&'static str] = &["remote::hill"];
    const SUMMARY: &'static str = "Far away.";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = MountainConfig;

    fn sample() -> MountainConfig {
        MountainConfig {
            base_url: "http://localhost:8000/v1".to_owned(),
            api_token: None,
            max_tokens: None,
            refresh_models: false,
            allowed_models: Vec::new(),
            tls_verify: None,
            network: Network::default(),
            store: None,
        }
    }

    fn validate(config: &MountainConfig) -> Result<()> {
        if config.base_url.starts_with("http") {
            return Ok(());
        }
        let message = format!("`{}` is not an http address", config.base_url);
        Err(Error::configuration(message).with_param("base_url"))
    }

    async fn build(_: MountainConfig, _: Host) -> Result<Services> {
        Ok(Services::default())
    }
}

/// A provider without settings.
pub(crate) struct Cave;

/// No settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaveConfig {}

impl Provider for Cave {
    const TYPE: &'static str = "inline::cave";
    const SUMMARY: &'static str = "Right here.";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = CaveConfig;

    fn sample() -> CaveConfig {
        CaveConfig {}
    }

    async fn build(_: CaveConfig, _: Host) -> Result<Services> {
        Ok(Services::default())
    }
}

/// A provider of vector indexes.
pub(crate) struct Shelf;

impl Provider for Shelf {
    const TYPE: &'static str = "inline::shelf";
    const SUMMARY: &'static str = "In order.";
    const APIS: &'static [Api] = &[Api::VectorIo];
    type Config = CaveConfig;

    fn sample() -> CaveConfig {
        CaveConfig {}
    }

    async fn build(_: CaveConfig, _: Host) -> Result<Services> {
        Ok(Services::default())
    }
}

/// A provider that serves nothing.
pub(crate) struct Void;

impl Provider for Void {
    const TYPE: &'static str = "inline::void";
    const SUMMARY: &'static str = "Not there.";
    const APIS: &'static [Api] = &[];
    type Config = CaveConfig;

    fn sample() -> CaveConfig {
        CaveConfig {}
    }

    async fn build(_: CaveConfig, _: Host) -> Result<Services> {
        Ok(Services::default())
    }
}

/// The providers that the pretend binary holds.
pub(crate) const LINKED: &[ProviderSpec] = &[
    ProviderSpec::of::<Mountain>(),
    ProviderSpec::of::<Cave>(),
    ProviderSpec::of::<Shelf>(),
    ProviderSpec::of::<Void>(),
];

/// Leaves out what is missing.
pub(crate) const SKIP: Overrides = Overrides {
    port: None,
    host: None,
    workers: None,
    skip_missing: true,
};

/// An environment with a home folder and these variables.
pub(crate) fn environment(variables: &[(&str, &str)]) -> Environment {
    [("HOME", "/home/jo")]
        .into_iter()
        .chain(variables.iter().copied())
        .collect()
}

/// Loads a text called `config.yaml`.
pub(crate) fn load(text: &str) -> Result<Plan, Problems> {
    load_with(text, &[], &Overrides::default())
}

/// Loads a text called `config.yaml`, with variables and flags.
pub(crate) fn load_with(text: &str, variables: &[(&str, &str)], overrides: &Overrides) -> Result<Plan, Problems> {
    let source = Source::Text {
        name: "config.yaml".to_owned(),
        text: text.to_owned(),
    };
    puna_config::load(&source, LINKED, &environment(variables), overrides)
}

/// The head of a configuration, and what follows it.
pub(crate) fn config(rest: &str) -> String {
    format!("version: 2\nimage_name: test\n{rest}")
}

/// The report on a text that must not load.
#[track_caller]
pub(crate) fn report(text: &str) -> String {
    load(text).expect_err("the configuration has problems").to_string()
}
