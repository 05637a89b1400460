//! Files of stores: attached, read and taken out.

use futures::{StreamExt, TryStreamExt, stream};
use puna_api::{ChunkPage, ChunkingStrategy, ContextualChunking, Error, ErrorKind, ListChunks, RequestContext, Result};
use puna_storage::Transaction;

use super::{VectorStores, ingestion, new_id, no_file, now, removal};
use crate::kept;
use crate::tables::{FileFilter, FileRow, Indexed, NewFile};
use crate::{
    AttachFile, ContentPage, ContentQuery, ContentType, FilesQuery, FoundChunk, Page, ShownChunking, StoreFile,
    StoreFileObject, StoreFileStatus, TextContent,
};

/// How many files are looked up at the same time.
const LOOKED_UP: usize = 16;

impl VectorStores {
    /// Attaches a file, which is ingested from then on. One that is attached already is ingested anew, in place of what it was.
    pub async fn attach(&self, context: &RequestContext, store_id: &str, request: AttachFile) -> Result<StoreFile> {
        request.check("")?;
        self.used_store(store_id).await?;
        let file_id = request.file_id.clone();
        let files = self.new_files(context, vec![request], "file_id").await?;
        let mut transaction = self.jobs().begin().await?;
        self.use_store(&mut transaction, store_id).await?;
        self.add_files(&mut transaction, store_id, None, files).await?;
        transaction.commit().await?;
        self.wake_ingestion();
        self.file(context, store_id, &file_id).await
    }

    /// Some of a store's files.
    pub async fn files(
        &self,
        _context: &RequestContext,
        store_id: &str,
        query: &FilesQuery,
    ) -> Result<Page<StoreFile>> {
        query.page.check()?;
        self.store(store_id).await?;
        let filter = FileFilter {
            store_id,
            batch_id: None,
        };
        let page = self.tables().await?.list_files(filter, query).await?;
        Ok(page.map(object))
    }

    /// A file of a store.
    pub async fn file(&self, _context: &RequestContext, store_id: &str, file_id: &str) -> Result<StoreFile> {
        self.store(store_id).await?;
        let file = self.tables().await?.file(store_id, file_id).await?;
        file.map(object).ok_or_else(|| no_file(store_id, file_id))
    }

    /// The text of a file, in chunks. One that is not complete is a conflict.
    pub async fn file_content(
        &self,
        context: &RequestContext,
        store_id: &str,
        file_id: &str,
        query: &ContentQuery,
    ) -> Result<ContentPage> {
        if !(1..=ContentQuery::MOST).contains(&query.limit) {
            let message = format!("`limit` must be 1 to {}, not {}", ContentQuery::MOST, query.limit);
            return Err(Error::invalid_request(message).with_param("limit"));
        }
        let store = self.used_store(store_id).await?;
        let file = self.tables().await?.file(store_id, file_id).await?;
        let file = file.ok_or_else(|| no_file(store_id, file_id))?;
        if file.status != StoreFileStatus::Completed {
            let message = format!(
                "the file `{file_id}` has no text in the vector store; its status there is `{}`",
                file.status.name()
            );
            return Err(Error::conflict(message).with_param("file_id"));
        }
        let listed = ListChunks {
            index_id: store.id.clone(),
            document_id: kept::document_of_file(&file.attachment),
            after: query.after,
            limit: query.limit as usize,
        };
        let ChunkPage { chunks, has_more } = self.provider(&store)?.list_chunks(context, listed).await?;
        let next = chunks.last().map(|chunk| chunk.position).filter(|_| has_more);
        let indexed = Indexed {
            file_id: file.file_id,
            filename: file.filename,
            attributes: file.attributes,
        };
        Ok(ContentPage {
            data: chunks
                .into_iter()
                .map(|chunk| content(kept::found(chunk, Some(&indexed), 0.0)))
                .collect(),
            file_id: indexed.file_id,
            filename: indexed.filename,
            attributes: indexed.attributes,
            next,
        })
    }

    /// Takes a file out of a store. The file itself stays.
    pub async fn detach(&self, _context: &RequestContext, store_id: &str, file_id: &str) -> Result<()> {
        self.store(store_id).await?;
        let tables = self.tables().await?;
        let mut transaction = self.jobs().begin().await?;
        let gone = tables.mark_file_going(&mut transaction, store_id, file_id).await?;
        let attachment = gone.ok_or_else(|| no_file(store_id, file_id))?;
        self.submit_all(&mut transaction, [removal::of_file(&attachment)?])
            .await?;
        transaction.commit().await?;
        self.jobs().wake(removal::KIND);
        Ok(())
    }

    /// Takes a file out of all stores: for when the file itself is deleted. Answers how many those were.
    pub async fn detach_everywhere(&self, _context: &RequestContext, file_id: &str) -> Result<usize> {
        if !self.may_hold()? {
            return Ok(0);
        }
        let tables = self.tables().await?;
        let mut transaction = self.jobs().begin().await?;
        let gone = tables.mark_file_going_everywhere(&mut transaction, file_id).await?;
        let jobs = gone.iter().map(|attachment| removal::of_file(attachment));
        let jobs = jobs.collect::<Result<Vec<_>>>()?;
        self.submit_all(&mut transaction, jobs).await?;
        transaction.commit().await?;
        self.jobs().wake(removal::KIND);
        Ok(gone.len())
    }

    /// The files of a request, each of which is there. `param` is the field that names them.
    pub(super) async fn new_files(
        &self,
        context: &RequestContext,
        requests: Vec<AttachFile>,
        param: &str,
    ) -> Result<Vec<NewFile>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let files = self.surroundings().files()?;
        // Without it every one of them would fail, later.
        self.surroundings().file_processors()?;
        let is_one = param == "file_id";
        let found = requests.into_iter().enumerate().map(|(index, request)| {
            let files = &files;
            async move {
                let file = files.get(context, &request.file_id).await.map_err(|error| {
                    let place = match (is_one, param) {
                        (true, _) => param.to_owned(),
                        (false, "files") => format!("files[{index}].file_id"),
                        (false, _) => format!("{param}[{index}]"),
                    };
                    match error.kind() {
                        ErrorKind::NotFound => Error::not_found(error.message()).with_param(place),
                        _ => error,
                    }
                })?;
                Ok::<_, Error>(NewFile {
                    // The order of ids is that of the request, whichever file is found first.
                    attachment: String::new(),
                    file_id: request.file_id,
                    filename: file.filename,
                    attributes: request.attributes.unwrap_or_default(),
                    chunking: self.chunking(request.chunking_strategy),
                })
            }
        });
        let mut files: Vec<NewFile> = stream::iter(found).buffered(LOOKED_UP).try_collect().await?;
        let mut seen = std::collections::HashSet::new();
        files.retain(|file| seen.insert(file.file_id.clone()));
        for file in &mut files {
            file.attachment = new_id("vsf_");
        }
        Ok(files)
    }

    /// Attaches files in a transaction, with the jobs that ingest them.
    pub(super) async fn add_files(
        &self,
        transaction: &mut Transaction,
        store_id: &str,
        batch_id: Option<&str>,
        files: Vec<NewFile>,
    ) -> Result<()> {
        let (tables, now) = (self.opened()?, now());
        for file in files {
            let replaced = tables.add_file(transaction, store_id, batch_id, &file, now).await?;
            let removal = replaced.map(|replaced| removal::of_file(&replaced)).transpose()?;
            let jobs = removal.into_iter().chain([ingestion::of_file(&file.attachment)?]);
            self.submit_all(transaction, jobs).await?;
        }
        Ok(())
    }

    pub(super) fn wake_ingestion(&self) {
        self.jobs().wake(ingestion::KIND);
        self.jobs().wake(removal::KIND);
    }

    /// A strategy in which nothing is left to the server's choice any more, so that it stays the same until the file is cut.
    pub(super) fn chunking(&self, asked: Option<ChunkingStrategy>) -> ChunkingStrategy {
        let settings = self.settings();
        match asked {
            None | Some(ChunkingStrategy::Auto {}) => ChunkingStrategy::Static {
                bounds: settings.chunking,
            },
            Some(ChunkingStrategy::Contextual { contextual }) => {
                let defaults = &settings.contextual;
                ChunkingStrategy::Contextual {
                    contextual: ContextualChunking {
                        model_id: contextual.model_id.or_else(|| defaults.model.clone()),
                        timeout_seconds: contextual
                            .timeout_seconds
                            .or_else(|| defaults.timeout.map(|timeout| timeout.as_secs().max(1))),
                        max_concurrency: contextual.max_concurrency.or(defaults.max_concurrency),
                        ..contextual
                    },
                }
            }
            Some(bounds @ ChunkingStrategy::Static { .. }) => bounds,
        }
    }
}

/// A found chunk as the content of an answer, with its vector.
fn content(chunk: FoundChunk) -> TextContent {
    TextContent {
        content_type: ContentType::Text,
        text: chunk.text,
        embedding: Some(chunk.vector),
        chunk_metadata: Some(chunk.chunk_metadata),
        metadata: Some(chunk.metadata),
    }
}

pub(super) fn object(file: FileRow) -> StoreFile {
    StoreFile {
        id: file.file_id,
        object: StoreFileObject::File,
        usage_bytes: file.usage_bytes,
        created_at: file.created_at,
        vector_store_id: file.store_id,
        status: file.status,
        last_error: file.last_error,
        chunking_strategy: ShownChunking(file.chunking),
        attributes: file.attributes,
    }
}
