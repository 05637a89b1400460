//! The crate that a distribution is compiled from: a manifest and a main that a person could have written.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::graph::Graph;
use crate::{CrateSource, Distribution, Error, GitReference, ProviderCrate, Result, Step};

/// The command that generated files name.
pub const GENERATED_BY: &str = "cargo xtask build-distro";

const ALLOCATOR: &str = "mimalloc = { version = \"0.1\", default-features = false }";

/// The workspace that the framework's crates come from, as far as a generated crate takes after it.
pub(crate) struct Workspace {
    root: PathBuf,
    version: String,
    edition: String,
    profiles: Table,
}

/// A generated crate on disk.
pub(crate) struct GeneratedCrate {
    pub(crate) manifest: PathBuf,
    /// What cargo calls its executable.
    pub(crate) binary: String,
}

impl Workspace {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = root.join("Cargo.toml");
        let fail = |message: String| Error::new(Step::Generate, format!("{}: {message}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| Error::file(Step::Generate, "read", &path, &error))?;
        let mut manifest: Table = text.parse().map_err(|error: toml::de::Error| fail(error.to_string()))?;
        let package = manifest.get("workspace").and_then(|it| it.get("package"));
        let field = |name: &str| {
            package
                .and_then(|it| it.get(name))
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let version = field("version").ok_or_else(|| fail("workspace.package.version is missing".to_owned()))?;
        let edition = field("edition").ok_or_else(|| fail("workspace.package.edition is missing".to_owned()))?;
        let profiles = match manifest.remove("profile") {
            Some(Value::Table(profiles)) => profiles,
            _ => Table::new(),
        };
        Ok(Self {
            root: root.to_owned(),
            version,
            edition,
            profiles,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Its profiles, without the overrides for packages that are not in the graph, which cargo would warn of.
    fn profiles(&self, graph: &Graph) -> Table {
        let names: BTreeSet<&str> = graph.packages.iter().map(|package| package.name.as_str()).collect();
        let mut profiles = self.profiles.clone();
        for profile in profiles.iter_mut().filter_map(|(_, profile)| profile.as_table_mut()) {
            if let Some(Value::Table(packages)) = profile.get_mut("package") {
                packages.retain(|name, _| name == "*" || names.contains(name));
            }
        }
        profiles
    }
}

/// Writes the crate, or writes it again: files whose text stays the same are left alone, so cargo does not compile them anew.
///
/// Cargo alone knows what the crates are called in code and which packages they bring; `graph` is its answer on the crate's first form.
pub(crate) fn write(
    folder: &Path,
    command: &str,
    workspace: &Workspace,
    distribution: &Distribution,
    graph: Option<&Graph>,
) -> Result<GeneratedCrate> {
    let name = &distribution.name;
    let libraries = match graph {
        Some(graph) => distribution
            .crates
            .iter()
            .map(|provider| library(graph, &provider.name))
            .collect::<Result<Vec<String>>>()?,
        None => distribution
            .crates
            .iter()
            .map(|provider| provider.name.replace('-', "_"))
            .collect(),
    };
    let profiles = graph.map(|graph| workspace.profiles(graph)).unwrap_or_default();
    let manifest = folder.join("Cargo.toml");
    write_if_changed(
        &manifest,
        manifest_text(command, workspace, distribution, &profiles)?.as_bytes(),
    )?;
    write_if_changed(&folder.join("src/main.rs"), main_text(command, &libraries).as_bytes())?;
    // The workspace's lock file gives the same versions, so what is compiled for the one serves the other. Cargo drops what is not used.
    let lock = workspace.root().join("Cargo.lock");
    if graph.is_none() && lock.exists() {
        let text = fs::read(&lock).map_err(|error| Error::file(Step::Generate, "read", &lock, &error))?;
        write_if_changed(&folder.join("Cargo.lock"), &text)?;
    }
    Ok(GeneratedCrate {
        manifest,
        binary: format!("puna-{name}"),
    })
}

fn library(graph: &Graph, name: &str) -> Result<String> {
    graph.direct(name)?.library().ok_or_else(|| {
        Error::new(
            Step::Resolve,
            format!("the crate {name} has no library, and a provider crate is one"),
        )
    })
}

fn main_text(command: &str, libraries: &[String]) -> String {
    let entries: String = libraries
        .iter()
        .map(|library| format!("    {library}::PROVIDER,\n"))
        .collect();
    format!(
        "//! Generated by `{command}`: the providers of this binary.\n\
         \n\
         use std::process::ExitCode;\n\
         \n\
         use puna_api::ProviderSpec;\n\
         \n\
         #[global_allocator]\n\
         static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;\n\
         \n\
         const LINKED: &[ProviderSpec] = &[\n{entries}];\n\
         \n\
         fn main() -> ExitCode {{\n    puna_cli::main(LINKED)\n}}\n"
    )
}

fn manifest_text(
    command: &str,
    workspace: &Workspace,
    distribution: &Distribution,
    profiles: &Table,
) -> Result<String> {
    let name = &distribution.name;
    let api = quote_path(&workspace.root.join("crates/api"))?;
    let cli = quote_path(&workspace.root.join("crates/cli"))?;
    let mut text = format!(
        "# Generated by `{command}`.\n\
         [package]\n\
         name = \"puna-distribution-{name}\"\n\
         version = {version}\n\
         edition = {edition}\n\
         publish = false\n\
         \n\
         [[bin]]\n\
         name = \"puna-{name}\"\n\
         path = \"src/main.rs\"\n\
         \n\
         [dependencies]\n\
         {ALLOCATOR}\n\
         puna-api = {{ path = {api} }}\n\
         puna-cli = {{ path = {cli} }}\n",
        version = quote(&workspace.version),
        edition = quote(&workspace.edition),
    );
    for provider in &distribution.crates {
        text.push_str(&dependency_line(provider)?);
    }
    let _ = write!(
        text,
        "\n# A crate that asks the registry for the contract gets the copy that the server is made of.\n\
         [patch.crates-io]\n\
         puna-api = {{ path = {api} }}\n\
         \n\
         [workspace]\n"
    );
    if !profiles.is_empty() {
        let profiles = Table::from_iter([("profile".to_owned(), Value::Table(profiles.clone()))]);
        let profiles = toml::to_string(&profiles).map_err(|error| {
            Error::new(
                Step::Generate,
                format!("the workspace's profiles have no TOML form: {error}"),
            )
        })?;
        let _ = write!(
            text,
            "\n# The profiles of Puna's own workspace, so that both share what is compiled.\n{profiles}"
        );
    }
    Ok(text)
}

fn dependency_line(provider: &ProviderCrate) -> Result<String> {
    let mut fields = Vec::new();
    let version = match &provider.source {
        CrateSource::Registry { version } => Some(version),
        CrateSource::Path { path, version } => {
            fields.push(format!("path = {}", quote_path(path)?));
            version.as_ref()
        }
        CrateSource::Git { url, reference } => {
            fields.push(format!("git = {}", quote(url)));
            fields.extend(reference.as_ref().map(|reference| match reference {
                GitReference::Branch(branch) => format!("branch = {}", quote(branch)),
                GitReference::Tag(tag) => format!("tag = {}", quote(tag)),
                GitReference::Rev(revision) => format!("rev = {}", quote(revision)),
            }));
            None
        }
    };
    fields.extend(version.map(|version| format!("version = {}", quote(version))));
    if !provider.default_features {
        fields.push("default-features = false".to_owned());
    }
    if !provider.features.is_empty() {
        let features: Vec<String> = provider.features.iter().map(|feature| quote(feature)).collect();
        fields.push(format!("features = [{}]", features.join(", ")));
    }
    Ok(format!("{} = {{ {} }}\n", provider.name, fields.join(", ")))
}

fn quote(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

fn quote_path(path: &Path) -> Result<String> {
    path.to_str().map(quote).ok_or_else(|| {
        Error::new(
            Step::Generate,
            format!("the path {} is not UTF-8, which a Cargo.toml must be", path.display()),
        )
    })
}

/// Writes a file and the folders above it, unless it holds these bytes already.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    let step = Step::Generate;
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| Error::file(step, "create", folder, &error))?;
    }
    fs::write(path, bytes).map_err(|error| Error::file(step, "write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WithCrate;

    fn workspace() -> Workspace {
        Workspace {
            root: PathBuf::from("/puna"),
            version: "0.1.0".to_owned(),
            edition: "2024".to_owned(),
            profiles: "[dev.package.engine]\nopt-level = 0\n".parse().unwrap(),
        }
    }

    #[test]
    fn the_manifest_is_valid_and_names_every_source() {
        let mut engine: ProviderCrate = "engine=/puna/providers/engine".parse::<WithCrate>().unwrap().into();
        engine.features = vec!["cuda".to_owned()];
        let git = ProviderCrate {
            name: "far".to_owned(),
            source: CrateSource::Git {
                url: "https://git.example/far".to_owned(),
                reference: Some(GitReference::Tag("v1".to_owned())),
            },
            features: Vec::new(),
            default_features: false,
        };
        let distribution = Distribution {
            name: "x".to_owned(),
            crates: vec![engine, "acme@1.2".parse::<WithCrate>().unwrap().into(), git],
            features: Default::default(),
        };
        let workspace = workspace();
        let text = manifest_text(
            "cargo xtask build-distro x",
            &workspace,
            &distribution,
            &workspace.profiles,
        )
        .unwrap();
        let manifest: Table = text.parse().unwrap();
        let dependencies = &manifest["dependencies"];
        for (name, line) in [
            ("engine", r#"{ path = "/puna/providers/engine", features = ["cuda"] }"#),
            ("acme", r#"{ version = "1.2" }"#),
            (
                "far",
                r#"{ git = "https://git.example/far", tag = "v1", default-features = false }"#,
            ),
        ] {
            assert!(text.lines().any(|it| it == format!("{name} = {line}")), "{text}");
            assert!(dependencies.get(name).is_some_and(Value::is_table), "{text}");
        }
        assert_eq!(dependencies["puna-cli"]["path"].as_str(), Some("/puna/crates/cli"));
        assert_eq!(
            manifest["profile"]["dev"]["package"]["engine"]["opt-level"].as_integer(),
            Some(0)
        );
        assert!(text.starts_with("# Generated by `cargo xtask build-distro x`.\n"));
    }

    #[test]
    fn the_main_is_one_that_a_person_could_have_written() {
        let text = main_text(
            "cargo xtask build-distro x",
            &["puna_provider_a".to_owned(), "acme".to_owned()],
        );
        assert!(
            text.contains("&[\n    puna_provider_a::PROVIDER,\n    acme::PROVIDER,\n];"),
            "{text}"
        );
        assert!(
            text.lines()
                .filter(|line| !line.is_empty() && !line.starts_with("//"))
                .count()
                <= 12,
            "{text}"
        );
    }

    #[test]
    fn an_unchanged_file_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        write_if_changed(&path, b"one").unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        write_if_changed(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        write_if_changed(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }
}
