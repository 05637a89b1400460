//! Names of models on the hub, and of the files in them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use puna_api::{Error, Result};

/// The branch that a name without a revision means.
const DEFAULT_REVISION: &str = "main";
/// The longest part of a name that the hub gives out.
const MAX_NAME: usize = 96;
/// The longest name of a file or a folder that file systems take.
const MAX_SEGMENT: usize = 255;

/// A model on the hub: `hf:ORG/NAME`, optionally with `@REVISION`, a branch, a tag or a commit. The oldest models have no `ORG/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelName {
    id: String,
    revision: Option<String>,
}

/// What a name begins with.
const SCHEME: &str = "hf:";

impl ModelName {
    /// The name that stands for a path in a configuration; `None` where it is an ordinary path. Fails where it begins as a name and is none.
    pub fn of_path(path: &Path) -> Result<Option<Self>> {
        let name = path.to_str().filter(|path| path.starts_with(SCHEME));
        name.map(str::parse).transpose()
    }

    /// `ORG/NAME`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The revision; `main` where none was given.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// Whether a revision was given.
    pub fn has_revision(&self) -> bool {
        self.revision.is_some()
    }

    /// The name of the model's folder in the cache.
    pub(crate) fn folder(&self) -> String {
        format!("models--{}", self.id.replace('/', "--"))
    }

    /// The model of a folder in the cache.
    pub(crate) fn from_folder(folder: &str) -> Option<Self> {
        let id = folder.strip_prefix("models--")?.replacen("--", "/", 1);
        format!("hf:{id}").parse().ok()
    }
}

impl FromStr for ModelName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(200).collect();
            Error::invalid_request(format!(
                "`{shown}` {why}; write `hf:ORG/NAME` or `hf:ORG/NAME@REVISION`"
            ))
        };
        let Some(rest) = text.strip_prefix(SCHEME) else {
            return Err(wrong("does not begin with `hf:`"));
        };
        let (id, revision) = match rest.split_once('@') {
            Some((id, revision)) => (id, Some(revision)),
            None => (rest, None),
        };
        let parts: Vec<_> = id.split('/').collect();
        if parts.len() > 2 || !parts.iter().all(|part| is_name(part)) {
            return Err(wrong("names no model of the hub"));
        }
        if revision.is_some_and(|revision| !is_revision(revision)) {
            return Err(wrong("names no revision"));
        }
        Ok(Self {
            id: id.to_owned(),
            revision: revision.map(str::to_owned),
        })
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf:{}", self.id)?;
        match &self.revision {
            Some(revision) => write!(f, "@{revision}"),
            None => Ok(()),
        }
    }
}

/// What the hub takes as an organisation or a model. `--` would make two folders' names alike.
fn is_name(part: &str) -> bool {
    (1..=MAX_NAME).contains(&part.len())
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !part.contains("--")
        && !part.contains("..")
}

/// A branch, a tag, `refs/pr/1`, or a commit; it becomes a path below `refs`.
pub(crate) fn is_revision(revision: &str) -> bool {
    revision.len() <= MAX_SEGMENT
        && revision.split('/').all(|segment| {
            !segment.is_empty()
                && !segment.starts_with(['-', '.'])
                && !segment.ends_with('.')
                && !segment.contains("..")
                && segment.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
        })
}

/// Whether a revision is a commit, which never changes.
pub(crate) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a file's name, which a stranger chose, is a path that stays in its folder.
pub(crate) fn is_safe_file(name: &str) -> bool {
    !name.is_empty()
        && name.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.len() <= MAX_SEGMENT
                && !segment.contains(['\\', ':'])
                && !segment.chars().any(char::is_control)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_shown_alike() {
        for (text, id, revision, folder) in [
            (
                "hf:Qwen/Qwen3-0.6B",
                "Qwen/Qwen3-0.6B",
                "main",
                "models--Qwen--Qwen3-0.6B",
            ),
            ("hf:gpt2", "gpt2", "main", "models--gpt2"),
            ("hf:a/b@refs/pr/1", "a/b", "refs/pr/1", "models--a--b"),
            ("hf:a/b@v1.0+x", "a/b", "v1.0+x", "models--a--b"),
        ] {
            let name: ModelName = text.parse().unwrap();
            assert_eq!(
                (name.id(), name.revision(), name.folder().as_str()),
                (id, revision, folder)
            );
            assert_eq!(name.to_string(), text);
            assert_eq!(ModelName::from_folder(folder).unwrap().id(), id);
        }
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for text in [
            "Qwen/Qwen3",
            "hf:",
            "hf:/",
            "hf:a/",
            "hf:/b",
            "hf:a/b/c",
            "hf:../b",
            "hf:a/..",
            "hf:.a/b",
            "hf:a--b/c",
            "hf:a b/c",
            "hf:a/b@",
            "hf:a/b@../x",
            "hf:a/b@/x",
            "hf:a/b@x/",
            "hf:a/b@x..y",
            "hf:a/b@-x",
            "hf:a/b@.x",
            "hf:a/b@x?y",
            "hf:a/b@x\\y",
        ] {
            let error = text.parse::<ModelName>().unwrap_err();
            assert!(error.message().contains("hf:ORG/NAME"), "{text}: {error}");
        }
        assert_eq!(ModelName::from_folder("datasets--a--b"), None);
    }

    #[test]
    fn files_stay_in_their_folder() {
        for (name, safe) in [
            ("model.safetensors", true),
            ("a/b c/ü.json", true),
            ("..a/b..", true),
            ("", false),
            ("/etc/passwd", false),
            ("../x", false),
            ("a/../b", false),
            ("a//b", false),
            ("a/", false),
            ("./a", false),
            ("a\\..\\b", false),
            ("c:x", false),
            ("a\0b", false),
            ("a\nb", false),
        ] {
            assert_eq!(is_safe_file(name), safe, "{name:?}");
        }
        assert!(is_commit("0123456789abcdef0123456789abcdef01234567"));
        assert!(!is_commit("main"));
    }
}
