use std::collections::BTreeMap;

use puna_api::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the server is, such as http://localhost:8000/v1.
    #[serde(alias = "url")]
    base_url: String,
    #[serde(default)]
    port: u16,
    #[serde(default, skip_serializing)]
    #[expect(dead_code, reason = "only its reading is tested")]
    api_key: Option<Secret<String>>,
    #[serde(default)]
    network: Network,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Network {
    timeout: Option<f64>,
    verify: Verify,
    headers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Fast,
    Slow,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Verify {
    Switch(bool),
    Path(String),
}

impl Default for Verify {
    fn default() -> Self {
        Self::Switch(true)
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Item {
    id: String,
    size: u8,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Flat {
    url: String,
    #[serde(flatten)]
    network: Common,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Common {
    #[serde(default)]
    refresh: bool,
    #[serde(default)]
    timeout: u32,
}

fn findings<T: serde::de::DeserializeOwned + JsonSchema>(value: Value) -> (bool, Vec<String>) {
    let schema = schemars::schema_for!(T).to_value();
    let schema = Schema::new(&schema);
    let background = Background {
        schema: &schema,
        sample: None,
        settled: &[],
        veil: &|_| None,
    };
    let (read, findings) = check(value, &background, |value| {
        serde_path_to_error::deserialize::<_, T>(value).map_err(|error| ConfigProblem {
            path: error.path().to_string(),
            message: error.inner().to_string(),
        })
    });
    let findings = findings
        .into_iter()
        .map(
            |Finding {
                 path, message, hint, ..
             }| format!("{path}: {message} [{}]", hint.unwrap_or_default()),
        )
        .collect();
    (read.is_some(), findings)
}

#[test]
fn what_the_type_takes_is_right() {
    for value in [
        json!({ "base_url": "x" }),
        json!({ "url": "x", "api_key": 123 }),
        json!({ "base_url": "x", "network": { "verify": "/ca.pem", "headers": { "a.b": "c" } }, "items": [{ "id": "a", "size": 1 }] }),
    ] {
        assert_eq!(findings::<Config>(value), (true, Vec::new()));
    }
}

#[test]
fn every_fault_is_found() {
    let (read, findings) = findings::<Config>(json!({
        "bse_url": "x",
        "port": 70000,
        "network": { "timout": 1, "timeout": "long", "verify": [], "headers": { "a.b": 1 } },
        "mode": "fats",
        "items": [{ "id": 5, "size": 1 }, { "size": 256, "colour": "red" }, { "id": "c" }, 7],
    }));
    assert!(read, "the value is mended until it can be read");
    insta::assert_snapshot!(findings.join("\n"), @r"
    bse_url: unknown key [did you mean `base_url`?]
    port: must be a whole number from 0 to 65535, not 70000 []
    network.timout: unknown key [did you mean `timeout`?]
    network.timeout: must be a number, not the text `long` []
    network.verify: must be text or true or false, not a list []
    network.headers.a.b: must be text, not 1 []
    mode: must be one of `fast` and `slow`, not the text `fats` [did you mean `fast`?]
    items[0].id: must be text, not 5 []
    items[1].size: must be a whole number from 0 to 255, not 256 []
    items[1].colour: unknown key [known here: `id` and `size`]
    items[1].id: is required []
    items[2].size: is required []
    items[3]: must be a mapping, not 7 []
    ");
}

#[test]
fn a_flattened_part_is_located_by_its_schema() {
    let (_, findings) = findings::<Flat>(json!({ "refresh": "often", "timeout": -1, "retries": 3 }));
    insta::assert_snapshot!(findings.join("\n"), @r"
    url: is required []
    refresh: must be true or false, not the text `often` []
    timeout: must be a whole number, 0 or more, not -1 []
    retries: unknown key [known here: `url`, `refresh` and `timeout`]
    ");
}

#[test]
fn an_older_spelling_is_no_unknown_key_but_two_spellings_are_refused() {
    let (_, findings) = findings::<Config>(json!({ "url": "x", "base_url": "y" }));
    assert_eq!(
        findings,
        ["base_url: is given twice, here and under an older name [keep one of them]"]
    );
}

#[test]
fn yes_and_no_are_no_booleans_and_the_hint_says_what_is() {
    let (_, findings) = findings::<Common>(json!({ "refresh": "yes" }));
    assert_eq!(
        findings,
        ["refresh: must be true or false, not the text `yes` [write `true` or `false`]"]
    );
}
