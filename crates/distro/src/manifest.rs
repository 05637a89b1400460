//! What goes into a distribution.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use puna_config::{BuildManifest, GitReference};

use crate::{Error, Result, Step};

/// A distribution as its `build.yaml` and the command line describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Its name, such as `starter`.
    pub name: String,
    /// The provider crates in its binary, in the order of the manifest.
    pub crates: Vec<ProviderCrate>,
    /// Features of the distribution, each with what it switches on: `crate/feature`, or another feature of the distribution.
    pub features: BTreeMap<String, Vec<String>>,
}

/// A crate that registers one provider with `puna_api::register_provider!`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderCrate {
    /// The package's name.
    pub name: String,
    /// Where it comes from.
    pub source: CrateSource,
    /// Its features to switch on.
    pub features: Vec<String>,
    /// Whether its default features stay on.
    pub default_features: bool,
}

/// Where a crate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrateSource {
    /// The registry.
    Registry {
        /// A version requirement as Cargo writes it.
        version: String,
    },
    /// A folder.
    Path {
        /// The folder.
        path: PathBuf,
        /// The version requirement that the folder's crate must meet.
        version: Option<String>,
    },
    /// A git repository.
    Git {
        /// Its address.
        url: String,
        /// What to take of it; the default branch when none.
        reference: Option<GitReference>,
    },
}

impl Distribution {
    /// Reads `build.yaml` in a distribution's folder. Relative paths in it start at the folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let manifest = BuildManifest::load(&folder.join("build.yaml"))
            .map_err(|problems| Error::new(Step::Read, problems.to_string()))?;
        let crates = manifest.crates.into_iter().map(|listed| ProviderCrate {
            name: listed.name,
            source: CrateSource::listed(listed.source, folder),
            features: listed.features,
            default_features: listed.default_features,
        });
        Ok(Self {
            name: manifest.name,
            crates: crates.collect(),
            features: manifest.features,
        })
    }

    /// What a feature switches on, as `crate/feature`; a feature that the distribution does not define switches on itself.
    pub(crate) fn expand(&self, feature: &str) -> Vec<String> {
        let (mut expanded, mut open, mut seen) = (Vec::new(), vec![feature], Vec::new());
        while let Some(feature) = open.pop() {
            match self.features.get(feature) {
                Some(enabled) if !seen.contains(&feature) => {
                    seen.push(feature);
                    open.extend(enabled.iter().rev().map(String::as_str));
                }
                Some(_) => {}
                None => expanded.push(feature.to_owned()),
            }
        }
        expanded
    }

    /// Adds the crates of `--with`; one that is listed keeps its features and comes from there, so that a local copy can stand in for it.
    pub(crate) fn add(&mut self, added: impl IntoIterator<Item = ProviderCrate>) {
        for added in added {
            match self.crates.iter_mut().find(|listed| listed.name == added.name) {
                Some(listed) => listed.source = added.source,
                None => self.crates.push(added),
            }
        }
    }
}

impl CrateSource {
    fn listed(source: puna_config::CrateSource, folder: &Path) -> Self {
        match source {
            puna_config::CrateSource::Version(version) => Self::Registry { version },
            puna_config::CrateSource::Path(path) => Self::Path {
                path: folder.join(path),
                version: None,
            },
            puna_config::CrateSource::Git { url, reference } => Self::Git { url, reference },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WithCrate;

    fn distribution(crates: Vec<ProviderCrate>, features: &[(&str, &[&str])]) -> Distribution {
        let features = features
            .iter()
            .map(|(name, enabled)| ((*name).to_owned(), enabled.iter().map(|it| (*it).to_owned()).collect()));
        Distribution {
            name: "x".to_owned(),
            crates,
            features: features.collect(),
        }
    }

    #[test]
    fn a_feature_of_the_distribution_stands_for_others() {
        let distribution = distribution(
            Vec::new(),
            &[("gpu", &["fast", "a/cuda"]), ("fast", &["a/fast", "gpu"])],
        );
        assert_eq!(distribution.expand("gpu"), ["a/fast", "a/cuda"]);
        assert_eq!(distribution.expand("metal"), ["metal"]);
    }

    #[test]
    fn a_manifest_is_read_and_its_mistakes_have_places() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("build.yaml");
        std::fs::write(
            &manifest,
            "name: x\ncrates:\n  - name: a\n    path: ../a\n  - name: b\n    version: \"1\"\n",
        )
        .unwrap();
        let read = Distribution::read(folder.path()).unwrap();
        assert_eq!(
            read.crates[0].source,
            CrateSource::Path {
                path: folder.path().join("../a"),
                version: None
            }
        );
        assert_eq!(read.crates[1], with("b@1"));

        std::fs::write(&manifest, "name: x\ncrates:\n  - nmae: a\n    path: ../a\n").unwrap();
        let error = Distribution::read(folder.path()).unwrap_err();
        assert_eq!(error.step(), Step::Read);
        assert!(error.message().contains("build.yaml:3:"), "{error}");
    }

    fn with(text: &str) -> ProviderCrate {
        text.parse::<WithCrate>().unwrap().into()
    }

    #[test]
    fn an_added_crate_replaces_the_listed_one_of_its_name() {
        let mut distribution = distribution(vec![with("a@1"), with("b@1")], &[]);
        distribution.add([with("a=../a"), with("c")]);
        assert_eq!(distribution.crates, [with("a=../a"), with("b@1"), with("c")]);
    }
}
