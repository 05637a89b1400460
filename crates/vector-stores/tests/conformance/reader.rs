//! What reads files: paragraphs are chunks, and lines that start with `#` are headings.

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use puna_api::{
    ChunkingStrategy, DocumentMetadata, Error, FileChunk, FileProcessors, FileSource, ProcessFile, ProcessedFile,
    RequestContext, Result,
};
use tokio::sync::Semaphore;

pub(crate) struct Reader {
    /// A file that says `wait` takes one of these.
    pub(crate) gate: Semaphore,
}

#[async_trait]
impl FileProcessors for Reader {
    async fn process_file(&self, _context: &RequestContext, request: ProcessFile) -> Result<ProcessedFile> {
        let bytes = match request.content {
            FileSource::Bytes(bytes) => bytes,
            FileSource::File(file) => panic!("{file:?}"),
            FileSource::Stream(stream) => stream.try_collect::<Vec<Bytes>>().await?.concat().into(),
        };
        // In chunks of a few bytes it would be another file.
        assert!(!matches!(request.chunking, None | Some(ChunkingStrategy::Auto {})));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.contains("wait") {
            self.gate.acquire().await.unwrap().forget();
        }
        if text.starts_with("%!") {
            return Err(Error::unsupported("files of the kind `%!` cannot be read").with_param("file"));
        }
        if text.trim().is_empty() {
            return Err(Error::invalid_request("there is no text in the file").with_param("file"));
        }
        let mut headings = Vec::new();
        let mut start = 0;
        let mut chunks = Vec::new();
        for part in text.split("\n\n") {
            let end = start + part.chars().count() as u64;
            if let Some(heading) = part.strip_prefix("# ") {
                headings = vec![heading.to_owned()];
            } else if !part.trim().is_empty() {
                chunks.push(FileChunk {
                    position: chunks.len() as u32,
                    text: part.to_owned(),
                    tokens: part.split_whitespace().count() as u32,
                    start,
                    end,
                    first_page: Some(1),
                    headings: headings.clone(),
                    ..FileChunk::default()
                });
            }
            start = end + 2;
        }
        Ok(ProcessedFile {
            document: DocumentMetadata {
                media_type: "text/plain".to_owned(),
                ..DocumentMetadata::default()
            },
            chunks,
        })
    }
}
