//! The invariants that can be checked by reading the tree. ARCHITECTURE.md lists and explains them.

mod manifests;
mod sources;

use std::collections::BTreeSet;
use std::fs;

use crate::Result;
use crate::workspace::Workspace;

/// What was read of the tree.
struct Tree<'a> {
    workspace: &'a Workspace,
    /// Every file that git knows or would take, as a path below the root.
    files: Vec<String>,
    /// The folders in `providers/`.
    providers: Vec<String>,
    /// The provider types and aliases that those crates declare.
    provider_types: BTreeSet<String>,
}

/// Prints every violation, and fails when there is one.
pub(crate) fn check(workspace: &Workspace) -> Result {
    let files = workspace.files()?;
    let tree = Tree {
        workspace,
        providers: workspace.crates("providers")?,
        provider_types: provider_types(workspace, &files)?,
        files,
    };
    let mut violations = Vec::new();
    manifests::check(&tree, &mut violations)?;
    sources::check(&tree, &mut violations)?;
    check_provider_folders(&tree, &mut violations);
    check_distributions(&tree, &mut violations);
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        count => Err(format!("{count} violation(s) of the invariants, see above").into()),
    }
}

/// The types as they stand in the sources: `const TYPE: &'static str = "…"` and the strings of `const ALIASES`.
fn provider_types(workspace: &Workspace, files: &[String]) -> Result<BTreeSet<String>> {
    let mut types = BTreeSet::new();
    for file in files
        .iter()
        .filter(|it| it.starts_with("providers/") && it.contains("/src/") && it.ends_with(".rs"))
    {
        let text = fs::read_to_string(workspace.path(file))?;
        for constant in ["const TYPE:", "const ALIASES:"] {
            let Some(start) = text.find(constant) else { continue };
            let declaration = text[start..].split(';').next().unwrap_or_default();
            types.extend(declaration.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    Ok(types)
}

fn check_provider_folders(tree: &Tree<'_>, violations: &mut Vec<String>) {
    for provider in &tree.providers {
        for file in ["README.md", "src/lib.rs", "tests/conformance.rs"] {
            let path = format!("providers/{provider}/{file}");
            if !tree.workspace.path(&path).is_file() {
                violations.push(format!("{path}: is missing, and every provider crate has one"));
            }
        }
    }
}

fn check_distributions(tree: &Tree<'_>, violations: &mut Vec<String>) {
    let names = match crate::distributions::names(tree.workspace) {
        Ok(names) => names,
        Err(error) => return violations.push(format!("distributions: {error}")),
    };
    for name in names {
        let folder = tree.workspace.path("distributions").join(&name);
        match puna_distro::Distribution::read(&folder) {
            Err(error) => violations.push(format!("distributions/{name}/build.yaml: {}", error.message())),
            Ok(distribution) if distribution.name != name => {
                violations.push(format!(
                    "distributions/{name}/build.yaml: its name is `{}`, and its folder's `{name}`",
                    distribution.name
                ));
            }
            Ok(_) => {}
        }
        for file in ["config.yaml", "README.md"] {
            if !folder.join(file).is_file() {
                violations.push(format!(
                    "distributions/{name}/{file}: is missing, and every distribution has one"
                ));
            }
        }
    }
}
