//! Files at the upstream, with what is known of them in a table here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::StreamExt;
use puna_api::{
    BoxStream, ByteRange, Error, ErrorKind, File, FileContent, FileDetails, FileList, FilePurpose, FileQuery,
    FileUpload, Files, Host, RequestContext, Result,
};
use puna_openai::{FilesUpstream, OutgoingFile, UpstreamFile};
use puna_storage::{BlobInfo, BlobKey, BlobStore, LocalBlobs, SqlReference, Storage};
use tokio::sync::OnceCell;
use uuid::Uuid;

use table::{FileTable, Going, Sending, Stored};

mod sweep;
mod table;

/// How long an upload counts as alive without a sign of life.
const LEASE: Duration = Duration::from_secs(300);
/// How often an upload gives a sign of life.
const BEAT: Duration = Duration::from_secs(60);
/// What the table is called by default, as in the original.
const TABLE: &str = "openai_files_metadata";

/// What [`OpenAiFiles`] is made of.
pub(crate) struct FilesParts {
    pub(crate) provider_id: String,
    pub(crate) upstream: FilesUpstream,
    pub(crate) storage: Arc<Storage>,
    pub(crate) metadata: Option<SqlReference>,
    /// The folder for the bytes of uploads on their way, and for copies.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) keeps_copies: bool,
    pub(crate) host: Host,
}

/// Files at the upstream. Nothing is opened or called before it is needed.
pub(crate) struct OpenAiFiles {
    parts: FilesParts,
    opened: OnceCell<Opened>,
    /// Seconds since 1970.
    clock: fn() -> u64,
}

struct Opened {
    table: FileTable,
    blobs: LocalBlobs,
}

impl OpenAiFiles {
    pub(crate) fn new(parts: FilesParts) -> Self {
        Self {
            parts,
            opened: OnceCell::new(),
            clock: || {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs())
            },
        }
    }

    fn now(&self) -> u64 {
        (self.clock)()
    }

    async fn opened(&self) -> Result<&Opened> {
        let open = async || {
            let (database, table) = self.parts.storage.sql(&self.metadata(), TABLE).await?;
            let folder = match &self.parts.folder {
                Some(folder) => folder.clone(),
                None => self.parts.host.data_dir()?.join("files"),
            };
            Ok(Opened {
                table: FileTable::open(database, table).await?,
                blobs: LocalBlobs::open(folder).await?,
            })
        };
        self.opened.get_or_try_init(open).await
    }

    /// Whether a file may ever have been kept, told without opening anything.
    fn may_hold(&self) -> Result<bool> {
        Ok(self.opened.initialized() || self.parts.storage.may_hold_sql(&self.metadata())?)
    }

    fn metadata(&self) -> SqlReference {
        self.parts.metadata.clone().unwrap_or(SqlReference {
            backend: None,
            table_name: None,
        })
    }

    /// Does a part of an upload, with a sign of life now and then.
    async fn alive<T>(&self, opened: &Opened, blob: &BlobKey, work: impl Future<Output = T>) -> T {
        let living = async {
            loop {
                tokio::time::sleep(BEAT).await;
                if let Err(error) = opened.table.touch(blob, self.now()).await {
                    tracing::warn!(error = ?error, "failed to renew an upload; trying again");
                }
            }
        };
        tokio::select! {
            done = work => done,
            never = living => never,
        }
    }

    /// Takes the bytes in.
    async fn take_in(opened: &Opened, blob: &BlobKey, upload: FileUpload) -> Result<(BlobInfo, FileDetails)> {
        // Whoever made the content bounded it.
        let written = opened.blobs.put(blob, upload.content, u64::MAX).await?;
        let details = upload.details.await?;
        details.check()?;
        Ok((written, details))
    }

    /// Hands the bytes to the upstream, once.
    async fn send(&self, context: &RequestContext, opened: &Opened, sending: &Sending) -> Result<UpstreamFile> {
        let Sending { blob, details, .. } = sending;
        let outgoing = OutgoingFile {
            filename: &details.filename,
            purpose: purpose_upstream(details.purpose),
            expires_after: details.expires_after,
            size: sending.bytes,
            content: opened.blobs.get(blob, None).await?.content,
        };
        let upload = self.parts.upstream.upload(outgoing, context.deadline());
        let kept = match self.alive(opened, blob, upload).await {
            Ok(kept) => kept,
            Err(failure) if failure.may_have_arrived => {
                // The row stays: the sweep asks the upstream what became of it.
                let message = format!(
                    "{}; whether the file arrived is not known, and if it did, it is in the list within a quarter of an hour",
                    failure.error.message()
                );
                return Err(Error::new(failure.error.kind(), message)
                    .with_code("upload_outcome_unknown")
                    .with_source(failure.error));
            }
            Err(failure) => {
                self.take_back(opened, blob, None).await;
                return Err(failure.error);
            }
        };
        if kept.bytes != sending.bytes {
            self.take_back(opened, blob, Some(&kept.id)).await;
            let (id, sent) = (&self.parts.provider_id, sending.bytes);
            let message = format!("provider `{id}` kept {} of the file's {sent} bytes", kept.bytes);
            return Err(Error::unavailable(message));
        }
        Ok(kept)
    }

    /// Takes back an upload that came to nothing; what cannot be taken back now is left to the sweep.
    async fn take_back(&self, opened: &Opened, blob: &BlobKey, id: Option<&str>) {
        let taken = async {
            opened.table.discard(blob, id).await?;
            let going = Going {
                blob: blob.clone(),
                id: id.map(str::to_owned),
            };
            self.clear(opened, &going).await
        };
        if let Err(error) = taken.await {
            tracing::warn!(error = ?error, "failed to take an upload back; trying again later");
        }
    }

    /// Takes away everything of a row that is going, first at the upstream. That it is gone there already is as good.
    async fn clear(&self, opened: &Opened, going: &Going) -> Result<()> {
        if let Some(id) = &going.id {
            self.parts.upstream.delete(id).await?;
        }
        opened.blobs.delete(&going.blob).await?;
        opened.table.bury(&going.blob, self.now()).await
    }

    /// Whether the bytes of files for this purpose stay here too.
    fn keeps_copy(&self, purpose: FilePurpose) -> bool {
        self.parts.keeps_copies && !is_given_back(purpose)
    }

    async fn let_bytes_go(opened: &Opened, blob: &BlobKey) -> Result<()> {
        opened.blobs.delete(blob).await?;
        opened.table.left(blob).await
    }

    async fn find(&self, id: &str) -> Result<(&Opened, Stored)> {
        let not_found = || not_found(id);
        if !is_text(id) || !self.may_hold()? {
            return Err(not_found());
        }
        let opened = self.opened().await?;
        let stored = opened.table.get(id, self.now()).await?.ok_or_else(not_found)?;
        Ok((opened, stored))
    }

    /// A file's bytes as the upstream has them.
    async fn fetch(
        &self,
        context: &RequestContext,
        file: &File,
        range: std::ops::Range<u64>,
    ) -> Result<BoxStream<Result<bytes::Bytes>>> {
        let fetched = self
            .parts
            .upstream
            .content(&file.id, range, file.bytes, context.deadline());
        fetched.await.map_err(|error| {
            let (provider, id, purpose) = (&self.parts.provider_id, &file.id, file.purpose.name());
            match error.kind() {
                ErrorKind::NotFound => {
                    let message = format!("provider `{provider}` has no file `{id}` any more");
                    Error::not_found(message).with_param("file_id").with_source(error)
                }
                ErrorKind::InvalidRequest => {
                    let message = format!(
                        "provider `{provider}` does not give back the bytes of the file `{id}`, whose purpose is `{purpose}`: {}; \
                         this server has no copy of them, which it keeps of files that are uploaded while `keep_copies` is on",
                        error.message()
                    );
                    Error::new(ErrorKind::Unsupported, message)
                        .with_param("file_id")
                        .with_source(error)
                }
                _ => error,
            }
        })
    }
}

#[async_trait]
impl Files for OpenAiFiles {
    async fn upload(&self, context: &RequestContext, upload: FileUpload) -> Result<File> {
        let opened = self.opened().await?;
        let blob = BlobKey::new(Uuid::new_v4().simple().to_string())?;
        opened.table.begin(&blob, self.now()).await?;
        let taken = Self::take_in(opened, &blob, upload);
        let (written, details) = match self.alive(opened, &blob, taken).await {
            Ok(taken) => taken,
            Err(error) => {
                self.take_back(opened, &blob, None).await;
                return Err(error);
            }
        };
        let now = self.now();
        let sending = Sending {
            blob,
            details,
            bytes: written.size,
            sent_at: now,
            touched_at: now,
        };
        let blob = &sending.blob;
        let cut_off = || Error::unavailable("the upload was taken for one that had been cut off; try again");
        if !opened.table.send(&sending).await? {
            opened.blobs.delete(blob).await?;
            return Err(cut_off());
        }
        let file = sending.file(&self.send(context, opened, &sending).await?);
        let keeps_copy = self.keeps_copy(file.purpose);
        match opened.table.publish(blob, &file, keeps_copy, self.now()).await {
            Ok(true) => {}
            // A sweep that took this for cut off may have found the file at the upstream already.
            Ok(false) if opened.table.knows(&file.id).await? => {}
            Ok(false) => {
                self.parts.upstream.delete(&file.id).await?;
                return Err(cut_off());
            }
            Err(error) => {
                self.take_back(opened, blob, Some(&file.id)).await;
                return Err(error);
            }
        }
        if !keeps_copy && let Err(error) = Self::let_bytes_go(opened, blob).await {
            tracing::warn!(error = ?error, file = file.id, "failed to take the bytes of an upload away; trying again later");
        }
        Ok(file)
    }

    async fn list(&self, _context: &RequestContext, query: FileQuery) -> Result<FileList> {
        let unknown = |after: &str| {
            let shown: String = after.chars().take(100).collect();
            let message = format!("`after` must be the id of a file, such as the `last_id` of a list, not `{shown}`");
            Error::invalid_request(message).with_param("after")
        };
        if let Some(after) = query.after.as_deref().filter(|after| !is_text(after)) {
            return Err(unknown(after));
        }
        let found = match self.may_hold()? {
            true => self.opened().await?.table.list(&query, self.now()).await?,
            false => query.after.is_none().then(FileList::default),
        };
        found.ok_or_else(|| unknown(query.after.as_deref().unwrap_or_default()))
    }

    async fn get(&self, _context: &RequestContext, id: &str) -> Result<File> {
        Ok(self.find(id).await?.1.file)
    }

    async fn content(&self, context: &RequestContext, id: &str, range: Option<ByteRange>) -> Result<FileContent> {
        let (opened, Stored { file, blob, has_copy }) = self.find(id).await?;
        let range = range.map_or(Ok(0..file.bytes), |range| range.of(file.bytes))?;
        if range.is_empty() {
            let content = futures::stream::empty().boxed();
            return Ok(FileContent { file, range, content });
        }
        let copy = match has_copy {
            true => match opened.blobs.get(&blob, Some(range.clone())).await {
                Ok(copy) => Some(copy.content),
                // It lies with another server, which shares the table and not the folder.
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            },
            false => None,
        };
        let content = match copy {
            Some(content) => content,
            None => self.fetch(context, &file, range.clone()).await?,
        };
        Ok(FileContent { file, range, content })
    }

    async fn delete(&self, _context: &RequestContext, id: &str) -> Result<()> {
        if !is_text(id) || !self.may_hold()? {
            return Err(not_found(id));
        }
        let opened = self.opened().await?;
        let going = opened.table.mark(id, self.now()).await?.ok_or_else(|| not_found(id))?;
        // From here on the file is gone, and what cannot be taken away now is left to the sweep.
        if let Err(error) = self.clear(opened, &going).await {
            tracing::warn!(error = ?error, file = id, "failed to delete a file at its provider; trying again later");
        }
        Ok(())
    }
}

/// The purpose to upload for: OpenAI takes no uploads for those that it makes itself.
fn purpose_upstream(purpose: FilePurpose) -> FilePurpose {
    match purpose.is_for_uploads() {
        true => purpose,
        false => FilePurpose::UserData,
    }
}

/// Whether OpenAI gives back the bytes of files for this purpose.
fn is_given_back(purpose: FilePurpose) -> bool {
    matches!(purpose, FilePurpose::Batch | FilePurpose::FineTune)
}

/// Whether a text can be asked for at all: PostgreSQL takes no zero character.
fn is_text(id: &str) -> bool {
    !id.is_empty() && id.len() <= 200 && !id.contains('\0')
}

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(100).collect();
    Error::not_found(format!("there is no file `{shown}`")).with_param("file_id")
}

#[cfg(test)]
mod tests;
