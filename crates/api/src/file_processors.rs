//! File processors: documents read and cut into chunks.

mod chunking;
mod document;

pub use chunking::{ChunkingStrategy, ContextualChunking, StaticChunking};
pub use document::{DocumentMetadata, FileChunk, ProcessedFile};

use std::fmt;
use std::fs::File;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::{BoxStream, RequestContext, Result};

/// Reads documents, and cuts their text into chunks.
///
/// # Behavior
/// - Goes by what is in the file. Its name and its media type are hints: they decide between kinds of text, and a wrong one does no harm.
/// - Without a strategy the answer is one chunk with the whole text.
/// - Chunks come in the order of the text, their positions count from 0, and all of the text but white space is in at least one.
/// - A chunk's text is what stands in the document's text from `start` to `end`, in characters; the document's text is the one that the same
///   file gives without a strategy.
/// - No chunk has more tokens than the strategy allows, and neighbours share no more than its overlap.
/// - A strategy that is out of bounds is an invalid request that names the field.
/// - The same bytes give the same answer, be they in memory, in a file or in a stream.
/// - A stream that fails ends the work with its error.
/// - A file without anything in it, or without text, is an invalid request that names `file`.
/// - What holds no text that the provider can read is an unsupported request that names `file` and says what was found.
/// - A file that is cut off, broken or hostile gives an error or what can be read of it, and the next file is read as ever.
/// - With a contextual strategy each chunk has its context; when the model fails, so does the whole file, and the error is the model's.
/// - An option that the provider does not know is an invalid request that names it.
/// - Dropping the future ends the work.
#[async_trait]
pub trait FileProcessors: Send + Sync {
    /// Reads one file.
    async fn process_file(&self, context: &RequestContext, request: ProcessFile) -> Result<ProcessedFile>;
}

/// A file, and how to cut it.
#[derive(Debug)]
pub struct ProcessFile {
    /// The bytes.
    pub content: FileSource,
    /// What the file is called; a hint, and never a path.
    pub name: Option<String>,
    /// What its sender says that it is, such as `text/markdown`; a hint.
    pub media_type: Option<String>,
    /// How to cut its text; `None` leaves it whole.
    pub chunking: Option<ChunkingStrategy>,
    /// Settings of the provider's own.
    pub options: Map<String, Value>,
}

/// Where the bytes of a file are.
pub enum FileSource {
    /// In an open file on the server's disk, from where it stands to its end.
    File(File),
    /// In memory.
    Bytes(Bytes),
    /// On their way. An error ends the work.
    Stream(BoxStream<Result<Bytes>>),
}

impl ProcessFile {
    /// A file without hints, left whole.
    pub fn new(content: FileSource) -> Self {
        Self {
            content,
            name: None,
            media_type: None,
            chunking: None,
            options: Map::new(),
        }
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Stream(_) => f.debug_tuple("Stream").finish_non_exhaustive(),
        }
    }
}
