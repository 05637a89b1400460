//! `build.yaml`: which provider crates go into a distribution's binary.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::check::{Background, check};
use crate::load::read_as;
use crate::path::Path;
use crate::report::Site;
use crate::schema::Schema;
use crate::value::convert;
use crate::{Problems, Source};

/// Which crates go into a distribution's binary. Fixed when the binary is made; no variable is expanded in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildManifest {
    /// The distribution's name, which names the generated crate and the binary.
    pub name: String,
    /// One line for lists: what it is for.
    pub description: Option<String>,
    /// The crates, in the order of the file.
    pub crates: Vec<ManifestCrate>,
    /// Cargo features of the generated crate, each with what it switches on: `cuda: [puna-provider-example/cuda]`.
    pub features: BTreeMap<String, Vec<String>>,
}

/// A crate of a [`BuildManifest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestCrate {
    /// Its package name, such as `puna-provider-example`.
    pub name: String,
    /// Where it comes from.
    pub source: CrateSource,
    /// Its Cargo features.
    pub features: Vec<String>,
    /// Whether its default features are on. They are unless the file says otherwise.
    pub default_features: bool,
}

/// Where a crate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrateSource {
    /// A registry, by a version requirement such as `0.1`.
    Version(String),
    /// A folder, as the file has it; relative paths start at the file's folder.
    Path(PathBuf),
    /// A git repository.
    Git {
        /// Its address.
        url: String,
        /// What of it; `None` is the head of its default branch.
        reference: Option<GitReference>,
    },
}

/// What of a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitReference {
    /// A commit.
    Rev(String),
    /// A tag.
    Tag(String),
    /// The head of a branch.
    Branch(String),
}

/// The shape of the file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Shape {
    /// The distribution's name.
    name: String,
    /// One line: what it is for.
    description: Option<String>,
    /// The crates.
    crates: Vec<CrateShape>,
    /// Cargo features of the generated crate.
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

/// The shape of a crate.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CrateShape {
    /// The package name.
    name: String,
    /// A version requirement.
    version: Option<String>,
    /// A folder.
    path: Option<String>,
    /// The address of a git repository.
    git: Option<String>,
    /// A commit of the git repository.
    rev: Option<String>,
    /// A tag of the git repository.
    tag: Option<String>,
    /// A branch of the git repository.
    branch: Option<String>,
    /// Cargo features.
    #[serde(default)]
    features: Vec<String>,
    /// Whether default features are on.
    default_features: Option<bool>,
}

impl BuildManifest {
    /// Reads a `build.yaml` and reports every problem together.
    pub fn load(path: &FilePath) -> Result<Self, Problems> {
        Self::read(&Source::File(path.to_owned()))
    }

    /// Reads a manifest and reports every problem together.
    pub fn read(source: &Source) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let file = source.name();
        let root = source.tree(&mut problems).map_err(|problem| Problems::one(*problem))?;
        let site = Site::root(&file, &root);
        let schema = Self::schema();
        let schema = Schema::new(&schema);
        let converted = convert(&root, &schema);
        let background = Background {
            schema: &schema,
            sample: None,
            settled: &[],
            veil: &|_| None,
        };
        let (shape, findings) = check(converted.value, &background, read_as::<Shape>);
        problems.extend(findings.into_iter().map(|finding| site.finding(finding, &schema, &[])));

        let mut manifest = None;
        if let Some(shape) = shape {
            let mut faults = Faults {
                site: &site,
                problems: &mut problems,
            };
            manifest = Some(faults.manifest(shape));
        }
        match (Problems::new(problems), manifest) {
            (Some(problems), _) => Err(problems),
            (None, Some(manifest)) => Ok(manifest),
            (None, None) => Err(Problems::one(crate::Problem::of_whole(
                &file,
                "the manifest cannot be read",
            ))),
        }
    }

    /// The JSON Schema (draft 2020-12) of the file.
    pub fn schema() -> Value {
        schemars::schema_for!(Shape).to_value()
    }
}

struct Faults<'a> {
    site: &'a Site<'a>,
    problems: &'a mut Vec<crate::Problem>,
}

impl Faults<'_> {
    fn add(&mut self, path: &Path, message: impl Into<String>, hint: Option<&str>) {
        self.problems
            .push(self.site.problem(path, message, hint.map(str::to_owned)));
    }

    fn manifest(&mut self, shape: Shape) -> BuildManifest {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() <= 64 && name.chars().all(is_plain)
        };
        if !is_name(&shape.name) {
            let hint = "letters, digits, `-` and `_`, starting with a letter, since it names a crate and a binary";
            self.add(
                &Path::default().key("name"),
                format!("`{}` cannot name a distribution", shape.name),
                Some(hint),
            );
        }
        let list = Path::default().key("crates");
        if shape.crates.is_empty() {
            self.add(&list, "must name a crate at least", None);
        }
        let mut crates: Vec<ManifestCrate> = Vec::new();
        for (index, entry) in shape.crates.into_iter().enumerate() {
            let path = list.clone().index(index);
            if !is_name(&entry.name) {
                let message = format!("`{}` is not a package name", entry.name);
                self.add(
                    &path.clone().key("name"),
                    message,
                    Some("such as `puna-provider-example`"),
                );
            }
            if crates.iter().any(|other| other.name == entry.name) {
                self.add(
                    &path.clone().key("name"),
                    format!("the crate `{}` is listed twice", entry.name),
                    None,
                );
            }
            let source = self.source(&entry, &path);
            crates.push(ManifestCrate {
                name: entry.name,
                source,
                features: entry.features,
                default_features: entry.default_features.unwrap_or(true),
            });
        }
        for (feature, enables) in &shape.features {
            for (index, enabled) in enables.iter().enumerate() {
                let package = enabled
                    .split_once('/')
                    .map(|(package, _)| package.trim_end_matches('?'));
                let path = Path::default().key("features").key(feature).index(index);
                match package {
                    Some(package) if crates.iter().any(|entry| entry.name == package) => {}
                    Some(package) => self.add(&path, format!("there is no crate `{package}` above"), None),
                    None if shape.features.contains_key(enabled) => {}
                    None => {
                        let hint = "write `crate/feature`, such as `puna-provider-example/cuda`";
                        self.add(&path, format!("`{enabled}` is not a feature of this file"), Some(hint));
                    }
                }
            }
        }
        BuildManifest {
            name: shape.name,
            description: shape.description,
            crates,
            features: shape.features,
        }
    }

    fn source(&mut self, entry: &CrateShape, path: &Path) -> CrateSource {
        let references = [("rev", &entry.rev), ("tag", &entry.tag), ("branch", &entry.branch)];
        let given: Vec<(&str, &String)> = references
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?)))
            .collect();
        if let ([(key, _), ..], None) = (given.as_slice(), &entry.git) {
            self.add(&path.clone().key(key), format!("`{key}` needs `git`"), None);
        }
        if let [_, (key, _), ..] = given.as_slice() {
            self.add(
                &path.clone().key(key),
                "only one of `rev`, `tag` and `branch` may stand here",
                None,
            );
        }
        match (&entry.version, &entry.path, &entry.git) {
            (Some(version), None, None) => CrateSource::Version(version.clone()),
            (None, Some(folder), None) => CrateSource::Path(PathBuf::from(folder)),
            (None, None, Some(url)) => CrateSource::Git {
                url: url.clone(),
                reference: given.first().map(|(key, value)| match *key {
                    "rev" => GitReference::Rev((*value).clone()),
                    "tag" => GitReference::Tag((*value).clone()),
                    _ => GitReference::Branch((*value).clone()),
                }),
            },
            (version, folder, git) => {
                let count = [version, folder, git].into_iter().flatten().count();
                let message = match count {
                    0 => format!("the crate `{}` comes from nowhere", entry.name),
                    _ => format!("the crate `{}` comes from several places", entry.name),
                };
                self.add(path, message, Some("give one of `version`, `path` and `git`"));
                CrateSource::Version(String::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BuildManifest, String> {
        BuildManifest::read(&Source::Text {
            name: "build.yaml".to_owned(),
            text: text.to_owned(),
        })
        .map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_manifest_lists_crates_from_anywhere() {
        let manifest = read(
            "name: starter\n\
             description: everything\n\
             crates:\n\
             - { name: puna-provider-example, path: ../../providers/example }\n\
             - { name: mine, version: '0.1', features: [fast], default_features: false }\n\
             - { name: theirs, git: 'https://example.com/theirs', tag: v1 }\n\
             features:\n  cuda: [mine/cuda]\n",
        )
        .unwrap();
        assert_eq!(manifest.name, "starter");
        assert_eq!(
            manifest.crates[0].source,
            CrateSource::Path("../../providers/example".into())
        );
        assert_eq!(
            manifest.crates[1],
            ManifestCrate {
                name: "mine".to_owned(),
                source: CrateSource::Version("0.1".to_owned()),
                features: vec!["fast".to_owned()],
                default_features: false
            }
        );
        let reference = Some(GitReference::Tag("v1".to_owned()));
        assert_eq!(
            manifest.crates[2].source,
            CrateSource::Git {
                url: "https://example.com/theirs".to_owned(),
                reference
            }
        );
        assert_eq!(manifest.features["cuda"], ["mine/cuda"]);
    }

    #[test]
    fn every_mistake_in_a_manifest_is_reported() {
        let problems = read(
            "name: 9lives\n\
             crates:\n\
             - { name: a, version: '1', path: x }\n\
             - { name: a }\n\
             - { name: b, rev: abc, feature: [x] }\n\
             - { name: c, git: u, rev: a, tag: b }\n\
             features:\n  cuda: [z/cuda, fast]\n",
        )
        .unwrap_err();
        insta::assert_snapshot!(problems, @r"
        build.yaml:1:7 name: `9lives` cannot name a distribution (letters, digits, `-` and `_`, starting with a letter, since it names a crate and a binary)
        build.yaml:3:3 crates[0]: the crate `a` comes from several places (give one of `version`, `path` and `git`)
        build.yaml:4:3 crates[1]: the crate `a` comes from nowhere (give one of `version`, `path` and `git`)
        build.yaml:4:11 crates[1].name: the crate `a` is listed twice
        build.yaml:5:3 crates[2]: the crate `b` comes from nowhere (give one of `version`, `path` and `git`)
        build.yaml:5:19 crates[2].rev: `rev` needs `git`
        build.yaml:5:24 crates[2].feature: unknown key (did you mean `features`?)
        build.yaml:6:35 crates[3].tag: only one of `rev`, `tag` and `branch` may stand here
        build.yaml:8:10 features.cuda[0]: there is no crate `z` above
        build.yaml:8:18 features.cuda[1]: `fast` is not a feature of this file (write `crate/feature`, such as `puna-provider-example/cuda`)
        ");
    }
}
