//! A chunk in Llama Stack's shape.

use puna_api::FileChunk;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::ProcessingMetadata;

/// Where a document came from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) document_id: String,
    pub(super) filename: String,
    /// Whether it is one of the server's files.
    pub(super) is_kept: bool,
}

/// A piece of a document. (OGX)
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Chunk {
    /// What is embedded and searched: the text, with its context before it.
    content: String,
    /// The same for the same place of the same document.
    chunk_id: String,
    /// What a model may be told with it.
    metadata: Metadata,
    /// What vector stores keep with it.
    chunk_metadata: ChunkMetadata,
}

/// What a model may be told of a chunk.
#[derive(Debug, Serialize, JsonSchema)]
struct Metadata {
    /// The document's id.
    document_id: String,
    /// The file's name.
    filename: String,
    /// The document's title, where it tells one.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// The page, slide or sheet that the chunk begins on, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_page: Option<u32>,
    /// The page, slide or sheet that it ends on.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_page: Option<u32>,
    /// The headings that it stands under, the outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headings: Vec<String>,
}

/// What vector stores keep with a chunk. (OGX)
#[derive(Debug, Serialize, JsonSchema)]
struct ChunkMetadata {
    /// The chunk's id.
    chunk_id: String,
    /// The document's id: that of the file, or a new one where the file came with the request.
    document_id: String,
    /// The file's name.
    source: String,
    /// The chunk's place: its first character in the document's text, from 0, and the one behind its last, as `first-last`.
    chunk_window: String,
    /// How many tokens `content` has.
    content_token_count: u32,
}

impl Source {
    /// A file that came with the request.
    pub(super) fn sent(filename: String) -> Self {
        Self {
            document_id: Uuid::new_v4().to_string(),
            filename,
            is_kept: false,
        }
    }

    /// One of the server's files.
    pub(super) fn kept(id: String, filename: String) -> Self {
        Self {
            document_id: id,
            filename,
            is_kept: true,
        }
    }
}

impl Chunk {
    pub(super) fn new(source: &Source, document: &ProcessingMetadata, chunk: FileChunk) -> Self {
        let chunk_id = format!("{}-{}", source.document_id, chunk.position);
        Self {
            content: chunk.content().into_owned(),
            chunk_metadata: ChunkMetadata {
                chunk_id: chunk_id.clone(),
                document_id: source.document_id.clone(),
                source: source.filename.clone(),
                chunk_window: format!("{}-{}", chunk.start, chunk.end),
                content_token_count: chunk.tokens,
            },
            chunk_id,
            metadata: Metadata {
                document_id: source.document_id.clone(),
                filename: source.filename.clone(),
                title: document.title.clone(),
                first_page: chunk.first_page,
                last_page: chunk.last_page,
                headings: chunk.headings,
            },
        }
    }
}
