//! `cargo xtask new-provider`: a crate that builds and passes the conformance suite as it is.
//!
//! The template is the provider of `tests/third-party/parrot`, which the tests compile, run the suite on and build into a distribution.

use std::fs;
use std::path::PathBuf;

use crate::Result;
use crate::args::NewProviderArgs;
use crate::workspace::Workspace;

const TEMPLATE_NAME: &str = "parrot";
const TEMPLATE: &[(&str, &str)] = &[
    ("README.md", include_str!("../../tests/third-party/parrot/README.md")),
    ("src/lib.rs", include_str!("../../tests/third-party/parrot/src/lib.rs")),
    (
        "src/config.rs",
        include_str!("../../tests/third-party/parrot/src/config.rs"),
    ),
    (
        "src/request.rs",
        include_str!("../../tests/third-party/parrot/src/request.rs"),
    ),
    (
        "src/answer.rs",
        include_str!("../../tests/third-party/parrot/src/answer.rs"),
    ),
    (
        "src/provider.rs",
        include_str!("../../tests/third-party/parrot/src/provider.rs"),
    ),
    (
        "tests/conformance.rs",
        include_str!("../../tests/third-party/parrot/tests/conformance.rs"),
    ),
];
const OUTSIDE_MANIFEST: &str = include_str!("../../tests/third-party/parrot/Cargo.toml");

/// What a crate of the workspace has in place of the line about `puna providers`.
const README_LINE: &str = "`puna providers inline::parrot` lists its configuration keys.\n";
const README_BLOCK: &str = "## Configuration\n\n\
    <!-- configuration: written by `cargo xtask codegen` -->\n<!-- end of configuration -->\n";

const MANIFEST: &str = r#"[package]
name = "puna-provider-parrot"
description = "Provider inline::parrot."
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
readme = "README.md"

[lints]
workspace = true

[dependencies]
async-trait.workspace = true
futures.workspace = true
puna-api.workspace = true
schemars.workspace = true
serde.workspace = true

[dev-dependencies]
puna-testkit.workspace = true
serde_json.workspace = true

[[test]]
name = "conformance"
harness = false
"#;

pub(crate) fn write(workspace: &Workspace, args: &NewProviderArgs) -> Result {
    let name = &args.name;
    check_name(name)?;
    let folder = match &args.outside {
        Some(folder) => std::path::absolute(folder)?,
        None => workspace.path("providers").join(name),
    };
    if folder.exists() {
        return Err(format!("{} exists already", folder.display()).into());
    }
    for (path, text) in files(workspace, args)? {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    // A longer name may break lines elsewhere.
    let sources = ["src/lib.rs", "tests/conformance.rs"].map(|file| folder.join(file).into_os_string());
    workspace
        .command(
            "rustfmt",
            ["--edition".into(), "2024".into()].into_iter().chain(sources),
        )
        .run()?;
    println!("{} serves `inline::{name}`", folder.display());
    if args.outside.is_some() {
        println!(
            "next: cargo test in that folder, then cargo xtask build-distro starter --with puna-provider-{name}={}",
            folder.display()
        );
    } else {
        println!(
            "next: cargo nextest run -p puna-provider-{name}, then add it to a build.yaml in distributions/ and run cargo xtask codegen"
        );
    }
    Ok(())
}

fn files(workspace: &Workspace, args: &NewProviderArgs) -> Result<Vec<(PathBuf, String)>> {
    let manifest = match &args.outside {
        None => MANIFEST.to_owned(),
        Some(_) => outside_manifest(workspace)?,
    };
    let mut files = vec![(PathBuf::from("Cargo.toml"), renamed(&manifest, &args.name))];
    for (path, text) in TEMPLATE {
        let text = if args.outside.is_none() {
            text.replace(README_LINE, README_BLOCK)
        } else {
            (*text).to_owned()
        };
        files.push((PathBuf::from(path), renamed(&text, &args.name)));
    }
    Ok(files)
}

/// The template's manifest, with the paths of this workspace.
fn outside_manifest(workspace: &Workspace) -> Result<String> {
    let root = workspace
        .root()
        .to_str()
        .ok_or_else(|| format!("the path {} is not UTF-8", workspace.root().display()))?;
    let crates = toml::Value::String(format!("{root}/crates")).to_string();
    let crates = crates.trim_matches('"');
    let lines: Vec<&str> = OUTSIDE_MANIFEST.lines().filter(|line| !line.starts_with('#')).collect();
    Ok(lines.join("\n").replace("../../../crates", crates) + "\n")
}

/// The template with another name: `parrot` in ids, `Parrot` in types.
fn renamed(text: &str, name: &str) -> String {
    let ident = name.replace('-', "_");
    text.replace("puna_provider_parrot", &format!("puna_provider_{ident}"))
        .replace("Parrot", &type_name(name))
        .replace("let parrot", &format!("let {ident}"))
        .replace("(parrot.clone())", &format!("({ident}.clone())"))
        .replace("(parrot)", &format!("({ident})"))
        .replace(TEMPLATE_NAME, name)
}

/// `big-parrot` as `BigParrot`.
fn type_name(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map(|first| first.to_ascii_uppercase())
                .into_iter()
                .chain(letters)
                .collect::<String>()
        })
        .collect()
}

fn check_name(name: &str) -> Result {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if name.split('-').all(is_word) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no provider name: lower-case words of letters and digits joined by `-`, such as `acme-cloud`"
    )
    .into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn arguments(name: &str, outside: Option<&Path>) -> NewProviderArgs {
        NewProviderArgs {
            name: name.to_owned(),
            api: "inference".to_owned(),
            outside: outside.map(Path::to_owned),
        }
    }

    #[test]
    fn names_are_checked_and_made_into_types() {
        for (name, type_name_of) in [("acme", "Acme"), ("acme-cloud2", "AcmeCloud2")] {
            check_name(name).unwrap();
            assert_eq!(type_name(name), type_name_of);
        }
        for name in ["", "Acme", "acme_cloud", "-a", "a-", "2a", "a b", "../a"] {
            assert!(
                check_name(name)
                    .unwrap_err()
                    .to_string()
                    .contains("is no provider name"),
                "{name}"
            );
        }
    }

    #[test]
    fn nothing_of_the_template_is_left() {
        let workspace = Workspace::here();
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("acme-cloud");
        for args in [arguments("acme-cloud", None), arguments("acme-cloud", Some(&outside))] {
            for (path, text) in files(&workspace, &args).unwrap() {
                assert!(
                    !text.to_lowercase().contains(TEMPLATE_NAME),
                    "{}:\n{text}",
                    path.display()
                );
                if path.ends_with("Cargo.toml") {
                    let manifest: toml::Table = text.parse().unwrap();
                    assert_eq!(manifest["package"]["name"].as_str(), Some("puna-provider-acme-cloud"));
                }
            }
        }
    }

    #[test]
    fn a_crate_of_the_workspace_has_a_place_for_its_table() {
        let files = files(&Workspace::here(), &arguments("acme", None)).unwrap();
        let (_, readme) = files.iter().find(|(path, _)| path.ends_with("README.md")).unwrap();
        assert!(
            readme.contains("<!-- configuration: written by `cargo xtask codegen` -->"),
            "{readme}"
        );
    }

    #[test]
    fn an_existing_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&Workspace::here(), &arguments("acme", Some(folder.path())))
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("exists already"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
