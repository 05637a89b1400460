//! The bill of materials, as CycloneDX 1.5 JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::graph::{Graph, Package};
use crate::{Error, Result, Step};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Lists what the binary is made of. The same graph and lock file give the same bytes: there is neither a date nor a serial number.
///
/// A component has scope `required` when its code is in the binary, and `excluded` when it ran at build time only.
pub(crate) fn bill_of_materials(name: &str, graph: &Graph, lock: &Path) -> Result<Vec<u8>> {
    let text = fs::read_to_string(lock).map_err(|error| Error::file(Step::Write, "read", lock, &error))?;
    let lock: Lock = toml::from_str(&text)
        .map_err(|error| Error::new(Step::Write, format!("{} is no lock file: {error}", lock.display())))?;
    let checksums: BTreeMap<(&str, &str), &str> = lock
        .package
        .iter()
        .filter_map(|it| Some(((it.name.as_str(), it.version.as_str()), it.checksum.as_deref()?)))
        .collect();

    let root = graph.root()?;
    let used = graph.reachable(|kind| kind != Some("dev"))?;
    let linked = linked(graph)?;
    let mut packages: Vec<&Package> = graph
        .packages
        .iter()
        .filter(|it| used.contains(it.id.as_str()))
        .collect();
    packages.sort_by_key(|it| (&it.name, &it.version, &it.id));
    let reference = |package: &Package| format!("pkg:cargo/{}@{}", package.name, package.version);
    let references: BTreeMap<&str, String> = packages.iter().map(|it| (it.id.as_str(), reference(it))).collect();

    let components: Vec<Value> = packages
        .iter()
        .filter(|it| it.id != root)
        .map(|it| {
            let scope = if linked.contains(it.id.as_str()) {
                "required"
            } else {
                "excluded"
            };
            component(
                it,
                scope,
                checksums.get(&(it.name.as_str(), it.version.as_str())).copied(),
            )
        })
        .collect();
    let dependencies: Vec<Value> = packages
        .iter()
        .map(|it| {
            let on: BTreeSet<&String> = graph
                .dependencies(&it.id, |kind| kind != Some("dev"))
                .into_iter()
                .filter_map(|id| references.get(id))
                .collect();
            json!({ "ref": references.get(it.id.as_str()), "dependsOn": on })
        })
        .collect();
    let own = packages
        .iter()
        .find(|it| it.id == root)
        .map_or("", |it| it.version.as_str());
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": references.get(root),
                "name": format!("puna-{name}"),
                "version": own,
            },
            "tools": { "components": [{ "type": "library", "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") }] },
        },
        "components": components,
        "dependencies": dependencies,
    });
    let mut text = serde_json::to_vec_pretty(&document)
        .map_err(|error| Error::new(Step::Write, format!("the bill of materials has no JSON form: {error}")))?;
    text.push(b'\n');
    Ok(text)
}

/// The packages whose code ends up in the binary: reached without build scripts, procedural macros and what only those use.
fn linked(graph: &Graph) -> Result<BTreeSet<&str>> {
    let macros: BTreeSet<&str> = graph
        .packages
        .iter()
        .filter(|it| it.is_macro())
        .map(|it| it.id.as_str())
        .collect();
    let root = graph.root()?;
    let mut linked = BTreeSet::from([root]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        for dependency in graph.dependencies(id, |kind| kind.is_none()) {
            if !macros.contains(dependency) && linked.insert(dependency) {
                open.push(dependency);
            }
        }
    }
    Ok(linked)
}

fn component(package: &Package, scope: &str, checksum: Option<&str>) -> Value {
    let reference = format!("pkg:cargo/{}@{}", package.name, package.version);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": package.name,
        "version": package.version,
        "scope": scope,
        "purl": reference,
    });
    if let Some(description) = &package.description {
        component["description"] = json!(description.trim());
    }
    if let Some(license) = &package.license {
        // Older packages write `MIT/Apache-2.0`, which is no SPDX expression.
        component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
    }
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}
