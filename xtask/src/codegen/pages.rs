//! The tables and pages about providers.

use std::fmt::Write;
use std::fs;

use puna_distro::Distribution;
use serde_json::Value;

use super::providers::{Catalog, Provider};
use super::{COMMAND, Generated, blocks};
use crate::workspace::Workspace;
use crate::{Result, distributions};

/// Where the providers' pages are.
pub(super) const PAGES: &str = "docs/reference/providers";

/// One page for each provider: everything that a reader of its configuration asks for.
pub(super) fn provider_pages(workspace: &Workspace, catalog: &Catalog) -> Result<Vec<Generated>> {
    let _ = workspace;
    catalog
        .providers
        .iter()
        .map(|provider| {
            let mut text = format!(
                "<!-- Written by `{COMMAND}`. -->\n# `{}`\n\n{}\n\n",
                provider.provider_type, provider.summary
            );
            let _ = writeln!(text, "- serves: {}", provider.apis.join(", "));
            if !provider.aliases.is_empty() {
                let _ = writeln!(text, "- stands in for: {}", code_list(&provider.aliases));
            }
            let _ = writeln!(
                text,
                "- crate: [`{}`](../../../{})",
                provider.crate_name, provider.folder
            );
            let _ = write!(
                text,
                "\n```yaml\n{}```\n\n## Configuration\n\n{}",
                sample(provider),
                key_table(provider)
            );
            Ok(Generated {
                path: page_path(provider),
                text,
            })
        })
        .collect()
}

/// The table of configuration keys in each provider's own README.
pub(super) fn provider_readmes(workspace: &Workspace, catalog: &Catalog) -> Result<Vec<Generated>> {
    catalog
        .providers
        .iter()
        .map(|provider| {
            let path = format!("{}/README.md", provider.folder);
            let text =
                fs::read_to_string(workspace.path(&path)).map_err(|error| format!("failed to read {path}: {error}"))?;
            Ok(Generated {
                text: blocks::replace(&path, &text, "configuration", &key_table(provider))?,
                path,
            })
        })
        .collect()
}

/// What is in each distribution, and which variable switches it on.
pub(super) fn distribution_readmes(workspace: &Workspace, catalog: &Catalog) -> Result<Vec<Generated>> {
    distributions::names(workspace)?
        .into_iter()
        .map(|name| {
            let folder = workspace.path("distributions").join(&name);
            let distribution = Distribution::read(&folder)?;
            let config = fs::read_to_string(folder.join("config.yaml"))?;
            let rows: Vec<[String; 3]> = distribution
                .crates
                .iter()
                .filter_map(|listed| catalog.of_crate(&listed.name))
                .map(|provider| {
                    [
                        link(provider, "../.."),
                        switch(&config, &provider.provider_type),
                        provider.summary.clone(),
                    ]
                })
                .collect();
            let path = format!("distributions/{name}/README.md");
            let text =
                fs::read_to_string(workspace.path(&path)).map_err(|error| format!("failed to read {path}: {error}"))?;
            let block = table(["provider", "switched on by", "what it is"], &rows);
            Ok(Generated {
                text: blocks::replace(&path, &text, "providers", &block)?,
                path,
            })
        })
        .collect()
}

/// What is in the box.
pub(super) fn readme(workspace: &Workspace, catalog: &Catalog) -> Result<Generated> {
    let path = "README.md".to_owned();
    let text = fs::read_to_string(workspace.path(&path)).map_err(|error| format!("failed to read {path}: {error}"))?;
    let rows: Vec<[String; 3]> = catalog
        .providers
        .iter()
        .map(|provider| [link(provider, "."), provider.apis.join(", "), provider.summary.clone()])
        .collect();
    let block = table(["provider", "serves", "what it is"], &rows);
    Ok(Generated {
        text: blocks::replace(&path, &text, "providers", &block)?,
        path,
    })
}

fn page_path(provider: &Provider) -> String {
    format!("{PAGES}/{}.md", provider.provider_type.replace("::", "-"))
}

fn link(provider: &Provider, root: &str) -> String {
    format!("[`{}`]({root}/{})", provider.provider_type, page_path(provider))
}

fn key_table(provider: &Provider) -> String {
    if provider.keys.is_empty() {
        return "It has no configuration keys.\n".to_owned();
    }
    let rows: Vec<[String; 4]> = provider
        .keys
        .iter()
        .map(|key| {
            [
                format!("`{}`", key.path),
                key.kind.clone(),
                key.default.clone(),
                key.description.clone(),
            ]
        })
        .collect();
    table(["key", "type", "default", "what it is"], &rows)
}

fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(N));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn code_list(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The variables in the `provider_id` of a provider's entry in a configuration, such as `${env.X_URL:+x}`.
fn switch(config: &str, provider_type: &str) -> String {
    let value = |line: &str, key: &str| {
        let line = line.trim_start().trim_start_matches("- ");
        line.strip_prefix(key)
            .and_then(|rest| rest.strip_prefix(':'))
            .map(|rest| rest.trim().to_owned())
    };
    let mut id = String::new();
    for line in config.lines() {
        if let Some(found) = value(line, "provider_id") {
            id = found;
        } else if value(line, "provider_type").is_some_and(|found| found == provider_type) {
            let variables: Vec<&str> = id
                .split("${env.")
                .skip(1)
                .filter_map(|it| it.split([':', '}']).next())
                .collect();
            return match variables.as_slice() {
                [] => "always on".to_owned(),
                variables => variables
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
        }
    }
    "an entry in config.yaml".to_owned()
}

fn sample(provider: &Provider) -> String {
    let short = provider
        .provider_type
        .rsplit("::")
        .next()
        .unwrap_or(&provider.provider_type);
    let api = provider.apis.first().map_or("inference", String::as_str);
    let mut text = format!(
        "providers:\n  {api}:\n  - provider_id: {short}\n    provider_type: {}\n    config:",
        provider.provider_type
    );
    yaml(&provider.sample, 6, &mut text);
    text
}

/// Writes a value after its key: on the same line when it is short, below it when it has entries.
fn yaml(value: &Value, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            text.push('\n');
            for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
                let _ = write!(text, "{pad}{key}:");
                yaml(value, indent + 2, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            for item in items {
                let mut entry = String::new();
                yaml(item, indent + 2, &mut entry);
                let _ = writeln!(text, "{pad}- {}", entry.trim());
            }
        }
        Value::String(plain) if is_plain(plain) => {
            let _ = writeln!(text, " {plain}");
        }
        other => {
            let _ = writeln!(text, " {other}");
        }
    }
}

/// Whether a text means itself in YAML without quotes.
fn is_plain(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') || text.starts_with("${env.");
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    starts_well && !word && !text.contains(": ") && !text.contains(" #") && !text.ends_with([':', ' '])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sample_is_written_as_yaml() {
        let mut text = "config:".to_owned();
        yaml(
            &json!({ "url": "http://a/b", "n": 1, "no": null, "k": "true", "list": [{ "a": 1, "b": "c" }, "x"], "empty": {} }),
            2,
            &mut text,
        );
        assert_eq!(
            text,
            "config:\n  url: http://a/b\n  n: 1\n  k: \"true\"\n  list:\n    - a: 1\n      b: c\n    - x\n  empty: {}\n"
        );
    }

    #[test]
    fn the_switch_of_a_provider_is_read_off_its_entry() {
        let config = "  - provider_id: ${env.A_URL:+a}\n    provider_type: remote::a\n  - provider_id: b\n    provider_type: remote::b\n";
        assert_eq!(switch(config, "remote::a"), "`A_URL`");
        assert_eq!(switch(config, "remote::b"), "always on");
        assert_eq!(switch(config, "remote::c"), "an entry in config.yaml");
    }
}
