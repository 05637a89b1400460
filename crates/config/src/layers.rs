//! The layers of the `server` part, later ones over earlier ones: defaults, the file, `PUNA_…` variables, the command line.

use figment::providers::Serialized;
use figment::{Figment, Metadata, Profile};
use serde_json::{Map, Value};

use crate::document::Server;
use crate::path::{Path, Step};
use crate::schema::Schema;
use crate::{Environment, Overrides, Problem, expand};

const PREFIX: &str = "PUNA_SERVER__";
/// Short names for the variables that a container sets most.
const SHORT: &[(&str, &str)] = &[
    ("PUNA_HOST", "host"),
    ("PUNA_PORT", "port"),
    ("PUNA_WORKERS", "workers"),
];
const COMMAND_LINE: &str = "command line";

/// The merged `server` part.
pub(crate) struct Layers {
    figment: Figment,
    pub(crate) value: Value,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The file, or nothing but the defaults.
    File,
    /// `environment variable PUNA_PORT`, or `command line`.
    Outside(String),
}

/// Merges the layers. `schema` is that of the `server` part.
pub(crate) fn merge(
    file: &Value,
    schema: &Schema<'_>,
    environment: &Environment,
    overrides: &Overrides,
    problems: &mut Vec<Problem>,
) -> Layers {
    let mut figment = Figment::from(Serialized::defaults(&Server::default()));
    match file {
        Value::Null => {}
        Value::Object(_) => {
            figment = figment.merge(Layer {
                name: "file".to_owned(),
                value: without_nulls(file),
            });
        }
        // Not a mapping: the check of the whole says so.
        _ => {
            return Layers {
                figment,
                value: file.clone(),
            };
        }
    }
    for (name, path, text) in variables(environment, problems) {
        let origin = format!("environment variable {name}");
        match value_of(text, &schema.follow(&path)) {
            Ok(value) => {
                figment = figment.merge(Layer {
                    name: origin,
                    value: nest(&path, value),
                });
            }
            Err(error) => problems.push(Problem {
                source: origin,
                position: None,
                path: Path::default().key("server").join(&path).to_string(),
                message: format!("not a valid list or mapping: {error}"),
                hint: Some("write it as JSON".to_owned()),
                is_missing_part: false,
            }),
        }
    }
    let flags = [
        ("host", overrides.host.clone().map(Value::from)),
        ("port", overrides.port.map(Value::from)),
        ("workers", overrides.workers.map(Value::from)),
    ];
    for (key, value) in flags.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        figment = figment.merge(Layer {
            name: COMMAND_LINE.to_owned(),
            value: nest(&Path::default().key(key), value),
        });
    }
    let value = figment.extract::<Value>().unwrap_or_else(|error| {
        problems.push(Problem {
            source: "configuration".to_owned(),
            position: None,
            path: "server".to_owned(),
            message: format!("the layers do not fit together: {error}"),
            hint: None,
            is_missing_part: false,
        });
        Value::Null
    });
    Layers { figment, value }
}

impl Layers {
    /// Which layer the value at a path below `server` comes from.
    pub(crate) fn origin(&self, path: &Path) -> Origin {
        let keys: Vec<&str> = path
            .steps()
            .iter()
            .map_while(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            })
            .collect();
        match self.figment.find_metadata(&keys.join(".")) {
            Some(metadata) if metadata.name == COMMAND_LINE || metadata.name.starts_with("environment variable ") => {
                Origin::Outside(metadata.name.to_string())
            }
            _ => Origin::File,
        }
    }
}

/// A layer for figment: values with a name.
struct Layer {
    name: String,
    value: Value,
}

impl figment::Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<figment::value::Map<Profile, figment::value::Dict>, figment::Error> {
        Serialized::defaults(&self.value).data()
    }
}

/// The variables that set something below `server`, with the paths that they set.
fn variables<'a>(environment: &'a Environment, problems: &mut Vec<Problem>) -> Vec<(&'a str, Path, &'a str)> {
    let mut found: Vec<(&str, Path, &str)> = Vec::new();
    for (name, text) in environment.iter().filter(|(_, text)| !text.is_empty()) {
        let short = SHORT
            .iter()
            .find(|(short, _)| *short == name)
            .map(|(_, key)| Path::default().key(key));
        let long = name.strip_prefix(PREFIX).map(|path| {
            path.split("__")
                .fold(Path::default(), |path, key| path.key(&key.to_ascii_lowercase()))
        });
        let Some(path) = short.or(long) else { continue };
        match found.iter().find(|(_, other, _)| *other == path) {
            Some((other, _, other_text)) if *other_text != text => problems.push(Problem {
                source: format!("environment variable {name}"),
                position: None,
                path: Path::default().key("server").join(&path).to_string(),
                message: format!("`{name}` and `{other}` set this to different values"),
                hint: Some("set one of them".to_owned()),
                is_missing_part: false,
            }),
            Some(_) => {}
            None => found.push((name, path, text)),
        }
    }
    found
}

/// A variable's value, by what stands at its place: a list as JSON or separated by commas, a mapping as JSON, text as it is.
fn value_of(text: &str, schema: &Schema<'_>) -> Result<Value, serde_json::Error> {
    let types = schema.types();
    if (types.array && text.starts_with('[')) || (types.object && text.starts_with('{')) {
        return serde_json::from_str(text);
    }
    if types.array {
        return Ok(text.split(',').map(|item| Value::from(item.trim())).collect());
    }
    Ok(if schema.is_text() {
        Value::from(text)
    } else {
        expand::convert(text)
    })
}

fn nest(path: &Path, value: Value) -> Value {
    path.steps().iter().rev().fold(value, |value, step| match step {
        Step::Key(key) => Value::Object(Map::from_iter([(key.clone(), value)])),
        Step::Index(_) => value,
    })
}

/// A key without a value says nothing, so that the default stays.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(file: &Value, variables: &[(&str, &str)], overrides: &Overrides) -> (Layers, Vec<Problem>) {
        let schema = schemars::schema_for!(Server).to_value();
        let mut problems = Vec::new();
        let environment = variables.iter().copied().collect();
        (
            merge(file, &Schema::new(&schema), &environment, overrides, &mut problems),
            problems,
        )
    }

    #[test]
    fn later_layers_win() {
        let file = json!({ "port": 1, "host": "file", "workers": 2, "limits": { "max_json_depth": 5 }, "cors": null });
        let variables = [
            ("PUNA_SERVER__PORT", "3"),
            ("PUNA_HOST", "variable"),
            ("PUNA_WORKERS", ""),
            ("PUNA_SERVER__LIMITS__MAX_BODY_BYTES", "9"),
        ];
        let overrides = Overrides {
            host: Some("flag".to_owned()),
            ..Overrides::default()
        };
        let (layers, problems) = merged(&file, &variables, &overrides);
        assert_eq!(problems, []);
        let at = |key: &str| Path::follow(&layers.value, key);
        for (key, value, origin) in [
            ("host", json!("flag"), Origin::Outside("command line".to_owned())),
            (
                "port",
                json!(3),
                Origin::Outside("environment variable PUNA_SERVER__PORT".to_owned()),
            ),
            ("workers", json!(2), Origin::File),
            ("limits.max_json_depth", json!(5), Origin::File),
            (
                "limits.max_body_bytes",
                json!(9),
                Origin::Outside("environment variable PUNA_SERVER__LIMITS__MAX_BODY_BYTES".to_owned()),
            ),
            ("limits.max_header_bytes", json!(65536), Origin::File),
        ] {
            assert_eq!(at(key).get(&layers.value), Some(&value), "{key}");
            assert_eq!(layers.origin(&at(key)), origin, "{key}");
        }
    }

    #[test]
    fn variables_hold_text_lists_and_mappings() {
        let variables = [
            ("PUNA_SERVER__CORS__ALLOW_ORIGINS", "https://a, https://b"),
            (
                "PUNA_SERVER__AUTH__PROVIDER_CONFIG__API_KEYS",
                r#"["0123", {"name": "jo", "key": "k"}]"#,
            ),
            ("PUNA_SERVER__LOG__FILTER", "5"),
            ("PUNA_SERVER__INSECURE", "true"),
        ];
        let (layers, problems) = merged(&Value::Null, &variables, &Overrides::default());
        assert_eq!(problems, []);
        assert_eq!(layers.value["port"], json!(8321));
        assert_eq!(layers.value["cors"]["allow_origins"], json!(["https://a", "https://b"]));
        assert_eq!(
            layers.value["auth"]["provider_config"]["api_keys"],
            json!(["0123", { "name": "jo", "key": "k" }])
        );
        assert_eq!(layers.value["log"]["filter"], json!("5"));
        assert_eq!(layers.value["insecure"], json!(true));
    }

    #[test]
    fn variables_that_contradict_or_do_not_parse_are_problems() {
        let variables = [
            ("PUNA_PORT", "1"),
            ("PUNA_SERVER__PORT", "2"),
            ("PUNA_SERVER__QUOTA", "{"),
        ];
        let (_, problems) = merged(&json!({}), &variables, &Overrides::default());
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "environment variable PUNA_SERVER__PORT server.port: `PUNA_SERVER__PORT` and `PUNA_PORT` set this to different values (set one of them)",
                "environment variable PUNA_SERVER__QUOTA server.quota: not a valid list or mapping: EOF while parsing an object at line 1 column 1 (write it as JSON)",
            ]
        );
    }
}
