//! Blobs: bytes of any length under a key.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use puna_api::{BoxStream, Result};

mod incoming;
mod key;
mod local;
mod s3;

pub use key::BlobKey;
pub use local::LocalBlobs;
pub use s3::{S3Blobs, S3Settings};

/// Bytes under keys, on a disk or in an object store.
///
/// # Behavior
/// - A blob appears whole or not at all, whatever happens to the writer; what `put` has acknowledged is there after a crash.
/// - `put` never holds more than a few pieces of the content in memory. It replaces what the key had.
/// - A content that is longer than `limit`, and one that fails, leaves nothing behind.
/// - `get` answers the bytes of a range piece by piece; a key that is not there is not found.
/// - `delete` says whether there was something; afterwards there is nothing, also after a crash.
/// - `list` walks through the keys of a prefix in order.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Writes a blob of at most `limit` bytes. Fails as too large beyond.
    async fn put(&self, key: &BlobKey, content: BoxStream<Result<Bytes>>, limit: u64) -> Result<BlobInfo>;

    /// The bytes of a blob; with a range, those of them that are there, counted from 0.
    async fn get(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Blob>;

    /// The size of a blob in bytes, if there is one.
    async fn size(&self, key: &BlobKey) -> Result<Option<u64>>;

    /// Takes a blob away, and says whether it was there.
    async fn delete(&self, key: &BlobKey) -> Result<bool>;

    /// The keys that start with these segments (all keys, without any) and come after `after`, at most `limit` of them.
    async fn list(&self, prefix: Option<&BlobKey>, after: Option<&BlobKey>, limit: usize) -> Result<BlobPage>;
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
}

/// What is read.
pub struct Blob {
    /// The size of the whole blob in bytes, whatever part of it is read.
    pub size: u64,
    /// The bytes.
    pub content: BoxStream<Result<Bytes>>,
}

/// Some keys, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobPage {
    /// The keys.
    pub keys: Vec<BlobKey>,
    /// Whether there are more after them.
    pub has_more: bool,
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blob").field("size", &self.size).finish_non_exhaustive()
    }
}
