//! What the Cargo.toml of each crate may say.

use std::collections::BTreeSet;
use std::fs;

use toml::{Table, Value};

use super::Tree;
use crate::Result;

/// All that `puna-api` is made of: no HTTP, no runtime.
const CONTRACT_DEPENDENCIES: &[&str] = &[
    "async-trait",
    "bytes",
    "futures",
    "inventory",
    "memchr",
    "schemars",
    "serde",
    "serde_json",
    "serde_path_to_error",
];

/// What a provider must not reach for; it gets what it needs from its `Host`.
const FRAMEWORK: &[&str] = &["puna-server", "puna-router", "puna-cli", "puna-config", "puna-distro"];

struct Dependency {
    name: String,
    kind: &'static str,
    value: Value,
}

pub(super) fn check(tree: &Tree<'_>, violations: &mut Vec<String>) -> Result {
    let folders = ["crates", "providers"].map(|folder| tree.workspace.crates(folder).map(|names| (folder, names)));
    let mut manifests = vec!["tests/Cargo.toml".to_owned(), "xtask/Cargo.toml".to_owned()];
    for entry in folders {
        let (folder, names) = entry?;
        manifests.extend(names.into_iter().map(|name| format!("{folder}/{name}/Cargo.toml")));
    }
    let root = read(tree, "Cargo.toml")?;
    let mut used = BTreeSet::new();
    for path in manifests {
        let manifest = read(tree, &path)?;
        check_lints(&path, &manifest, &root, violations);
        check_manifest(&path, &manifest, violations);
        used.extend(dependencies(&manifest).into_iter().map(|it| it.name));
    }
    check_versions(&root, &used, violations);
    Ok(())
}

fn read(tree: &Tree<'_>, path: &str) -> Result<Table> {
    let text = fs::read_to_string(tree.workspace.path(path))?;
    Ok(text.parse().map_err(|error| format!("{path}: {error}"))?)
}

/// Every version that the workspace sets is one that a crate of it takes.
fn check_versions(root: &Table, used: &BTreeSet<String>, violations: &mut Vec<String>) {
    let versions = root
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(Value::as_table);
    let names = versions.into_iter().flat_map(Table::keys);
    violations.extend(names.filter(|name| !used.contains(*name)).map(|name| {
        format!("Cargo.toml: no crate depends on `{name}`; delete its line in `[workspace.dependencies]`")
    }));
}

/// A crate that calls C has the lints of the workspace too, but for the one that cannot be lifted where it is forbidden.
fn check_lints(path: &str, manifest: &Table, root: &Table, violations: &mut Vec<String>) {
    let lints = manifest.get("lints");
    let takes_them = lints.and_then(|lints| lints.get("workspace")).and_then(Value::as_bool) == Some(true);
    let mut with_calls_to_c = root
        .get("workspace")
        .and_then(|workspace| workspace.get("lints"))
        .cloned();
    if let Some(level) = with_calls_to_c
        .as_mut()
        .and_then(|lints| lints.get_mut("rust")?.get_mut("unsafe_code"))
    {
        *level = "deny".into();
    }
    if !takes_them && (lints.is_none() || lints != with_calls_to_c.as_ref()) {
        violations.push(format!(
            "{path}: must take its lints from the workspace, `[lints] workspace = true`, or to call C, have the same with `unsafe_code = \"deny\"`"
        ));
    }
}

fn check_manifest(path: &str, manifest: &Table, violations: &mut Vec<String>) {
    let mut violate = |message: String| violations.push(format!("{path}: {message}"));
    for dependency in dependencies(manifest) {
        let name = &dependency.name;
        if dependency.value.get("workspace").and_then(Value::as_bool) != Some(true) {
            violate(format!(
                "`{name}` must take its version from the workspace: `{name}.workspace = true`"
            ));
        }
        let is_provider = name.starts_with("puna-provider-");
        if is_provider && !path.starts_with("providers/") {
            violate(format!(
                "`{name}` is a provider; nothing but a distribution names one, so that deleting its folder removes it"
            ));
        }
        if is_provider && path.starts_with("providers/") {
            violate(format!(
                "`{name}` is another provider; what a provider needs of others it gets from its Host"
            ));
        }
        if path.starts_with("providers/") && dependency.kind != "dev-dependencies" && FRAMEWORK.contains(&name.as_str())
        {
            violate(format!(
                "`{name}` is the framework's; what a provider needs it gets from its Host"
            ));
        }
        if path == "crates/api/Cargo.toml"
            && dependency.kind == "dependencies"
            && !CONTRACT_DEPENDENCIES.contains(&name.as_str())
        {
            violate(format!(
                "`{name}` is more than the contract is made of: {}",
                CONTRACT_DEPENDENCIES.join(", ")
            ));
        }
    }
}

fn dependencies(manifest: &Table) -> Vec<Dependency> {
    let targets = manifest
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    let mut found = Vec::new();
    for table in std::iter::once(manifest).chain(targets) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = table.get(kind).and_then(Value::as_table);
            found.extend(entries.into_iter().flatten().map(|(name, value)| Dependency {
                name: name.clone(),
                kind,
                value: value.clone(),
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, manifest: &str) -> Vec<String> {
        let mut violations = Vec::new();
        check_manifest(path, &manifest.parse().unwrap(), &mut violations);
        violations
    }

    #[test]
    fn what_a_manifest_may_say_depends_on_its_place() {
        for (path, manifest, message) in [
            (
                "crates/x/Cargo.toml",
                "[dependencies]\nserde = \"1\"",
                Some("`serde` must take its version from the workspace"),
            ),
            ("crates/x/Cargo.toml", "[dependencies]\nserde.workspace = true", None),
            (
                "crates/x/Cargo.toml",
                "[dev-dependencies]\npuna-provider-a.workspace = true",
                Some("nothing but a distribution names one"),
            ),
            (
                "providers/b/Cargo.toml",
                "[dependencies]\npuna-provider-a.workspace = true",
                Some("is another provider"),
            ),
            (
                "providers/b/Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\npuna-server.workspace = true",
                Some("is the framework's"),
            ),
            (
                "providers/b/Cargo.toml",
                "[dev-dependencies]\npuna-config.workspace = true",
                None,
            ),
            (
                "crates/api/Cargo.toml",
                "[dependencies]\nhttp.workspace = true",
                Some("is more than the contract"),
            ),
            ("crates/api/Cargo.toml", "[dependencies]\nbytes.workspace = true", None),
        ] {
            let violations = violations(path, manifest);
            match message {
                None => assert_eq!(violations, [""; 0], "{manifest}"),
                Some(message) => {
                    assert_eq!(violations.len(), 1, "{manifest}");
                    assert!(violations[0].contains(message), "{}", violations[0]);
                }
            }
        }
    }

    #[test]
    fn lints_are_those_of_the_workspace() {
        let root = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"warn\"";
        for (manifest, is_right) in [
            ("[lints]\nworkspace = true", true),
            ("[lints.rust]\nunsafe_code = \"deny\"\nmissing_docs = \"warn\"", true),
            ("[lints.rust]\nunsafe_code = \"allow\"\nmissing_docs = \"warn\"", false),
            ("[lints.rust]\nunsafe_code = \"deny\"", false),
            ("", false),
        ] {
            let mut violations = Vec::new();
            let manifest: Table = manifest.parse().unwrap();
            check_lints("x", &manifest, &root.parse().unwrap(), &mut violations);
            assert_eq!(violations.is_empty(), is_right, "{manifest}: {violations:?}");
        }
    }

    #[test]
    fn versions_that_no_crate_takes_are_told() {
        let root = "[workspace.dependencies]\nserde = \"1\"\nrand = { version = \"0.9\" }"
            .parse()
            .unwrap();
        let mut violations = Vec::new();
        check_versions(&root, &BTreeSet::from(["serde".to_owned()]), &mut violations);
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].contains("`rand`"), "{violations:?}");
    }
}
