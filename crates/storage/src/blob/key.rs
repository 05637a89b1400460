//! The names of blobs.

use std::fmt;

use puna_api::{Error, Result};

/// The longest key, in bytes.
const LONGEST: usize = 512;

/// The name of a blob: segments of letters of ASCII, digits, `-`, `_` and `.`, divided by `/`. None is empty or starts with a dot, so that a
/// key is a safe path too. Keys are made from ids, never from names that a request brings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey(String);

impl BlobKey {
    /// Fails as an invalid request when the text is no key.
    pub fn new(key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        let is_segment = |segment: &str| {
            !segment.is_empty()
                && !segment.starts_with('.')
                && segment
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if key.len() <= LONGEST && key.split('/').all(is_segment) {
            return Ok(Self(key));
        }
        let shown: String = key.chars().take(100).collect();
        Err(Error::invalid_request(format!("`{shown}` cannot be the key of a blob")))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether these are the first segments of this key, or all of them.
    pub(super) fn is_below(&self, prefix: &Self) -> bool {
        self.0
            .strip_prefix(&prefix.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_safe_path() {
        for key in ["a", "files/file-0a", "a/b.c/d_e"] {
            assert!(BlobKey::new(key).is_ok(), "{key}");
        }
        for key in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            ".a",
            "a/.b",
            "a b",
            "ä",
            "a\\b",
            "a\0",
            &"x".repeat(513),
        ] {
            assert!(BlobKey::new(key).is_err(), "{key}");
        }
        let key = |text: &str| BlobKey::new(text).unwrap();
        assert!(key("a/b").is_below(&key("a")) && !key("ab").is_below(&key("a")));
    }
}
