//! What a file must be, as the hub names it.

use std::fs::File;
use std::io::{self, Read};

use puna_api::{Error, Result};
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// The name of a file's content. Large files have their SHA-256, small ones the id of their git blob, which is a SHA-1 over the length and
/// the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checksum {
    Sha256(String),
    GitBlob(String),
}

/// Hashes a file as it comes. A git blob begins with its length, so that has to be known.
pub(crate) struct Hasher {
    context: Context,
}

/// Hashes what may be gigabytes on a thread of its own, so that other transfers go on meanwhile.
pub(crate) async fn hashing<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("a file could not be hashed").with_source(error))
}

impl Checksum {
    /// Reads an entity tag as the hub writes it, or an id from its listing. `None` for anything that cannot be checked.
    pub(crate) fn parse(tag: &str) -> Option<Self> {
        let tag = tag.trim().strip_prefix("W/").unwrap_or(tag.trim()).trim_matches('"');
        let is_hex = tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match tag.len() {
            64 if is_hex => Some(Self::Sha256(tag.to_owned())),
            40 if is_hex => Some(Self::GitBlob(tag.to_owned())),
            _ => None,
        }
    }

    /// The hexadecimal digits: also the name of the blob in the cache.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitBlob(digits) => digits,
        }
    }

    /// Starts to hash a file of this length.
    pub(crate) fn hasher(&self, bytes: u64) -> Hasher {
        let context = match self {
            Self::Sha256(_) => Context::new(&SHA256),
            Self::GitBlob(_) => {
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {bytes}\0").as_bytes());
                context
            }
        };
        Hasher { context }
    }

    /// Whether a file is what it must be.
    pub(crate) fn holds_for(&self, file: &mut File) -> io::Result<bool> {
        let mut hasher = self.hasher(file.metadata()?.len());
        hasher.read(file, u64::MAX)?;
        Ok(hasher.finish() == self.as_str())
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Hashes what a file holds from its position on, at most this much; how much it was.
    pub(crate) fn read(&mut self, file: &mut File, most: u64) -> io::Result<u64> {
        let mut buffer = vec![0; 1 << 20];
        let mut from = file.take(most);
        let mut read = 0;
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(read),
                count => {
                    self.update(&buffer[..count]);
                    read += count as u64;
                }
            }
        }
    }

    /// The hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.context.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_git_and_of_sha256sum() {
        // printf 'hello\n' | git hash-object --stdin; printf 'hello\n' | sha256sum
        for tag in [
            "\"ce013625030ba8dba906f756967f9e9ca394464a\"",
            "W/\"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\"",
        ] {
            let checksum = Checksum::parse(tag).unwrap();
            let mut hasher = checksum.hasher(6);
            hasher.update(b"hel");
            hasher.update(b"lo\n");
            assert_eq!(hasher.finish(), checksum.as_str());
        }
        for tag in [
            "",
            "\"abc\"",
            "\"../../../../../../../../../../../../../../x\"",
            "CE013625030ba8dba906f756967f9e9ca394464a",
        ] {
            assert_eq!(Checksum::parse(tag), None, "{tag}");
        }
    }
}
