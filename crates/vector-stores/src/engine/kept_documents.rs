//! Documents whose bytes the engine keeps: put in, replaced, read and taken out.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use puna_api::{Error, ErrorKind, ProcessFile, RequestContext, Result};
use puna_storage::Transaction;

use super::{VectorStores, expired, ingestion, new_id, now, removal, shown};
use crate::kept::attributes_of;
use crate::tables::NewFile;
use crate::{FileBatch, KeptDocument, LastErrorCode, StoreFileStatus};

/// The most documents of a request.
const MOST: usize = 2000;
/// The most bytes of documents that one answer holds.
const MOST_BYTES: usize = 64 << 20;
/// How many documents of a request are read at the same time.
const READ_AHEAD: usize = 4;
/// How long a request waits for its documents to be ingested.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is to be there before documents are put into a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// None of them, but for those that could not be ingested.
    Nothing,
    /// All of them.
    All,
}

impl VectorStores {
    /// Puts new documents into a store. They can be found when the answer comes. All of them are read before one is kept, so that one that cannot
    /// be read leaves the store as it was. `place` is what the request calls the list: an error names a field below `place[0]`, and a document
    /// that is there already is a conflict.
    pub async fn add_documents(
        &self,
        context: &RequestContext,
        store_id: &str,
        documents: Vec<KeptDocument>,
        place: &str,
    ) -> Result<()> {
        self.put(context, store_id, documents, Before::Nothing, place).await
    }

    /// Puts documents into a store in place of those with the same ids, each of which is there. Otherwise as
    /// [`add_documents`](Self::add_documents).
    pub async fn replace_documents(
        &self,
        context: &RequestContext,
        store_id: &str,
        documents: Vec<KeptDocument>,
        place: &str,
    ) -> Result<()> {
        self.put(context, store_id, documents, Before::All, place).await
    }

    /// Has new documents put into a store in the background, as a batch. One that cannot be read fails by itself.
    pub async fn submit_documents(
        &self,
        context: &RequestContext,
        store_id: &str,
        documents: Vec<KeptDocument>,
        place: &str,
    ) -> Result<FileBatch> {
        if documents.is_empty() {
            let message = format!("`{place}` is empty; send 1 to {MOST} documents");
            return Err(Error::invalid_request(message).with_param(place));
        }
        check(&documents, place)?;
        self.used_store(store_id).await?;
        self.tables().await?.database.check_room().await?;
        self.surroundings().file_processors()?;
        let batch_id = new_id("vsfb_");
        let mut transaction = self.jobs().begin().await?;
        self.use_store(&mut transaction, store_id).await?;
        self.opened()?
            .add_batch(&mut transaction, &batch_id, store_id, now())
            .await?;
        let batch = Some(batch_id.as_str());
        self.keep(&mut transaction, store_id, batch, &documents, Before::Nothing, place)
            .await?;
        transaction.commit().await?;
        self.wake_ingestion();
        self.batch(context, store_id, &batch_id).await
    }

    /// Documents of a store, in the order of their ids in the request, with their bytes. One that is not there is a not-found error that names
    /// `place[0]`.
    pub async fn kept_documents(
        &self,
        _context: &RequestContext,
        store_id: &str,
        document_ids: &[String],
        place: &str,
    ) -> Result<Vec<KeptDocument>> {
        check_count(document_ids.len(), place)?;
        let store = self.store(store_id).await?;
        if store.is_expired(now()) {
            return Err(expired(store_id));
        }
        let tables = self.tables().await?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for (index, document_id) in document_ids.iter().enumerate() {
            let document = tables.document(store_id, document_id).await?;
            let document = document.ok_or_else(|| no_document(store_id, document_id, format!("{place}[{index}]")))?;
            bytes += document.content.len();
            if bytes > MOST_BYTES && index > 0 {
                let message = format!(
                    "the first {} of these documents have more than {MOST_BYTES} bytes together; ask for fewer at once",
                    index + 1
                );
                return Err(Error::too_large(message).with_param(format!("{place}[{index}]")));
            }
            found.push(document);
        }
        Ok(found)
    }

    /// Takes files out of a store, be they documents or attached: all of them or, when one is not there, none. They are found by nobody when the
    /// answer comes.
    pub async fn remove_files(
        &self,
        _context: &RequestContext,
        store_id: &str,
        file_ids: &[String],
        place: &str,
    ) -> Result<()> {
        check_count(file_ids.len(), place)?;
        self.store(store_id).await?;
        let tables = self.tables().await?;
        let mut transaction = self.jobs().begin().await?;
        let mut seen = HashSet::new();
        for (index, file_id) in file_ids.iter().enumerate() {
            if !seen.insert(file_id) {
                continue;
            }
            let gone = tables.mark_file_going(&mut transaction, store_id, file_id).await?;
            let attachment = gone.ok_or_else(|| no_document(store_id, file_id, format!("{place}[{index}]")))?;
            self.submit_all(&mut transaction, [removal::of_file(&attachment)?])
                .await?;
        }
        transaction.commit().await?;
        self.jobs().wake(removal::KIND);
        Ok(())
    }

    /// The store that a batch is of, for dialects in which a request names the batch alone.
    pub async fn store_of_batch(&self, batch_id: &str) -> Result<String> {
        let store_id = match self.may_hold()? {
            true => self.tables().await?.store_of_batch(batch_id).await?,
            false => None,
        };
        store_id.ok_or_else(|| {
            let message = format!("there is no file batch `{}`", shown(batch_id));
            Error::not_found(message).with_param("batch_id")
        })
    }

    async fn put(
        &self,
        context: &RequestContext,
        store_id: &str,
        documents: Vec<KeptDocument>,
        before: Before,
        place: &str,
    ) -> Result<()> {
        check(&documents, place)?;
        self.used_store(store_id).await?;
        self.tables().await?.database.check_room().await?;
        self.check_readable(context, &documents, place).await?;
        let mut transaction = self.jobs().begin().await?;
        self.use_store(&mut transaction, store_id).await?;
        let attachments = self
            .keep(&mut transaction, store_id, None, &documents, before, place)
            .await?;
        transaction.commit().await?;
        self.wake_ingestion();
        let ingested = async {
            for (index, (attachment, document)) in attachments.iter().zip(&documents).enumerate() {
                self.ingested(attachment, document, &format!("{place}[{index}]"))
                    .await?;
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, ingested).await {
            Ok(done) => done,
            Err(_elapsed) => Err(Error::timeout(format!(
                "the documents are kept, and not all of them could be ingested within {} seconds; that goes on in the background",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// Reads documents, to see that it can be done.
    async fn check_readable(&self, context: &RequestContext, documents: &[KeptDocument], place: &str) -> Result<()> {
        let processors = self.surroundings().file_processors()?;
        let requests: Vec<(String, String, ProcessFile)> = documents
            .iter()
            .enumerate()
            .map(|(index, document)| {
                let request = document.to_process(self.chunking(None));
                (
                    format!("{place}[{index}].content"),
                    shown(&document.document_id),
                    request,
                )
            })
            .collect();
        let readings = requests.into_iter().map(|(place, id, request)| {
            let processors = &processors;
            async move {
                let read = processors.process_file(context, request).await;
                read.map(drop).map_err(|error| unreadable(error, &id, &place))
            }
        });
        stream::iter(readings).buffered(READ_AHEAD).try_collect().await
    }

    /// Writes documents down with the jobs that ingest them, and answers their attachments.
    async fn keep(
        &self,
        transaction: &mut Transaction,
        store_id: &str,
        batch_id: Option<&str>,
        documents: &[KeptDocument],
        before: Before,
        place: &str,
    ) -> Result<Vec<String>> {
        let tables = self.opened()?;
        let mut attachments = Vec::with_capacity(documents.len());
        for (index, document) in documents.iter().enumerate() {
            let id = &document.document_id;
            let there = tables.status_of(transaction, store_id, id).await?;
            match (before, there) {
                (Before::Nothing, Some(StoreFileStatus::InProgress | StoreFileStatus::Completed)) => {
                    let message = format!(
                        "there is a document `{}` in the vector store `{}` already; update it instead",
                        shown(id),
                        shown(store_id)
                    );
                    return Err(Error::conflict(message).with_param(format!("{place}[{index}].uuid")));
                }
                (Before::All, None) => {
                    return Err(no_document(store_id, id, format!("{place}[{index}].uuid")));
                }
                _ => {}
            }
            let attachment = new_id("vsf_");
            let file = NewFile {
                attachment: attachment.clone(),
                file_id: id.clone(),
                filename: id.clone(),
                attributes: attributes_of(&document.metadata),
                chunking: self.chunking(None),
            };
            self.add_files(transaction, store_id, batch_id, vec![file]).await?;
            tables.add_document(transaction, &attachment, document).await?;
            attachments.push(attachment);
        }
        Ok(attachments)
    }

    /// Waits until a document is ingested.
    async fn ingested(&self, attachment: &str, document: &KeptDocument, place: &str) -> Result<()> {
        self.jobs().wait(&ingestion::id_of(attachment)).await?;
        let file = self.tables().await?.attachment(attachment).await?;
        let id = shown(&document.document_id);
        let file = match file {
            Some(file) if file.status == StoreFileStatus::Completed => return Ok(()),
            Some(file) if file.is_live && file.status == StoreFileStatus::Failed => file,
            _ => {
                let message = format!("the document `{id}` was replaced or taken out before it was ingested");
                return Err(Error::conflict(message).with_param(place));
            }
        };
        let (code, why) = file
            .last_error
            .map_or((LastErrorCode::ServerError, String::new()), |error| {
                (error.code, error.message)
            });
        let message = format!("the document `{id}` could not be ingested: {why}");
        let error = match code {
            LastErrorCode::InvalidFile => Error::invalid_request(message),
            LastErrorCode::UnsupportedFile => Error::unsupported(message),
            LastErrorCode::ServerError => Error::unavailable(message),
        };
        Err(error.with_param(place))
    }
}

fn check(documents: &[KeptDocument], place: &str) -> Result<()> {
    check_count(documents.len(), place)?;
    let mut seen = HashSet::new();
    for (index, document) in documents.iter().enumerate() {
        let place = format!("{place}[{index}]");
        document.check(&place)?;
        if !seen.insert(&document.document_id) {
            let message = format!(
                "the document `{}` is there twice; send it once",
                shown(&document.document_id)
            );
            return Err(Error::invalid_request(message).with_param(format!("{place}.uuid")));
        }
    }
    Ok(())
}

fn check_count(count: usize, place: &str) -> Result<()> {
    if count <= MOST {
        return Ok(());
    }
    let message = format!("{count} documents: a request has at most {MOST}; send the others in another one");
    let error = Error::invalid_request(message);
    Err(match place {
        "" => error,
        place => error.with_param(place),
    })
}

/// The answer to a document that cannot be read: its own fault, but for what is not about it.
fn unreadable(error: Error, id: &str, place: &str) -> Error {
    match error.kind() {
        ErrorKind::InvalidRequest | ErrorKind::Unsupported | ErrorKind::TooLarge => {
            let message = format!("the document `{id}` cannot be read: {}", error.message());
            Error::new(error.kind(), message).with_param(place).with_source(error)
        }
        _ => error,
    }
}

pub(super) fn no_document(store_id: &str, document_id: &str, place: String) -> Error {
    let message = format!(
        "there is no document `{}` in the vector store `{}`",
        shown(document_id),
        shown(store_id)
    );
    Error::not_found(message).with_param(place)
}
