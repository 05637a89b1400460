//! Content on its way in: counted, bounded, and digested.

use bytes::Bytes;
use futures::StreamExt;
use puna_api::{BoxStream, Error, Result};
use ring::digest::{Context, SHA256};

use super::BlobInfo;

/// Content that is not longer than a bound.
pub(super) struct Incoming {
    content: BoxStream<Result<Bytes>>,
    limit: u64,
    size: u64,
    digest: Context,
}

impl Incoming {
    pub(super) fn new(content: BoxStream<Result<Bytes>>, limit: u64) -> Self {
        Self {
            content,
            limit,
            size: 0,
            digest: Context::new(&SHA256),
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(piece) = self.content.next().await.transpose()? else {
            return Ok(None);
        };
        self.size += piece.len() as u64;
        if self.size > self.limit {
            return Err(Error::too_large(format!(
                "the content is longer than the {} bytes that are taken",
                self.limit
            )));
        }
        self.digest.update(&piece);
        Ok(Some(piece))
    }

    /// What came, after the last piece.
    pub(super) fn finish(self) -> BlobInfo {
        BlobInfo {
            size: self.size,
            sha256: hex::encode(self.digest.finish()),
        }
    }
}
