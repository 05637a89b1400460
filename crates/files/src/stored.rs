//! Files over tables and blobs.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::BoxFuture;
use puna_api::{
    ByteRange, Error, File, FileContent, FileDetails, FileList, FileObject, FilePurpose, FileQuery, FileStatus,
    FileUpload, Files, RequestContext, Result,
};
use puna_storage::{BlobInfo, BlobKey, BlobStore, SqlReference, Storage};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::table::{FileTable, Stored};

/// How long an upload counts as alive without a sign of life.
pub(crate) const LEASE: Duration = Duration::from_secs(300);
/// How often an upload gives a sign of life.
const BEAT: Duration = Duration::from_secs(60);
/// How long the requests of a batch are kept unless the upload says otherwise, as OpenAI has it.
const BATCH_TTL: Duration = Duration::from_secs(30 * 86400);
/// What the table is called by default, as in the original.
const TABLE: &str = "files_metadata";

/// Opens the store of the bytes, once, when the first file comes or is asked for.
pub type OpenBlobs = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn BlobStore>>> + Send + Sync>;

/// Where files are kept, and for how long.
pub struct StoredFilesSettings {
    /// The server's storage.
    pub storage: Arc<Storage>,
    /// The table in it; `files_metadata` of the default backend when nothing is said.
    pub metadata: Option<SqlReference>,
    /// The bytes.
    pub blobs: OpenBlobs,
    /// How long a file is kept whose upload does not say it. By default the requests of batches for 30 days, and others until they are deleted.
    pub ttl: Option<Duration>,
}

/// Files as rows of a table and blobs of a store. Nothing is opened before it is needed.
pub struct StoredFiles {
    settings: StoredFilesSettings,
    parts: OnceCell<Parts>,
    /// Seconds since 1970.
    clock: fn() -> u64,
}

pub(crate) struct Parts {
    pub(crate) table: FileTable,
    pub(crate) blobs: Arc<dyn BlobStore>,
}

impl StoredFiles {
    /// Files kept as the settings say.
    pub fn new(settings: StoredFilesSettings) -> Self {
        Self {
            settings,
            parts: OnceCell::new(),
            clock: || {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs())
            },
        }
    }

    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
    }

    pub(crate) async fn parts(&self) -> Result<&Parts> {
        let open = async || {
            let metadata = self.metadata();
            let (database, table) = self.settings.storage.sql(&metadata, TABLE).await?;
            Ok(Parts {
                table: FileTable::open(database, table).await?,
                blobs: (self.settings.blobs)().await?,
            })
        };
        self.parts.get_or_try_init(open).await
    }

    /// Whether a file may ever have been kept, told without opening anything.
    pub(crate) fn may_hold(&self) -> Result<bool> {
        Ok(self.parts.initialized() || self.settings.storage.may_hold_sql(&self.metadata())?)
    }

    fn metadata(&self) -> SqlReference {
        self.settings.metadata.clone().unwrap_or(SqlReference {
            backend: None,
            table_name: None,
        })
    }

    /// Takes the bytes in, with a sign of life now and then.
    async fn take_in(&self, parts: &Parts, blob: &BlobKey, upload: FileUpload) -> Result<(BlobInfo, FileDetails)> {
        let living = async {
            loop {
                tokio::time::sleep(BEAT).await;
                if let Err(error) = parts.table.touch(blob, self.now()).await {
                    tracing::warn!(error = ?error, "failed to renew an upload; trying again");
                }
            }
        };
        let written = tokio::select! {
            // Whoever made the content bounded it.
            written = parts.blobs.put(blob, upload.content, u64::MAX) => written?,
            () = living => return Err(Error::internal("signs of life never end")),
        };
        let details = upload.details.await?;
        details.check()?;
        Ok((written, details))
    }

    fn expires_at(&self, details: &FileDetails, created_at: u64) -> Option<u64> {
        let seconds = match (details.expires_after, self.settings.ttl, details.purpose) {
            (Some(expires_after), ..) => u64::from(expires_after.seconds),
            (None, Some(ttl), _) => ttl.as_secs(),
            (None, None, FilePurpose::Batch) => BATCH_TTL.as_secs(),
            (None, None, _) => return None,
        };
        Some(created_at.saturating_add(seconds))
    }

    async fn find(&self, id: &str) -> Result<(&Parts, Stored)> {
        let not_found = || not_found(id);
        if !is_id(id) || !self.may_hold()? {
            return Err(not_found());
        }
        let parts = self.parts().await?;
        let stored = parts.table.get(id, self.now()).await?.ok_or_else(not_found)?;
        Ok((parts, stored))
    }
}

#[async_trait]
impl Files for StoredFiles {
    async fn upload(&self, _context: &RequestContext, upload: FileUpload) -> Result<File> {
        let parts = self.parts().await?;
        let blob = BlobKey::new(Uuid::new_v4().simple().to_string())?;
        parts.table.begin(&blob, self.now()).await?;
        let (written, details) = match self.take_in(parts, &blob, upload).await {
            Ok(taken) => taken,
            Err(error) => {
                // What cannot be taken back now is left to the sweep.
                if parts.table.mark_incoming(&blob).await.is_ok() && parts.blobs.delete(&blob).await.is_ok() {
                    let _ = parts.table.forget(&blob).await;
                }
                return Err(error);
            }
        };
        let created_at = self.now();
        let file = File {
            id: format!("file-{}", Uuid::now_v7().simple()),
            object: FileObject::File,
            bytes: written.size,
            created_at,
            expires_at: self.expires_at(&details, created_at),
            filename: details.filename,
            purpose: details.purpose,
            status: FileStatus::Processed,
            status_details: None,
        };
        if parts.table.publish(&blob, &file, &written.sha256).await? {
            return Ok(file);
        }
        parts.blobs.delete(&blob).await?;
        Err(Error::unavailable(
            "the upload was taken for one that had been cut off; try again",
        ))
    }

    async fn list(&self, _context: &RequestContext, query: FileQuery) -> Result<FileList> {
        if let Some(after) = query.after.as_deref().filter(|after| !is_id(after)) {
            let shown: String = after.chars().take(100).collect();
            let message = format!("`after` must be the id of a file, such as the `last_id` of a list, not `{shown}`");
            return Err(Error::invalid_request(message).with_param("after"));
        }
        if !self.may_hold()? {
            return Ok(FileList::default());
        }
        self.parts().await?.table.list(&query, self.now()).await
    }

    async fn get(&self, _context: &RequestContext, id: &str) -> Result<File> {
        Ok(self.find(id).await?.1.file)
    }

    async fn content(&self, _context: &RequestContext, id: &str, range: Option<ByteRange>) -> Result<FileContent> {
        let (parts, Stored { file, blob }) = self.find(id).await?;
        let range = range.map_or(Ok(0..file.bytes), |range| range.of(file.bytes))?;
        let content = if range.is_empty() {
            futures::stream::empty().boxed()
        } else {
            let blob = parts.blobs.get(&blob, Some(range.clone())).await.map_err(|error| {
                // That the row is there and the blob is not is no mistake of the request.
                match error.kind() {
                    puna_api::ErrorKind::NotFound => {
                        Error::internal(format!("the bytes of the file `{id}` are gone")).with_source(error)
                    }
                    _ => error,
                }
            })?;
            blob.content
        };
        Ok(FileContent { file, range, content })
    }

    async fn delete(&self, _context: &RequestContext, id: &str) -> Result<()> {
        if !is_id(id) || !self.may_hold()? {
            return Err(not_found(id));
        }
        let parts = self.parts().await?;
        let blob = parts.table.mark(id, self.now()).await?.ok_or_else(|| not_found(id))?;
        // From here on the file is gone, and what cannot be taken away now is left to the sweep.
        let taken = async {
            parts.blobs.delete(&blob).await?;
            parts.table.forget(&blob).await
        };
        if let Err(error) = taken.await {
            tracing::warn!(error = ?error, file = id, "failed to take the bytes of a deleted file away; trying again later");
        }
        Ok(())
    }
}

/// Whether a text has the form of an id of ours.
fn is_id(id: &str) -> bool {
    id.strip_prefix("file-")
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(100).collect();
    Error::not_found(format!("there is no file `{shown}`")).with_param("file_id")
}

#[cfg(test)]
mod tests;
