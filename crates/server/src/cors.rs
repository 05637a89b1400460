//! Which web pages of other origins may call.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use puna_api::{Error, Result};
use regex::Regex;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

/// Checked rules for web pages of other origins.
#[derive(Debug, Clone)]
pub struct CorsSettings(pub(crate) CorsLayer);

/// The rules, with the names that the Fetch standard has for them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CorsRules {
    /// The origins, such as `https://app.example`; `*` allows every origin.
    pub allow_origins: Vec<String>,
    /// A regular expression that a whole origin may match instead.
    pub allow_origin_regex: Option<String>,
    /// The methods, such as `POST`; `*` allows every method.
    pub allow_methods: Vec<String>,
    /// The request headers; `*` allows every header.
    pub allow_headers: Vec<String>,
    /// The answer's headers that a page may read, beside those that every page may.
    pub expose_headers: Vec<String>,
    /// Whether a page may send cookies and credentials. `*` then stands for whatever the page asks for; never for every origin.
    pub allow_credentials: bool,
    /// How long a browser may remember the answer to a preflight request.
    pub max_age: Duration,
}

impl CorsSettings {
    /// Checks the rules. Fails as a configuration error that names the value at fault.
    pub fn new(rules: &CorsRules) -> Result<Self> {
        let credentials = rules.allow_credentials;
        let any = |list: &[String]| list.iter().any(|item| item == "*");
        if credentials && any(&rules.allow_origins) {
            return Err(Error::configuration(
                "`allow_credentials` cannot be combined with the origin `*`; list the origins that are trusted",
            )
            .with_param("allow_origins"));
        }
        let methods = match any(&rules.allow_methods) {
            true if credentials => AllowMethods::mirror_request(),
            true => AllowMethods::any(),
            false => AllowMethods::list(parse::<Method>("allow_methods", &rules.allow_methods)?),
        };
        let headers = match any(&rules.allow_headers) {
            true if credentials => AllowHeaders::mirror_request(),
            true => AllowHeaders::any(),
            false => AllowHeaders::list(parse::<HeaderName>("allow_headers", &rules.allow_headers)?),
        };
        let exposed = match any(&rules.expose_headers) {
            true if !credentials => ExposeHeaders::any(),
            true => {
                return Err(
                    Error::configuration("`allow_credentials` cannot be combined with the exposed header `*`")
                        .with_param("expose_headers"),
                );
            }
            false => ExposeHeaders::list(parse::<HeaderName>("expose_headers", &rules.expose_headers)?),
        };
        Ok(Self(
            CorsLayer::new()
                .allow_origin(origins(rules)?)
                .allow_methods(methods)
                .allow_headers(headers)
                .expose_headers(exposed)
                .allow_credentials(credentials)
                .max_age(rules.max_age),
        ))
    }
}

fn origins(rules: &CorsRules) -> Result<AllowOrigin> {
    if rules.allow_origins.iter().any(|origin| origin == "*") {
        return Ok(AllowOrigin::any());
    }
    let listed = parse::<HeaderValue>("allow_origins", &rules.allow_origins)?;
    let Some(pattern) = &rules.allow_origin_regex else {
        return Ok(AllowOrigin::list(listed));
    };
    let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
        Error::configuration(format!("`allow_origin_regex` is not a regular expression: {error}"))
            .with_param("allow_origin_regex")
    })?;
    Ok(AllowOrigin::predicate(move |origin, _| {
        listed.contains(origin) || origin.to_str().is_ok_and(|origin| pattern.is_match(origin))
    }))
}

fn parse<T: std::str::FromStr>(name: &str, values: &[String]) -> Result<Vec<T>> {
    let parsed = |value: &String| {
        value
            .parse()
            .map_err(|_| Error::configuration(format!("`{value}` cannot stand in `{name}`")).with_param(name))
    };
    values.iter().map(parsed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn rules_that_cannot_hold_are_named() {
        for (rules, param) in [
            (
                CorsRules {
                    allow_origins: list(&["*"]),
                    allow_credentials: true,
                    ..CorsRules::default()
                },
                "allow_origins",
            ),
            (
                CorsRules {
                    allow_origins: list(&["a\nb"]),
                    ..CorsRules::default()
                },
                "allow_origins",
            ),
            (
                CorsRules {
                    allow_methods: list(&["GET", "a b"]),
                    ..CorsRules::default()
                },
                "allow_methods",
            ),
            (
                CorsRules {
                    allow_headers: list(&["a b"]),
                    ..CorsRules::default()
                },
                "allow_headers",
            ),
            (
                CorsRules {
                    allow_origin_regex: Some("(".to_owned()),
                    ..CorsRules::default()
                },
                "allow_origin_regex",
            ),
            (
                CorsRules {
                    expose_headers: list(&["*"]),
                    allow_credentials: true,
                    ..CorsRules::default()
                },
                "expose_headers",
            ),
        ] {
            assert_eq!(CorsSettings::new(&rules).unwrap_err().param(), Some(param));
        }
    }
}
