//! Records of providers, sound and not.

use puna_api::{Api, Error, Host, Provider, ProviderSpec, Result, Services};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::inline::services;
use crate::conformance::Target;
use crate::stub::StubUpstream;

pub(super) const SOUND: ProviderSpec = ProviderSpec::of::<Sound>();
pub(super) const SLOPPY: ProviderSpec = ProviderSpec::of::<Sloppy>();

/// The trials that look at records.
pub(super) const TRIALS: &[&str] = &[
    "provider::its_type_says_where_it_works",
    "provider::its_sample_configuration_is_valid",
    "provider::an_unknown_configuration_key_is_refused",
    "provider::every_configuration_key_is_documented",
];

pub(super) fn target(provider: ProviderSpec) -> Target {
    // The sloppy sample is refused, so the target has one that is not.
    Target::inline(provider, json!({ "size": 1 })).chat_model(StubUpstream::CHAT_MODEL)
}

struct Sound;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SoundConfig {
    /// How large it is.
    size: u32,
}

impl Provider for Sound {
    const TYPE: &'static str = "inline::sound";
    const SUMMARY: &'static str = "Sound.";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = SoundConfig;

    fn sample() -> SoundConfig {
        SoundConfig { size: 1 }
    }

    async fn build(_: SoundConfig, host: Host) -> Result<Services> {
        Ok(services(None, &host))
    }
}

struct Sloppy;

#[derive(Serialize, Deserialize, JsonSchema)]
struct SloppyConfig {
    size: u32,
}

impl Provider for Sloppy {
    const TYPE: &'static str = "sloppy";
    const SUMMARY: &'static str = "";
    const APIS: &'static [Api] = &[];
    type Config = SloppyConfig;

    fn sample() -> SloppyConfig {
        SloppyConfig { size: 0 }
    }

    fn validate(config: &SloppyConfig) -> Result<()> {
        if config.size == 0 {
            Err(Error::configuration("0 is too small").with_param("size"))
        } else {
            Ok(())
        }
    }

    async fn build(_: SloppyConfig, host: Host) -> Result<Services> {
        Ok(services(None, &host))
    }
}
