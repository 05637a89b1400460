//! The build, step by step.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cargo::Cargo;
use crate::container::containerfile;
use crate::generate::{self, GeneratedCrate, Workspace, write_if_changed};
use crate::graph::Graph;
use crate::sbom::bill_of_materials;
use crate::{Description, Distribution, Error, ProviderCrate, Result, WithCrate};

/// A step of a build. They run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reads `build.yaml`.
    Read,
    /// Writes the generated crate.
    Generate,
    /// Has cargo resolve its dependencies.
    Resolve,
    /// Checks that there is one `puna-api` among them.
    CheckContract,
    /// Compiles it.
    Compile,
    /// Asks the binary what it holds.
    Describe,
    /// Writes the output folder.
    Write,
}

impl Step {
    /// The step's name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read the manifest",
            Self::Generate => "generate the crate",
            Self::Resolve => "resolve dependencies",
            Self::CheckContract => "check for one puna-api",
            Self::Compile => "compile",
            Self::Describe => "ask the binary what it holds",
            Self::Write => "write the output",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What to build, and how.
#[derive(Debug, Clone)]
pub struct BuildSettings {
    /// The root of the workspace that the framework's crates come from.
    pub workspace: PathBuf,
    /// The distribution's folder, which holds `build.yaml` and `config.yaml`.
    pub folder: PathBuf,
    /// Provider crates beside those of the manifest. Relative paths are those of the current folder.
    pub with: Vec<WithCrate>,
    /// Features of the distribution, or features for every provider crate that has them, such as `cuda`; at least one must.
    /// `crate/feature` means one crate.
    pub features: Vec<String>,
    /// Whether to compile with the profile `release`, for use, or `dev`, for work on Puna.
    pub release: bool,
    /// Whether to stop before compiling.
    pub generate_only: bool,
    /// The output folder; `distributions/NAME/out` in cargo's target folder when none.
    pub out: Option<PathBuf>,
    /// The cargo to run.
    pub cargo: PathBuf,
}

/// What a build made.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// The distribution's name.
    pub name: String,
    /// The folder of the generated crate.
    pub generated: PathBuf,
    /// The output; none when the build stopped before compiling.
    pub output: Option<OutputFolder>,
}

/// What lies beside each other in the output folder.
#[derive(Debug, Clone)]
pub struct OutputFolder {
    /// The folder.
    pub folder: PathBuf,
    /// `puna`, the server and its commands.
    pub binary: PathBuf,
    /// `config.yaml`, which the binary reads when it is told no other.
    pub config: PathBuf,
    /// `sbom.cdx.json`, the bill of materials.
    pub sbom: PathBuf,
    /// `Containerfile`.
    pub containerfile: PathBuf,
    /// What the binary says it holds.
    pub description: Description,
}

/// Builds a distribution. `report` hears of each step before it starts.
///
/// Everything is written below cargo's target folder and the output folder; a failed step leaves the output of the last build alone.
pub fn build(settings: &BuildSettings, report: &mut dyn FnMut(Step)) -> Result<Artifacts> {
    report(Step::Read);
    let mut distribution = Distribution::read(&settings.folder)?;
    distribution.add(settings.with.iter().cloned().map(ProviderCrate::from));
    make_absolute(&mut distribution)?;
    let config = settings.folder.join("config.yaml");
    let config = fs::read(&config).map_err(|error| Error::file(Step::Read, "read", &config, &error))?;

    report(Step::Generate);
    let cargo = Cargo {
        program: &settings.cargo,
        workspace: &settings.workspace,
    };
    let workspace = Workspace::read(&settings.workspace)?;
    let folder = target_folder(&cargo)?.join("distributions").join(&distribution.name);
    let command = format!(
        "{} {}",
        generate::GENERATED_BY,
        shown(&settings.folder, &settings.workspace)
    );
    let draft = generate::write(&folder, &command, &workspace, &distribution, None)?;

    report(Step::Resolve);
    let host = cargo.host()?;
    let graph = Graph::load(&cargo, &draft.manifest, &host)?;
    report(Step::CheckContract);
    graph.check_contract()?;
    switch_on(&mut distribution, &settings.features, &graph)?;
    let generated = generate::write(&folder, &command, &workspace, &distribution, Some(&graph))?;
    let mut artifacts = Artifacts {
        name: distribution.name.clone(),
        generated: folder.clone(),
        output: None,
    };
    if settings.generate_only {
        return Ok(artifacts);
    }

    report(Step::Compile);
    let binary = compile(&cargo, &generated, settings.release)?;
    report(Step::Describe);
    let description = Description::of(&binary)?;
    description.check(
        &distribution
            .crates
            .iter()
            .map(|it| it.name.as_str())
            .collect::<BTreeSet<_>>(),
    )?;

    report(Step::Write);
    // Features may have added packages to the ones that the first answer listed.
    let graph = Graph::load(&cargo, &generated.manifest, &host)?;
    let out = settings.out.clone().unwrap_or_else(|| folder.join("out"));
    let output = OutputFolder {
        binary: out.join(format!("puna{}", std::env::consts::EXE_SUFFIX)),
        config: out.join("config.yaml"),
        sbom: out.join("sbom.cdx.json"),
        containerfile: out.join("Containerfile"),
        folder: out,
        description,
    };
    let sbom = bill_of_materials(&distribution.name, &graph, &folder.join("Cargo.lock"))?;
    write_if_changed(&output.config, &config)?;
    write_if_changed(&output.sbom, &sbom)?;
    write_if_changed(&output.containerfile, containerfile(&distribution.name).as_bytes())?;
    place(&binary, &output.binary)?;
    artifacts.output = Some(output);
    Ok(artifacts)
}

fn compile(cargo: &Cargo<'_>, generated: &GeneratedCrate, release: bool) -> Result<PathBuf> {
    let profile = if release { "release" } else { "dev" };
    let target = target_folder(cargo)?;
    let arguments = [
        "--manifest-path".as_ref(),
        generated.manifest.as_os_str(),
        "--target-dir".as_ref(),
        target.as_os_str(),
        "--bin".as_ref(),
        generated.binary.as_ref(),
        "--profile".as_ref(),
        profile.as_ref(),
    ];
    cargo.build(arguments)
}

/// Puts the binary at its place in one step, so that a server started from there is never a half-written one.
fn place(binary: &Path, destination: &Path) -> Result<()> {
    let step = Step::Write;
    let temporary = destination.with_extension("new");
    remove(&temporary)?;
    // A second name costs nothing; between file systems there is none, so the bytes are copied.
    if fs::hard_link(binary, &temporary).is_err() {
        fs::copy(binary, &temporary).map_err(|error| Error::file(step, "write", &temporary, &error))?;
    }
    fs::rename(&temporary, destination).map_err(|error| Error::file(step, "write", destination, &error))?;
    // Renaming one name of a file to another of its names does nothing.
    remove(&temporary)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file(Step::Write, "remove", path, &error))
        }
        _ => Ok(()),
    }
}

fn target_folder(cargo: &Cargo<'_>) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let output = cargo.output(Step::Generate, ["metadata", "--format-version=1", "--no-deps"])?;
    serde_json::from_slice::<Metadata>(&output)
        .map(|metadata| metadata.target_directory)
        .map_err(|error| {
            Error::new(
                Step::Generate,
                format!("`cargo metadata` answered in an unknown form: {error}"),
            )
        })
}

/// Cargo would take a relative path as one below the generated crate.
fn make_absolute(distribution: &mut Distribution) -> Result<()> {
    for provider in &mut distribution.crates {
        if let crate::CrateSource::Path { path, .. } = &mut provider.source {
            let manifest = path.join("Cargo.toml");
            *path = fs::canonicalize(&*path)
                .ok()
                .filter(|path| path.join("Cargo.toml").is_file())
                .ok_or_else(|| {
                    Error::new(
                        Step::Read,
                        format!("crate {}: there is no {}", provider.name, manifest.display()),
                    )
                })?;
        }
    }
    Ok(())
}

fn switch_on(distribution: &mut Distribution, features: &[String], graph: &Graph) -> Result<()> {
    let expanded: Vec<String> = features
        .iter()
        .flat_map(|feature| distribution.expand(feature))
        .collect();
    for feature in &expanded {
        let (only, name) = match feature.split_once('/') {
            Some((only, name)) => (Some(only), name),
            None => (None, feature.as_str()),
        };
        let mut known = BTreeSet::new();
        let mut found = false;
        for provider in distribution
            .crates
            .iter_mut()
            .filter(|it| only.is_none_or(|only| it.name == only))
        {
            let package = graph.direct(&provider.name)?;
            known.extend(
                package
                    .features
                    .keys()
                    .filter(|it| *it != "default")
                    .map(String::as_str),
            );
            if package.features.contains_key(name) {
                found = true;
                if !provider.features.iter().any(|it| it == name) {
                    provider.features.push(name.to_owned());
                }
            }
        }
        if !found {
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.into_iter().collect::<Vec<_>>().join(", ")
            };
            return Err(Error::new(
                Step::Resolve,
                format!(
                    "no provider crate of `{}` has the feature `{feature}`; they have: {known}",
                    distribution.name
                ),
            ));
        }
    }
    Ok(())
}

/// A path as a reader of the workspace knows it.
fn shown(folder: &Path, workspace: &Path) -> String {
    let canonical = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (folder, workspace) = (canonical(folder), canonical(workspace));
    folder.strip_prefix(&workspace).unwrap_or(&folder).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_replaces_the_one_of_the_last_build() {
        let folder = tempfile::tempdir().unwrap();
        let (binary, destination) = (folder.path().join("built"), folder.path().join("puna"));
        for text in ["one", "two"] {
            fs::write(&binary, text).unwrap();
            for _ in 0..2 {
                place(&binary, &destination).unwrap();
                assert_eq!(fs::read_to_string(&destination).unwrap(), text);
                assert!(!folder.path().join("puna.new").exists());
            }
            fs::remove_file(&binary).unwrap();
        }
    }

    #[test]
    fn a_folder_without_a_crate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let with: WithCrate = format!("acme={}", folder.path().display()).parse().unwrap();
        let mut distribution = Distribution {
            name: "x".to_owned(),
            crates: vec![with.into()],
            features: Default::default(),
        };
        let error = make_absolute(&mut distribution).unwrap_err();
        assert!(error.message().starts_with("crate acme: there is no "), "{error}");
    }
}
