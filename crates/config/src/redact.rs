//! Configurations without their secrets.

use serde_json::Value;

use crate::path::Step;
use crate::schema::Schema;

/// What stands in for a secret.
pub(crate) const HIDDEN: &str = "********";

/// Words that make a key's value secret.
const SECRET_WORDS: &[&str] = &[
    "apikey",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "secrets",
    "token",
];
/// Pairs of words that do.
const SECRET_PAIRS: &[[&str; 2]] = &[
    ["api", "key"],
    ["api", "keys"],
    ["access", "key"],
    ["account", "key"],
    ["private", "key"],
];

/// A configuration to show: each secret replaced, by what the schema says, by the names of keys, and in the addresses that hold one.
pub(crate) fn redact(value: &Value, schema: &Schema<'_>) -> Value {
    redact_at(value, schema, false)
}

fn redact_at(value: &Value, schema: &Schema<'_>, is_secret: bool) -> Value {
    let is_secret = is_secret || schema.is_secret();
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, below)| {
                let schema = schema.step(&Step::Key(key.clone()));
                // A header may carry credentials under any name.
                let is_secret = is_secret || is_secret_key(key) || (key == "headers" && below.is_object());
                (key.clone(), redact_at(below, &schema, is_secret))
            })
            .collect(),
        Value::Array(items) => {
            let each = |(index, item)| redact_at(item, &schema.step(&Step::Index(index)), is_secret);
            items.iter().enumerate().map(each).collect()
        }
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Number(_) | Value::String(_) if is_secret => Value::from(HIDDEN),
        Value::Number(_) => value.clone(),
        Value::String(text) => Value::String(redact_address(text)),
    }
}

/// Whether a key's name says that its value is secret. `max_tokens` is not, `api_token` is.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let lower = key.to_lowercase();
    let words: Vec<&str> = lower.split(['_', '-', '.', ' ']).collect();
    words.iter().any(|word| SECRET_WORDS.contains(word))
        || words
            .windows(2)
            .any(|pair| SECRET_PAIRS.iter().any(|secret| pair == secret))
}

/// An address without the password that it may hold before its host, and without secret query parameters.
fn redact_address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{HIDDEN}@{host}"),
            None => format!("{HIDDEN}@{host}"),
        },
        None => authority.to_owned(),
    };
    let query = query.map(|query| {
        let parts = query.split('&').map(|part| match part.split_once('=') {
            Some((key, _)) if is_secret_key(key) || key.eq_ignore_ascii_case("key") => format!("{key}={HIDDEN}"),
            _ => part.to_owned(),
        });
        format!("?{}", parts.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{authority}{path}{}", query.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_replaced_and_nothing_else() {
        let schema = json!({ "properties": { "odd_name": { "type": "string", "writeOnly": true } } });
        let shown = redact(
            &json!({
                "base_url": "https://jo:pw@host:1/v1?api_key=k&a=b",
                "plain_url": "http://host/v1",
                "api_key": "sk-1",
                "api_token": 5,
                "max_tokens": 4096,
                "tokenizer": "cl100k",
                "odd_name": "x",
                "AWS-Secret-Access-Key": "x",
                "password": null,
                "network": { "headers": { "X-Any": "x" }, "tls": { "verify": true, "client_key": "/key.pem" } },
                "api_keys": ["a", { "name": "jo", "key": "b" }],
            }),
            &Schema::new(&schema),
        );
        assert_eq!(
            shown,
            json!({
                "base_url": "https://jo:********@host:1/v1?api_key=********&a=b",
                "plain_url": "http://host/v1",
                "api_key": HIDDEN,
                "api_token": HIDDEN,
                "max_tokens": 4096,
                "tokenizer": "cl100k",
                "odd_name": HIDDEN,
                "AWS-Secret-Access-Key": HIDDEN,
                "password": null,
                "network": { "headers": { "X-Any": HIDDEN }, "tls": { "verify": true, "client_key": "/key.pem" } },
                "api_keys": [HIDDEN, { "name": HIDDEN, "key": HIDDEN }],
            })
        );
    }
}
