//! A file on its way in.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilePurpose;
use crate::{BoxStream, Error, Result};

/// A file on its way in. Its bytes may come before what is known of it, because a form can have its fields in any order.
pub struct FileUpload {
    /// The bytes, whose number is bounded by whoever made this. A fault ends them early, and the file is not kept.
    pub content: BoxStream<Result<Bytes>>,
    /// What else there is to know; resolves at the latest when `content` has been read to its end.
    pub details: BoxFuture<'static, Result<FileDetails>>,
}

/// What is known of a file on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDetails {
    /// Its name. Any text of 1 to 1024 bytes without control characters.
    pub filename: String,
    /// What it is for.
    pub purpose: FilePurpose,
    /// When it goes; by default as its provider and its purpose have it.
    pub expires_after: Option<ExpiresAfter>,
}

/// When a file goes. Wire shape: `FileExpirationAfter` of OpenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpiresAfter {
    /// What the time counts from.
    pub anchor: ExpiryAnchor,
    /// The time, in seconds: an hour to 30 days.
    #[schemars(range(min = 3600, max = 2_592_000))]
    pub seconds: u32,
}

/// What the time of a file counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryAnchor {
    /// Its upload.
    CreatedAt,
}

impl FileUpload {
    /// An upload of which everything is known.
    pub fn new(details: FileDetails, content: BoxStream<Result<Bytes>>) -> Self {
        Self {
            content,
            details: futures::future::ready(Ok(details)).boxed(),
        }
    }
}

impl FileDetails {
    /// The longest name, in bytes.
    const LONGEST_NAME: usize = 1024;

    /// Checks what types alone cannot say. Fails as an invalid request that names the field.
    pub fn check(&self) -> Result<()> {
        let name = &self.filename;
        if name.is_empty() || name.len() > Self::LONGEST_NAME || name.chars().any(char::is_control) {
            let longest = Self::LONGEST_NAME;
            let message = format!("the file's name must have 1 to {longest} bytes and no control characters");
            return Err(Error::invalid_request(message).with_param("file"));
        }
        self.expires_after.as_ref().map_or(Ok(()), ExpiresAfter::check)
    }
}

impl ExpiresAfter {
    /// The shortest time.
    pub const SHORTEST: Duration = Duration::from_secs(3600);
    /// The longest time.
    pub const LONGEST: Duration = Duration::from_secs(2_592_000);

    fn check(&self) -> Result<()> {
        let seconds = Duration::from_secs(self.seconds.into());
        if (Self::SHORTEST..=Self::LONGEST).contains(&seconds) {
            return Ok(());
        }
        let message = format!(
            "`expires_after.seconds` must be {} to {}, not {}",
            Self::SHORTEST.as_secs(),
            Self::LONGEST.as_secs(),
            self.seconds
        );
        Err(Error::invalid_request(message).with_param("expires_after.seconds"))
    }
}

impl fmt::Debug for FileUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileUpload").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_in_the_details_is_named() {
        let details = |filename: &str, seconds: Option<u32>| FileDetails {
            filename: filename.to_owned(),
            purpose: FilePurpose::UserData,
            expires_after: seconds.map(|seconds| ExpiresAfter {
                anchor: ExpiryAnchor::CreatedAt,
                seconds,
            }),
        };
        for (details, param) in [
            (details("../../etc/passwd", None), None),
            (details("ä b.pdf", Some(3600)), None),
            (details("a", Some(2_592_000)), None),
            (details("", None), Some("file")),
            (details("a\nb", None), Some("file")),
            (details(&"x".repeat(1025), None), Some("file")),
            (details("a", Some(3599)), Some("expires_after.seconds")),
            (details("a", Some(2_592_001)), Some("expires_after.seconds")),
        ] {
            let refused = details.check().err();
            assert_eq!(refused.as_ref().and_then(Error::param), param, "{details:?}");
        }
    }
}
