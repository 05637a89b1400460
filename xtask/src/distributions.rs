//! `cargo xtask build-distro` and `cargo xtask run`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use puna_distro::{Artifacts, BuildSettings, Distribution, OutputFolder, build as build_distribution};

use crate::Result;
use crate::args::{BuildArgs, RunArgs};
use crate::workspace::Workspace;

/// The crate with the local engine. It takes minutes to compile, so whatever can be done without it is.
pub(crate) const ENGINE: &str = "puna-provider-mistralrs";

pub(crate) fn build(workspace: &Workspace, args: &BuildArgs) -> Result<Artifacts> {
    let settings = BuildSettings {
        workspace: workspace.root().to_owned(),
        folder: folder(workspace, &args.distribution)?,
        with: args.with.clone(),
        features: args.features.clone(),
        release: args.release,
        generate_only: args.generate_only,
        out: args.out.as_ref().map(std::path::absolute).transpose()?,
        cargo: PathBuf::from("cargo"),
    };
    let start = Instant::now();
    let artifacts = build_distribution(&settings, &mut |step| {
        eprintln!("{:>7.1}s  {step}", start.elapsed().as_secs_f64());
    })?;
    match &artifacts.output {
        None => println!("{}", artifacts.generated.display()),
        Some(output) => show(&artifacts.name, output),
    }
    Ok(artifacts)
}

/// Builds the distribution and hands back what is in the output folder.
pub(crate) fn output(workspace: &Workspace, args: &BuildArgs) -> Result<OutputFolder> {
    build(workspace, args)?
        .output
        .ok_or_else(|| "the build stopped before its output".into())
}

pub(crate) fn run(workspace: &Workspace, args: &RunArgs) -> Result {
    let build_args = BuildArgs {
        distribution: args.distribution.clone(),
        release: args.release,
        features: args.features.clone(),
        ..BuildArgs::of("")
    };
    let output = output(workspace, &build_args)?;
    let arguments = ["run".as_ref(), output.config.as_os_str()];
    // In the caller's folder, because a model may be named by a relative path.
    let here = Workspace::at(&std::env::current_dir()?);
    become_server(here.command(&output.binary, arguments), &args.arguments)
}

/// Signals reach the server itself, because there is no process between it and the caller.
#[cfg(unix)]
fn become_server(command: crate::workspace::CommandLine, arguments: &[String]) -> Result {
    Err(command.replace_this_process(arguments))
}

#[cfg(not(unix))]
fn become_server(command: crate::workspace::CommandLine, arguments: &[String]) -> Result {
    command.run_with(arguments.iter().map(String::as_str))
}

/// A folder as the caller sees it, or the distribution of this name.
fn folder(workspace: &Workspace, given: &Path) -> Result<PathBuf> {
    let named = workspace.path("distributions").join(given);
    for candidate in [std::path::absolute(given)?, workspace.path(given), named] {
        if candidate.join("build.yaml").is_file() {
            return Ok(candidate);
        }
    }
    Err(format!(
        "there is no {}/build.yaml, and the distributions here are {}",
        given.display(),
        names(workspace)?.join(", ")
    )
    .into())
}

/// What compiling a distribution needs and this machine lacks.
pub(crate) fn lacking(workspace: &Workspace, name: &str) -> Result<Option<&'static str>> {
    let distribution = Distribution::read(&workspace.path("distributions").join(name))?;
    let has = |feature: &str| {
        let mut features = distribution.crates.iter().flat_map(|it| &it.features);
        features.any(|it| it == feature)
    };
    Ok(if has("cuda") && !workspace.command("nvcc", ["--version"]).succeeds() {
        Some("nvcc, the compiler of the CUDA toolkit")
    } else if has("metal") && !cfg!(target_os = "macos") {
        Some("macOS")
    } else {
        None
    })
}

/// The names of the distributions in this workspace, in order.
pub(crate) fn names(workspace: &Workspace) -> Result<Vec<String>> {
    workspace.folders_with("distributions", "build.yaml")
}

/// The distributions that are compiled without the local engine.
pub(crate) fn without_engine(workspace: &Workspace) -> Result<Vec<String>> {
    let mut without = Vec::new();
    for name in names(workspace)? {
        let distribution = Distribution::read(&workspace.path("distributions").join(&name))?;
        if distribution.crates.iter().all(|it| it.name != ENGINE) {
            without.push(name);
        }
    }
    Ok(without)
}

fn show(name: &str, output: &OutputFolder) {
    println!("distribution `{name}` is in {}", output.folder.display());
    for provider in &output.description.providers {
        println!(
            "  {:<28} {} {}",
            provider.provider_type, provider.crate_name, provider.crate_version
        );
    }
}
