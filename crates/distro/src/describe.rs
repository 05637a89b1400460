//! What a built binary says it holds.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::cargo::capture;
use crate::{Error, Result, Step};

/// The answer of `puna describe --json`, as far as the builder needs it.
#[derive(Debug, Clone, Deserialize)]
pub struct Description {
    /// The providers in the binary, in the order of its table.
    pub providers: Vec<LinkedProvider>,
}

/// A provider in a binary.
#[derive(Debug, Clone, Deserialize)]
pub struct LinkedProvider {
    /// Its type, such as `remote::example`.
    pub provider_type: String,
    /// The crate that it comes from.
    #[serde(rename = "crate")]
    pub crate_name: String,
    /// That crate's version.
    #[serde(rename = "version")]
    pub crate_version: String,
}

impl Description {
    /// Asks a binary. It refuses when its table and its inventory disagree or two of its crates claim one type.
    pub(crate) fn of(binary: &Path) -> Result<Self> {
        let output = capture(Step::Describe, Command::new(binary).args(["describe", "--json"]))?;
        serde_json::from_slice(&output).map_err(|error| {
            Error::new(
                Step::Describe,
                format!("the binary described itself in an unknown form: {error}"),
            )
        })
    }

    /// Checks that the binary holds the providers of these crates, and no others.
    pub(crate) fn check(&self, crates: &BTreeSet<&str>) -> Result<()> {
        let held: BTreeSet<&str> = self
            .providers
            .iter()
            .map(|provider| provider.crate_name.as_str())
            .collect();
        if let Some(missing) = crates.difference(&held).next() {
            return Err(Error::new(
                Step::Describe,
                format!("the binary does not hold a provider of the crate {missing}"),
            ));
        }
        if let Some(surplus) = held.difference(crates).next() {
            return Err(Error::new(
                Step::Describe,
                format!("the binary holds a provider of the crate {surplus}, which the manifest does not list"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_must_hold_exactly_the_crates_of_its_manifest() {
        let description: Description =
            serde_json::from_str(r#"{"providers":[{"provider_type":"inline::a","crate":"a","version":"1.0.0"}]}"#)
                .unwrap();
        description.check(&BTreeSet::from(["a"])).unwrap();
        let missing = description.check(&BTreeSet::from(["a", "b"])).unwrap_err();
        assert_eq!(missing.message(), "the binary does not hold a provider of the crate b");
        let surplus = description.check(&BTreeSet::new()).unwrap_err();
        assert_eq!(
            surplus.message(),
            "the binary holds a provider of the crate a, which the manifest does not list"
        );
    }
}
