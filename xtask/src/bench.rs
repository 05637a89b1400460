//! `cargo xtask bench`: builds what is to be measured, and hands over to `puna-bench`.

use std::path::{Path, PathBuf};

use crate::args::BuildArgs;
use crate::distributions::ENGINE;
use crate::workspace::Workspace;
use crate::{Result, distributions};

const VECTORS: &str = "puna-provider-sqlite-vec";

/// What vectors are compared with, from PyPI.
const PEERS: &[&str] = &[
    "apsw==3.54.1.0",
    "faiss-cpu==1.15.1",
    "numpy==2.4.6",
    "sqlite-vec==0.1.9",
];

/// `gateway`, `engine`, `rag` and `vectors` measure release builds, made now, unless another server or program is named.
pub(crate) fn run(workspace: &Workspace, mut arguments: Vec<String>) -> Result {
    if arguments.first().is_some_and(|it| it == "vectors") {
        return vectors(workspace, arguments.split_off(1));
    }
    let asks_help = arguments.iter().any(|it| it == "--help" || it == "-h");
    if !asks_help {
        match arguments.first().map(String::as_str) {
            Some("gateway") if !has(&arguments, "--server") => {
                arguments.extend(option("--server", &release(workspace, "remote", &[])?)?);
            }
            Some("engine") => engine(workspace, &mut arguments)?,
            Some("rag") => rag(workspace, &mut arguments)?,
            _ => {}
        }
    }
    workspace
        .cargo(["run", "--quiet", "--release", "--package", "puna-bench", "--"])
        .run_with(arguments.iter().map(String::as_str))
}

fn engine(workspace: &Workspace, arguments: &mut Vec<String>) -> Result {
    // `--features cuda` is for the builds, not for the tool.
    let features = take(arguments, "--features")?;
    let distribution = if features.is_some() { "gpu" } else { "starter" };
    if !has(arguments, "--server") {
        let features: Vec<String> = features
            .iter()
            .flat_map(|it| it.split(','))
            .map(str::to_owned)
            .collect();
        arguments.extend(option("--server", &release(workspace, distribution, &features)?)?);
    }
    if !has(arguments, "--direct") {
        let mut build = vec!["build", "--release", "--package", ENGINE, "--example", "direct"];
        build.extend(features.iter().flat_map(|it| ["--features", it.as_str()]));
        workspace.cargo(build).run()?;
        let program = workspace.target()?.join("release/examples/direct");
        arguments.extend(option("--direct", &program)?);
    }
    if !has(arguments, "--config") {
        let config = workspace.path(format!("distributions/{distribution}/benchmark.yaml"));
        arguments.extend(option("--config", &config)?);
    }
    if !has(arguments, "--models") {
        arguments.extend(option("--models", &workspace.target()?.join("bench-models"))?);
    }
    Ok(())
}

fn rag(workspace: &Workspace, arguments: &mut Vec<String>) -> Result {
    if !has(arguments, "--server") {
        arguments.extend(option("--server", &release(workspace, "starter", &[])?)?);
    }
    if !has(arguments, "--config") {
        let config = workspace.path("distributions/starter/benchmark-rag.yaml");
        arguments.extend(option("--config", &config)?);
    }
    Ok(())
}

/// Runs the comparison, in a Python environment of its own.
fn vectors(workspace: &Workspace, mut arguments: Vec<String>) -> Result {
    let target = workspace.target()?;
    if !has(&arguments, "--program") {
        workspace
            .cargo(["build", "--release", "--package", VECTORS, "--example", "measure"])
            .run()?;
        arguments.extend(option("--program", &target.join("release/examples/measure"))?);
    }
    if !has(&arguments, "--work") {
        arguments.extend(option("--work", &target.join("bench-vectors/data"))?);
    }
    let environment = target.join("bench-vectors/python");
    let python = environment.join("bin/python");
    if !python.exists() {
        let make = ["-m".as_ref(), "venv".as_ref(), environment.as_os_str()];
        workspace.command("python3", make).run()?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    workspace.command(&python, install.iter().chain(PEERS)).run()?;
    let script = "crates/bench/vectors/compare.py".to_owned();
    workspace
        .command(&python, std::iter::once(script).chain(arguments))
        .run()
}

fn release(workspace: &Workspace, distribution: &str, features: &[String]) -> Result<PathBuf> {
    let args = BuildArgs {
        release: true,
        features: features.to_vec(),
        ..BuildArgs::of(distribution)
    };
    Ok(distributions::output(workspace, &args)?.binary)
}

fn has(arguments: &[String], name: &str) -> bool {
    place(arguments, name).is_some()
}

/// Where an option is, as `--name value` or as `--name=value`.
fn place(arguments: &[String], name: &str) -> Option<usize> {
    arguments.iter().position(|it| {
        it.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

/// Takes an option with its value out.
fn take(arguments: &mut Vec<String>, name: &str) -> Result<Option<String>> {
    let Some(at) = place(arguments, name) else {
        return Ok(None);
    };
    let option = arguments.remove(at);
    if let Some((_, value)) = option.split_once('=') {
        return Ok(Some(value.to_owned()));
    }
    if at == arguments.len() {
        return Err(format!("`{name}` needs a value").into());
    }
    Ok(Some(arguments.remove(at)))
}

fn option(name: &str, path: &Path) -> Result<[String; 2]> {
    let path = path
        .to_str()
        .ok_or_else(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok([name.to_owned(), path.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::take;

    #[test]
    fn an_option_is_taken_out_in_either_form() {
        for given in [
            &["engine", "--features", "cuda", "--rounds", "3"][..],
            &["engine", "--features=cuda", "--rounds", "3"],
        ] {
            let mut arguments: Vec<String> = given.iter().map(|it| (*it).to_owned()).collect();
            assert_eq!(take(&mut arguments, "--features").unwrap().as_deref(), Some("cuda"));
            assert_eq!(arguments, ["engine", "--rounds", "3"]);
            assert_eq!(take(&mut arguments, "--features").unwrap(), None);
        }
        let error = take(&mut vec!["--features".to_owned()], "--features").unwrap_err();
        assert!(error.to_string().contains("needs a value"), "{error}");
    }
}
