//! The provider.

use http::HeaderName;
use puna_api::{Api, Capabilities, Error, Host, Provider, Result, Services};
use puna_http::{Client, EgressPolicy, NetworkConfig, is_managed};
use puna_openai::{OpenAiCompatible, ProviderDataKeys, Settings};

use crate::PassthroughConfig;

/// Any server of the OpenAI dialect.
pub struct Passthrough;

/// Headers by which a server tells who asks and from where, beside those that belong to the connection: a caller must not choose them.
const BLOCKED: [&str; 9] = [
    "content-type",
    "cookie",
    "forwarded",
    "set-cookie",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
];

impl Provider for Passthrough {
    const TYPE: &'static str = "remote::passthrough";
    const SUMMARY: &'static str = "Any server of the OpenAI dialect, such as another stack; callers may choose it";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = PassthroughConfig;

    fn sample() -> PassthroughConfig {
        PassthroughConfig {
            base_url: Some("https://stack.example.com".to_owned()),
            ..PassthroughConfig::default()
        }
    }

    fn validate(config: &PassthroughConfig) -> Result<()> {
        if let Some(base_url) = &config.base_url {
            Client::validate_base_url(base_url).map_err(|error| error.with_param("base_url"))?;
        }
        forwarded_headers(config)?;
        config.network.iter().try_for_each(NetworkConfig::validate)
    }

    async fn build(config: PassthroughConfig, host: Host) -> Result<Services> {
        let headers = forwarded_headers(&config)?;
        let settings = Settings {
            base_url: config.base_url,
            appends_v1: true,
            api_key: config.api_key,
            provider_data: ProviderDataKeys {
                api_key: Some("passthrough_api_key"),
                url: Some("passthrough_url"),
                config_first: true,
                headers,
            },
            network: config.network.unwrap_or_default(),
            egress: host.resource::<EgressPolicy>().unwrap_or_default(),
            allowed_models: config.allowed_models,
            refresh_models: config.refresh_models,
            ..Settings::new(host.provider_id(), Capabilities::all())
        };
        Ok(OpenAiCompatible::new(settings)?.into_services())
    }
}

/// The headers to forward, each with the key of its value.
fn forwarded_headers(config: &PassthroughConfig) -> Result<Vec<(String, HeaderName)>> {
    let mut blocked = Vec::new();
    for (i, name) in config.extra_blocked_headers.iter().flatten().enumerate() {
        blocked.push(header_name(name, &format!("extra_blocked_headers[{i}]"))?);
    }
    let mut headers: Vec<(String, HeaderName)> = Vec::new();
    for (key, name) in config.forward_headers.iter().flatten() {
        let param = format!("forward_headers.{key}");
        if key.starts_with("__") {
            return Err(Error::configuration("keys that start with `__` are reserved").with_param(param));
        }
        let name = header_name(name, &param)?;
        if is_managed(&name) || BLOCKED.contains(&name.as_str()) || blocked.contains(&name) {
            return Err(Error::configuration(format!("the header `{name}` must not be forwarded")).with_param(param));
        }
        if let Some((other, _)) = headers.iter().find(|(_, taken)| *taken == name) {
            return Err(
                Error::configuration(format!("`{other}` is sent in the header `{name}` already")).with_param(param),
            );
        }
        headers.push((key.clone(), name));
    }
    Ok(headers)
}

fn header_name(name: &str, param: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| Error::configuration(format!("`{name}` is not a header name")).with_param(param))
}
