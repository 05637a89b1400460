//! `puna providers [TYPE]`: the provider types of the binary, and the configuration keys of one.

use puna_api::{Error, ProviderSpec, Result};
use serde_json::Value;

use crate::Invocation;
use crate::args::{DescribeArgs, ProvidersArgs};
use crate::describe;
use crate::output;

pub(crate) fn providers(invocation: &Invocation, args: &ProvidersArgs) -> Result<()> {
    let Some(provider_type) = &args.provider_type else {
        return describe::describe(invocation, &DescribeArgs { json: false });
    };
    let spec = invocation
        .linked
        .iter()
        .find(|spec| spec.answers_to(provider_type))
        .ok_or_else(|| {
            let mut types: Vec<&str> = invocation.linked.iter().map(|spec| spec.provider_type).collect();
            types.sort_unstable();
            Error::not_found(format!(
                "no provider type {provider_type} in this binary; it has {}",
                types.join(", ")
            ))
        })?;
    if args.schema {
        let schema = serde_json::to_string_pretty(&spec.schema())
            .map_err(|error| Error::internal("failed to encode the schema").with_source(error))?;
        return output::say(&(schema + "\n"));
    }
    output::say(&page(spec)?)
}

fn page(spec: &ProviderSpec) -> Result<String> {
    let mut text = format!("{}: {}\n", spec.provider_type, spec.summary);
    if !spec.aliases.is_empty() {
        text.push_str(&format!("stands in for: {}\n", spec.aliases.join(", ")));
    }
    let schema = spec.schema();
    let mut rows = Vec::new();
    keys(&schema, &schema, "", &mut rows, 0);
    text.push_str(if rows.is_empty() {
        "\nno configuration keys\n"
    } else {
        "\n"
    });
    text.push_str(&output::columns(&rows));
    let sample = serde_json::to_string_pretty(&spec.sample()?)
        .map_err(|error| Error::internal("failed to encode the sample").with_source(error))?;
    text.push_str(&format!("\nsample config:\n{sample}\n"));
    Ok(text)
}

/// How deep keys below keys are listed; a schema may contain itself.
const DEEPEST: usize = 4;

/// A row for each key: its path, type, default, and the first line of its description.
fn keys(root: &Value, schema: &Value, prefix: &str, rows: &mut Vec<Vec<String>>, depth: usize) {
    let schema = resolve(root, schema);
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let resolved = resolve(root, property);
        let default = match property.get("default") {
            Some(Value::Null) | None if required.contains(&name.as_str()) => "required".to_owned(),
            Some(Value::Null) | None => "optional".to_owned(),
            Some(default) => format!("default {default}"),
        };
        let description = [property, resolved]
            .into_iter()
            .find_map(|schema| schema["description"].as_str());
        rows.push(vec![
            path.clone(),
            type_name(root, property),
            default,
            description
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        ]);
        if depth < DEEPEST {
            for inner in variants(root, property) {
                let (inner, mark) = match inner.get("items") {
                    Some(items) => (items, "[]."),
                    None => (inner, "."),
                };
                keys(root, inner, &format!("{path}{mark}"), rows, depth + 1);
            }
        }
    }
}

/// The schema behind a reference.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'))
    {
        Some(pointer) => root.pointer(pointer).unwrap_or(schema),
        None => schema,
    }
}

/// The alternatives of a schema, or itself.
fn variants<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = resolve(root, schema);
    match schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))
        .and_then(Value::as_array)
    {
        Some(variants) => variants.iter().map(|variant| resolve(root, variant)).collect(),
        None => vec![schema],
    }
}

fn type_name(root: &Value, schema: &Value) -> String {
    let names: Vec<String> = variants(root, schema)
        .into_iter()
        .filter_map(
            |variant| match (&variant["type"], &variant["enum"], &variant["const"]) {
                (_, Value::Array(values), _) => Some(values.iter().map(Value::to_string).collect::<Vec<_>>().join("|")),
                (_, _, Value::String(value)) => Some(format!("\"{value}\"")),
                (Value::String(name), ..) if name == "null" => None,
                (Value::String(name), ..) => Some(name.clone()),
                (Value::Array(names), ..) => {
                    let names: Vec<&str> = names
                        .iter()
                        .filter_map(Value::as_str)
                        .filter(|name| *name != "null")
                        .collect();
                    Some(names.join("|"))
                }
                _ => Some("any".to_owned()),
            },
        )
        .collect();
    names.join("|")
}

#[cfg(test)]
mod tests {
    use puna_api::{Api, Host, Provider, Services};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct DoorConfig {
        /// How wide, in metres.
        width: f64,
        /// What it is painted.
        color: Option<String>,
    }

    struct Door;

    impl Provider for Door {
        const TYPE: &'static str = "inline::door";
        const SUMMARY: &'static str = "A door.";
        const APIS: &'static [Api] = &[Api::Inference];
        type Config = DoorConfig;

        fn sample() -> DoorConfig {
            DoorConfig {
                width: 0.9,
                color: None,
            }
        }

        async fn build(_: DoorConfig, _: Host) -> Result<Services> {
            Ok(Services::default())
        }
    }

    #[test]
    fn a_page_has_the_keys_and_a_sample() {
        let page = page(&ProviderSpec::of::<Door>()).unwrap();
        assert!(page.starts_with("inline::door: A door."), "{page}");
        assert!(page.contains("sample config:\n{"), "{page}");
        for (key, description) in [("width", "How wide, in metres."), ("color", "What it is painted.")] {
            let row = page.lines().find(|line| line.starts_with(key)).unwrap();
            assert!(row.ends_with(description), "{row}");
        }
    }
}
