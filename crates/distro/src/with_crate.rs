//! The argument of `--with`.

use std::path::PathBuf;
use std::str::FromStr;

use crate::{CrateSource, ProviderCrate};

/// A provider crate named on the command line: `NAME`, `NAME@VERSION`, `NAME=PATH` or `NAME@VERSION=PATH`.
///
/// Without a path the crate comes from the registry, in the newest version when none is named. With a path it is the crate in
/// that folder, and a version beside it must be the one that the folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithCrate {
    /// The package's name.
    pub name: String,
    /// A version requirement as Cargo writes it, such as `1.2` or `=1.2.3`.
    pub version: Option<String>,
    /// The crate's folder.
    pub path: Option<PathBuf>,
}

impl FromStr for WithCrate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (head, path) = match text.split_once('=') {
            // `name@=1.2.3` asks for one exact version; that first `=` belongs to the requirement.
            Some((head, rest)) if head.ends_with('@') => match rest.split_once('=') {
                Some((version, path)) => (format!("{head}={version}"), Some(path)),
                None => (format!("{head}={rest}"), None),
            },
            Some((head, path)) => (head.to_owned(), Some(path)),
            None => (text.to_owned(), None),
        };
        let (name, version) = match head.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (head.as_str(), None),
        };
        let form =
            "the form is `crate[@version][=path]`, such as `acme-provider@1.2` or `acme-provider=../acme-provider`";
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        {
            return Err(format!("`{name}` is no crate name; {form}"));
        }
        if version.is_some_and(str::is_empty) {
            return Err(format!("there is no version after `@`; {form}"));
        }
        if path.is_some_and(str::is_empty) {
            return Err(format!("there is no path after `=`; {form}"));
        }
        Ok(Self {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            path: path.map(PathBuf::from),
        })
    }
}

impl From<WithCrate> for ProviderCrate {
    fn from(with: WithCrate) -> Self {
        let source = match (with.version, with.path) {
            (version, Some(path)) => CrateSource::Path { path, version },
            (Some(version), None) => CrateSource::Registry { version },
            (None, None) => CrateSource::Registry {
                version: "*".to_owned(),
            },
        };
        Self {
            name: with.name,
            source,
            features: Vec::new(),
            default_features: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_argument_is_read() {
        for (text, name, version, path) in [
            ("acme", "acme", None, None),
            ("acme@1.2", "acme", Some("1.2"), None),
            ("acme@=1.2.3", "acme", Some("=1.2.3"), None),
            ("acme=../acme", "acme", None, Some("../acme")),
            ("acme@1.2=../acme", "acme", Some("1.2"), Some("../acme")),
            ("acme@=1.2.3=../acme", "acme", Some("=1.2.3"), Some("../acme")),
            ("acme=/odd=name", "acme", None, Some("/odd=name")),
        ] {
            let with: WithCrate = text.parse().unwrap();
            assert_eq!((with.name.as_str(), with.version.as_deref()), (name, version), "{text}");
            assert_eq!(with.path, path.map(PathBuf::from), "{text}");
        }
    }

    #[test]
    fn a_malformed_argument_says_what_is_wrong() {
        for (text, message) in [
            ("", "`` is no crate name"),
            ("@1", "`` is no crate name"),
            ("a b", "`a b` is no crate name"),
            ("acme@", "no version after `@`"),
            ("acme=", "no path after `=`"),
        ] {
            let error = text.parse::<WithCrate>().unwrap_err();
            assert!(
                error.contains(message) && error.contains("crate[@version][=path]"),
                "{text}: {error}"
            );
        }
    }
}
