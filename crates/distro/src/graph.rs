//! The crates that a distribution is made of, as cargo resolved them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cargo::Cargo;
use crate::{Error, Result, Step};

/// The contract between the framework and its providers.
const CONTRACT: &str = "puna-api";

/// What `cargo metadata` says.
#[derive(Debug, Deserialize)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) source: Option<String>,
    #[serde(default)]
    pub(crate) license: Option<String>,
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) repository: Option<String>,
    pub(crate) manifest_path: PathBuf,
    #[serde(default)]
    pub(crate) features: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    root: Option<String>,
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Graph {
    /// Asks cargo to resolve the generated crate.
    pub(crate) fn load(cargo: &Cargo<'_>, manifest: &Path, host: &str) -> Result<Self> {
        let step = Step::Resolve;
        let arguments = [
            "metadata",
            "--format-version=1",
            "--filter-platform",
            host,
            "--manifest-path",
        ];
        let output = cargo
            .output(
                step,
                arguments.iter().map(std::ffi::OsStr::new).chain([manifest.as_os_str()]),
            )
            .map_err(|error| explain_collision(&error))?;
        Self::parse(&output)
    }

    fn parse(output: &[u8]) -> Result<Self> {
        serde_json::from_slice(output).map_err(|error| {
            Error::new(
                Step::Resolve,
                format!("`cargo metadata` answered in an unknown form: {error}"),
            )
        })
    }

    /// The generated crate's own id.
    pub(crate) fn root(&self) -> Result<&str> {
        self.resolve
            .root
            .as_deref()
            .ok_or_else(|| Error::new(Step::Resolve, "`cargo metadata` names no root package"))
    }

    /// A package that the generated crate depends on directly.
    pub(crate) fn direct(&self, name: &str) -> Result<&Package> {
        let root = self.root()?;
        let direct: BTreeSet<&str> = self.dependencies(root, |_| true).into_iter().collect();
        self.packages
            .iter()
            .find(|package| package.name == name && direct.contains(package.id.as_str()))
            .ok_or_else(|| {
                Error::new(
                    Step::Resolve,
                    format!("the crate {name} is not among the resolved dependencies"),
                )
            })
    }

    /// The ids that a package depends on by a kind of dependency: none for a normal one, `build` or `dev`.
    pub(crate) fn dependencies(&self, id: &str, kind: impl Fn(Option<&str>) -> bool) -> Vec<&str> {
        let Some(node) = self.resolve.nodes.iter().find(|node| node.id == id) else {
            return Vec::new();
        };
        node.deps
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|it| kind(it.kind.as_deref())))
            .map(|dependency| dependency.pkg.as_str())
            .collect()
    }

    /// Every package that the generated crate reaches by kinds of dependency, itself included.
    pub(crate) fn reachable(&self, kind: impl Fn(Option<&str>) -> bool + Copy) -> Result<BTreeSet<&str>> {
        let nodes: BTreeMap<&str, &Node> = self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut reached = BTreeSet::from([self.root()?]);
        let mut open: Vec<&str> = reached.iter().copied().collect();
        while let Some(id) = open.pop() {
            let dependencies = nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default();
            for dependency in dependencies {
                if dependency.dep_kinds.iter().any(|it| kind(it.kind.as_deref())) && reached.insert(&dependency.pkg) {
                    open.push(&dependency.pkg);
                }
            }
        }
        Ok(reached)
    }

    /// Checks that all providers were made for the one `puna-api` that the server is made of.
    pub(crate) fn check_contract(&self) -> Result<()> {
        let contracts: Vec<&Package> = self
            .packages
            .iter()
            .filter(|package| package.name == CONTRACT)
            .collect();
        if contracts.len() == 1 {
            return Ok(());
        }
        let Some(own) = self.direct(CONTRACT).ok().map(|package| package.id.as_str()) else {
            return Err(Error::new(
                Step::CheckContract,
                format!("{CONTRACT} is not in the dependency graph"),
            ));
        };
        let mut message = format!(
            "{} versions of {CONTRACT} are in the dependency graph, and there must be one:",
            contracts.len()
        );
        let mut foreign = Vec::new();
        for contract in contracts {
            let users = self.users(&contract.id);
            let origin = contract.origin();
            message.push_str(&format!(
                "\n  {CONTRACT} {} ({origin}), used by {}",
                contract.version,
                join(&users)
            ));
            if contract.id != own {
                foreign.extend(users);
            }
        }
        let version = self
            .packages
            .iter()
            .find(|package| package.id == own)
            .map_or("", |package| package.version.as_str());
        message.push_str(&format!(
            "\nmake {} depend on {CONTRACT} {version}, or take the releases of those crates that do",
            join(&foreign)
        ));
        Err(Error::new(Step::CheckContract, message))
    }

    /// The packages that depend on a package directly, as `name version`.
    fn users(&self, id: &str) -> Vec<String> {
        let by_id: BTreeMap<&str, &Package> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package))
            .collect();
        let users: BTreeSet<String> = self
            .resolve
            .nodes
            .iter()
            .filter(|node| node.deps.iter().any(|dependency| dependency.pkg == id))
            .filter_map(|node| by_id.get(node.id.as_str()))
            .map(|package| format!("{} {}", package.name, package.version))
            .collect();
        users.into_iter().collect()
    }
}

impl Package {
    /// The name that Rust code calls its library by.
    pub(crate) fn library(&self) -> Option<String> {
        let library = |target: &&Target| {
            target
                .kind
                .iter()
                .any(|kind| matches!(kind.as_str(), "lib" | "rlib" | "dylib"))
        };
        self.targets
            .iter()
            .find(library)
            .map(|target| target.name.replace('-', "_"))
    }

    /// Whether it runs at build time only.
    pub(crate) fn is_macro(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }

    fn origin(&self) -> String {
        match &self.source {
            Some(source) if source.starts_with("registry+") => "from the registry".to_owned(),
            Some(source) => source.clone(),
            None => self
                .manifest_path
                .parent()
                .unwrap_or(&self.manifest_path)
                .display()
                .to_string(),
        }
    }
}

/// Two folders that hold one version of the contract cannot even be written to a lock file, so cargo stops before the check does.
fn explain_collision(error: &Error) -> Error {
    let message = error.message();
    if message.contains("package collision in the lockfile") && message.contains(&format!("{CONTRACT} v")) {
        return Error::new(
            Step::CheckContract,
            format!(
                "two copies of {CONTRACT} are in the dependency graph, and there must be one; \
                 make every provider crate depend on the copy that the server is made of\n{message}"
            ),
        );
    }
    Error::new(error.step(), message)
}

fn join(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [name] => name.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn graph(packages: &[(&str, &str)], edges: &[(&str, &[&str])]) -> Graph {
        let packages: Vec<_> = packages
            .iter()
            .map(|(name, version)| {
                json!({ "id": format!("{name}@{version}"), "name": name, "version": version, "manifest_path": format!("/{name}/Cargo.toml"),
                        "targets": [{ "name": name, "kind": ["lib"] }] })
            })
            .collect();
        let nodes: Vec<_> = edges
            .iter()
            .map(|(id, to)| {
                let deps: Vec<_> = to
                    .iter()
                    .map(|id| json!({ "pkg": id, "dep_kinds": [{ "kind": null }] }))
                    .collect();
                json!({ "id": id, "deps": deps })
            })
            .collect();
        let text = json!({ "packages": packages, "resolve": { "root": "root@1", "nodes": nodes } }).to_string();
        Graph::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn one_contract_is_accepted() {
        let graph = graph(
            &[("root", "1"), ("puna-api", "1.0.0"), ("vllm", "2.0.0")],
            &[
                ("root@1", &["puna-api@1.0.0", "vllm@2.0.0"]),
                ("vllm@2.0.0", &["puna-api@1.0.0"]),
            ],
        );
        graph.check_contract().unwrap();
        assert_eq!(graph.direct("vllm").unwrap().library().unwrap(), "vllm");
        assert!(graph.direct("nothing").is_err());
    }

    #[test]
    fn a_second_contract_is_refused_and_its_users_are_named() {
        let graph = graph(
            &[
                ("root", "1"),
                ("puna-api", "1.0.0"),
                ("puna-api", "0.9.0"),
                ("acme", "2.0.0"),
                ("vllm", "1.0.0"),
            ],
            &[
                ("root@1", &["puna-api@1.0.0", "vllm@1.0.0", "acme@2.0.0"]),
                ("vllm@1.0.0", &["puna-api@1.0.0"]),
                ("acme@2.0.0", &["puna-api@0.9.0"]),
            ],
        );
        let error = graph.check_contract().unwrap_err();
        assert_eq!(error.step(), Step::CheckContract);
        assert_eq!(
            error.message(),
            "2 versions of puna-api are in the dependency graph, and there must be one:\
             \n  puna-api 1.0.0 (/puna-api), used by root 1 and vllm 1.0.0\
             \n  puna-api 0.9.0 (/puna-api), used by acme 2.0.0\
             \nmake acme 2.0.0 depend on puna-api 1.0.0, or take the releases of those crates that do"
        );
    }

    #[test]
    fn a_collision_of_two_copies_is_explained() {
        let cargo = Error::new(
            Step::Resolve,
            "`cargo metadata` failed: package collision in the lockfile: packages puna-api v0.1.0 (/a) and puna-api v0.1.0 (/b) are different",
        );
        assert!(
            explain_collision(&cargo)
                .message()
                .starts_with("two copies of puna-api")
        );
        let other = Error::new(Step::Resolve, "no network");
        assert_eq!(explain_collision(&other).message(), "no network");
    }
}
