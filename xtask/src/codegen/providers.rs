//! The providers of the workspace, as a binary that holds them says.

use std::path::Path;

use serde_json::Value;

use crate::Result;
use crate::workspace::Workspace;

/// The providers of this workspace in a binary, by provider type.
pub(super) struct Catalog {
    pub(super) providers: Vec<Provider>,
}

pub(super) struct Provider {
    pub(super) provider_type: String,
    pub(super) aliases: Vec<String>,
    pub(super) apis: Vec<String>,
    pub(super) summary: String,
    pub(super) crate_name: String,
    /// Its folder below the root, such as `providers/vllm`.
    pub(super) folder: String,
    pub(super) sample: Value,
    pub(super) keys: Vec<Key>,
}

/// A configuration key, with those that it lies in: `network.tls.verify`.
pub(super) struct Key {
    pub(super) path: String,
    pub(super) kind: String,
    pub(super) default: String,
    pub(super) description: String,
}

/// How deep keys below keys are listed; a schema may contain itself.
const DEEPEST: usize = 4;

impl Catalog {
    pub(super) fn of(workspace: &Workspace, binary: &Path) -> Result<Self> {
        let description: Value = serde_json::from_str(&workspace.command(binary, ["describe", "--json"]).output()?)?;
        let folders = workspace.crates("providers")?;
        let entries = description["providers"]
            .as_array()
            .ok_or("`puna describe --json` lists no providers")?;
        let mut providers = entries
            .iter()
            .map(|entry| Provider::read(entry, &folders))
            .collect::<Result<Vec<_>>>()?;
        providers.sort_by(|a, b| a.provider_type.cmp(&b.provider_type));
        Ok(Self { providers })
    }

    pub(super) fn of_crate(&self, name: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| provider.crate_name == name)
    }
}

impl Provider {
    fn read(entry: &Value, folders: &[String]) -> Result<Self> {
        let text = |key: &str| {
            entry[key]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("`puna describe --json` gives no `{key}` in {entry}"))
        };
        let list = |key: &str| {
            entry[key]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let crate_name = text("crate")?;
        let folder = folders
            .iter()
            .find(|folder| format!("puna-provider-{folder}") == crate_name)
            .ok_or_else(|| format!("no folder in providers/ holds the crate {crate_name}"))?;
        let mut keys = Vec::new();
        collect(&entry["schema"], &entry["schema"], "", &mut keys, 0);
        Ok(Self {
            provider_type: text("provider_type")?,
            aliases: list("aliases"),
            apis: list("apis"),
            summary: text("summary")?,
            folder: format!("providers/{folder}"),
            crate_name,
            sample: entry["sample"].clone(),
            keys,
        })
    }
}

fn collect(root: &Value, schema: &Value, prefix: &str, keys: &mut Vec<Key>, depth: usize) {
    let schema = resolve(root, schema);
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let target = resolve(root, property);
        let default = match property.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(default) => format!("`{default}`"),
        };
        let description = [property, target]
            .into_iter()
            .find_map(|it| it["description"].as_str())
            .unwrap_or_default();
        keys.push(Key {
            kind: kind(root, property),
            default,
            description: description.replace('\n', " "),
            path: path.clone(),
        });
        if depth < DEEPEST {
            collect(root, target, &format!("{path}."), keys, depth + 1);
            if let Some(items) = target.get("items") {
                collect(root, items, &format!("{path}[]."), keys, depth + 1);
            }
        }
    }
}

/// Follows references and choices between a schema and null to what a reader would call the type.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|it| it.strip_prefix('#'))
        .and_then(|it| root.pointer(it))
    {
        return resolve(root, target);
    }
    let choices = ["anyOf", "oneOf"].into_iter().find_map(|key| schema[key].as_array());
    let mut others = choices.into_iter().flatten().filter(|it| it["type"] != "null");
    match (others.next(), others.next()) {
        (Some(only), None) => resolve(root, only),
        _ => schema,
    }
}

/// What a reader would call the type: `string`, `number, string`, `list of string`, `"a", "b"`.
fn kind(root: &Value, schema: &Value) -> String {
    let schema = resolve(root, schema);
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .filter(|it| !it.is_null())
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(choices) = ["anyOf", "oneOf"].into_iter().find_map(|key| schema[key].as_array()) {
        let mut kinds: Vec<String> = choices
            .iter()
            .filter(|it| it["type"] != "null")
            .map(|it| kind(root, it))
            .collect();
        kinds.dedup();
        return kinds.join(", ");
    }
    let name = |kind: &str| match kind {
        "array" if schema.get("items").is_some() => format!("list of {}", kind_of_items(root, schema)),
        "array" => "list".to_owned(),
        "object" => "map".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(kind) => name(kind),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .filter(|it| *it != "null")
            .map(name)
            .collect::<Vec<_>>()
            .join(", "),
        _ => "any".to_owned(),
    }
}

fn kind_of_items(root: &Value, schema: &Value) -> String {
    kind(root, &schema["items"])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_listed_with_those_below_them() {
        let schema = json!({
            "properties": {
                "url": { "type": "string", "description": "Where." },
                "retries": { "type": ["integer", "null"], "default": 2 },
                "tls": { "anyOf": [{ "$ref": "#/$defs/Tls" }, { "type": "null" }], "description": "How." },
                "models": { "type": "array", "items": { "$ref": "#/$defs/Model" } },
            },
            "required": ["url"],
            "$defs": {
                "Tls": { "type": "object", "properties": { "verify": { "anyOf": [{ "type": "boolean" }, { "type": "string" }] } } },
                "Model": { "type": "object", "properties": { "kind": { "enum": ["a", "b"] } } },
            }
        });
        let mut keys = Vec::new();
        collect(&schema, &schema, "", &mut keys, 0);
        let rows: Vec<String> = keys
            .iter()
            .map(|key| format!("{}|{}|{}|{}", key.path, key.kind, key.default, key.description))
            .collect();
        assert_eq!(
            rows,
            [
                "url|string|required|Where.",
                "retries|integer|`2`|",
                "tls|map||How.",
                "tls.verify|boolean, string||",
                "models|list of map||",
                "models[].kind|\"a\", \"b\"||",
            ]
        );
    }
}
