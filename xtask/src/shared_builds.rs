//! Whether the local engine is compiled once for the tests and the distributions, or several times.
//!
//! Cargo compiles a crate anew for every set of features that it or anything below it has, and the sets differ with the packages that a
//! command selects. For most crates that costs seconds, for the engine many minutes. So whatever the server and the tests switch
//! on in the crates that the engine is made of, the engine's own manifest switches on too; this check says what is missing there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Result;
use crate::distributions::ENGINE;
use crate::workspace::Workspace;

/// The crate that takes the minutes.
const CORE: &str = "mistralrs-core";

/// The features of each package of a selection; a package can have more than one set, for building and for running.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Compares the features that the engine is compiled with for its own tests and for a generated crate; what differs, if anything does.
pub(crate) fn check(workspace: &Workspace, generated: &Path) -> Result<Option<String>> {
    let manifest = generated.join("Cargo.toml");
    let manifest = manifest
        .to_str()
        .ok_or("the path of the generated crate is not UTF-8")?;
    let engine: BTreeSet<String> = features(workspace, &["--package", CORE, "--edges", "normal,build"])?
        .into_keys()
        .collect();
    let tests = features(workspace, &["--package", ENGINE, "--edges", "normal,build,dev"])?;
    let built = features(workspace, &["--manifest-path", manifest, "--edges", "normal,build"])?;
    let mut missing = Vec::new();
    for package in &engine {
        if let (Some(tests), Some(built)) = (tests.get(package), built.get(package))
            && tests != built
        {
            missing.push(format!(
                "  {package}: {} for the tests, {} for the distribution",
                shown(tests),
                shown(built)
            ));
        }
    }
    if missing.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "{CORE} would be compiled more than once, because features differ with what is built; \
         switch on in providers/mistralrs/Cargo.toml what one of them lacks:\n{}",
        missing.join("\n")
    )))
}

fn shown(sets: &BTreeSet<String>) -> String {
    sets.iter()
        .map(|set| format!("[{set}]"))
        .collect::<Vec<_>>()
        .join(" and ")
}

fn features(workspace: &Workspace, selection: &[&str]) -> Result<Features> {
    let arguments = [
        "tree",
        "--quiet",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}|{f}",
    ];
    let tree = workspace.cargo(arguments.iter().chain(selection)).output()?;
    let mut features = Features::new();
    for line in tree.lines() {
        if let Some((package, set)) = line.trim_end_matches(" (*)").split_once('|') {
            // Where a crate of the workspace lies is no part of the engine, and neither is it compiled with it.
            let package = package.trim_end_matches(" (proc-macro)");
            features.entry(package.to_owned()).or_default().insert(set.to_owned());
        }
    }
    Ok(features)
}
