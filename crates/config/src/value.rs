//! From tree to JSON value, by what the schema expects at each place.

use serde_json::{Map, Value};

use crate::expand;
use crate::path::{Path, Step};
use crate::redact::is_secret_key;
use crate::schema::Schema;
use crate::yaml::{Content, Node, Scalar};

/// A value made from a tree. Its paths count list items without those that were left out.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    pub(crate) value: Value,
    /// Places without a value because what stands there is wrong, and reported.
    pub(crate) settled: Vec<Path>,
    /// Places without a value because what stands there expanded to nothing, with what stands there.
    pub(crate) emptied: Vec<(Path, String)>,
}

/// Converts a tree. A variable that expanded to nothing leaves its key out where null is not allowed. Where only text is allowed, text stays
/// text, and a secret is what was written, digit for digit.
pub(crate) fn convert(node: &Node, schema: &Schema<'_>) -> Converted {
    let mut converted = Converted::default();
    converted.value = convert_at(node, schema, &Path::default(), &mut converted).unwrap_or_default();
    converted
}

fn convert_at(node: &Node, schema: &Schema<'_>, path: &Path, converted: &mut Converted) -> Option<Value> {
    match &node.content {
        Content::Omitted => {
            converted.settled.push(path.clone());
            None
        }
        Content::Scalar(scalar) => {
            let value = scalar_value(scalar, schema, path);
            let types = schema.types();
            let in_list = matches!(path.steps().last(), Some(Step::Index(_)));
            if let (Value::Null, Some(raw)) = (&value, &scalar.unexpanded)
                && !(types.null || schema.is_unknown() || in_list)
            {
                converted.emptied.push((path.clone(), raw.clone()));
                return None;
            }
            Some(value)
        }
        Content::List(items) => {
            let items = items.iter().filter(|item| !item.is_omitted()).enumerate();
            let values = items.filter_map(|(index, item)| {
                convert_at(
                    item,
                    &schema.step(&Step::Index(index)),
                    &path.clone().index(index),
                    converted,
                )
            });
            Some(Value::Array(values.collect()))
        }
        Content::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                let below = schema.step(&Step::Key(entry.key.clone()));
                if let Some(value) = convert_at(&entry.value, &below, &path.clone().key(&entry.key), converted) {
                    map.insert(entry.key.clone(), value);
                }
            }
            Some(Value::Object(map))
        }
    }
}

fn scalar_value(scalar: &Scalar, schema: &Schema<'_>, path: &Path) -> Value {
    let text = || Value::String(scalar.text.clone());
    // An older spelling of a key is in no schema; its name tells that it is secret.
    let has_secret_name = matches!(path.steps().last(), Some(Step::Key(key)) if is_secret_key(key));
    let is_unlisted_secret = has_secret_name && schema.is_unknown();
    match (&scalar.unexpanded, &scalar.value) {
        (Some(_), _) if scalar.text.is_empty() => Value::Null,
        (Some(_), _) if schema.is_text() || is_unlisted_secret => text(),
        (Some(_), _) => expand::convert(&scalar.text),
        (None, Value::Number(_)) if is_unlisted_secret => text(),
        (None, Value::Number(_) | Value::Bool(_)) if schema.is_secret() && schema.is_text() => text(),
        (None, value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml;

    fn expanded(text: &str, raw: &str) -> Scalar {
        Scalar {
            text: text.to_owned(),
            value: Value::String(text.to_owned()),
            unexpanded: Some(raw.to_owned()),
        }
    }

    #[test]
    fn the_schema_decides_what_an_expanded_variable_becomes() {
        let schema = json!({
            "properties": {
                "text": { "type": "string" },
                "nullable": { "type": ["string", "null"] },
                "number": { "type": "integer" },
                "either": { "type": ["string", "integer"] },
            }
        });
        for (key, text, value) in [
            ("text", "007", Some(json!("007"))),
            ("text", "true", Some(json!("true"))),
            ("text", "", None),
            ("nullable", "", Some(json!(null))),
            ("nullable", "5", Some(json!("5"))),
            ("number", "007", Some(json!(7))),
            ("number", "", None),
            ("either", "5", Some(json!(5))),
            ("unknown", "5", Some(json!(5))),
            ("unknown", "", Some(json!(null))),
            ("api_token", "007", Some(json!("007"))),
        ] {
            let mut converted = Converted::default();
            let position = crate::Position { line: 1, column: 1 };
            let node = Node {
                position,
                content: Content::Scalar(expanded(text, "${env.X}")),
            };
            let path = Path::default().key(key);
            let got = convert_at(&node, &Schema::new(&schema).follow(&path), &path, &mut converted);
            assert_eq!(got, value, "{key}: {text:?}");
            assert_eq!(converted.emptied.is_empty(), value.is_some());
        }
    }

    #[test]
    fn a_secret_is_what_was_written() {
        let schema = json!({ "properties": { "key": { "type": "string", "writeOnly": true } } });
        let node = yaml::read("t", "key: 0123\nport: 0123\napi_key: 0123", &mut Vec::new()).unwrap();
        assert_eq!(
            convert(&node, &Schema::new(&schema)).value,
            json!({ "key": "0123", "port": 123, "api_key": "0123" })
        );
    }
}
