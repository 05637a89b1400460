//! How chunks are kept in an index.
//!
//! Ids in an index begin with what they belong to, so that a client's own can never be taken for those of a file: `f:` and the attachment for
//! chunks of files, `c:` and `d:` for chunks and documents of clients.

use puna_api::{AttributeValue, Attributes, Chunk, FileChunk, ProcessedFile};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::FoundChunk;
use crate::tables::{FileRow, Indexed};

const FILE: &str = "f:";
const CHUNK: &str = "c:";
const DOCUMENT: &str = "d:";

/// What an index hands back with a chunk.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Where in the file it stands, or what it was inserted with.
    pub(crate) metadata: Map<String, Value>,
    /// What the server knows of it, or the one that it came from.
    pub(crate) chunk_metadata: Map<String, Value>,
}

impl Kept {
    fn of(chunk: &Chunk) -> Self {
        let map = |key: &str| chunk.metadata.get(key).and_then(Value::as_object).cloned();
        Self {
            metadata: map("metadata").unwrap_or_default(),
            chunk_metadata: map("chunk_metadata").unwrap_or_default(),
        }
    }

    pub(crate) fn into_map(self) -> Map<String, Value> {
        Map::from_iter([
            ("metadata".to_owned(), self.metadata.into()),
            ("chunk_metadata".to_owned(), self.chunk_metadata.into()),
        ])
    }
}

/// The document of an attached file in an index.
pub(crate) fn document_of_file(attachment: &str) -> String {
    format!("{FILE}{attachment}")
}

/// A client's document in an index.
pub(crate) fn document_of_client(document_id: &str) -> String {
    format!("{DOCUMENT}{document_id}")
}

/// A client's chunk in an index.
pub(crate) fn chunk_of_client(chunk_id: &str) -> String {
    format!("{CHUNK}{chunk_id}")
}

/// The attachment that a chunk belongs to; `None` for one of a client.
pub(crate) fn attachment_of(chunk: &Chunk) -> Option<&str> {
    chunk.document_id.strip_prefix(FILE)
}

/// The id of a file's chunk: the same for the same place, however often it is written.
fn chunk_of_file(attachment: &str, position: u32) -> String {
    format!("{FILE}{attachment}:{position}")
}

/// A file's chunk as it goes into the index, without its vector.
pub(crate) fn file_chunk(file: &FileRow, processed: &ProcessedFile, chunk: &FileChunk) -> Chunk {
    let mut metadata = Map::new();
    let mut note = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            metadata.insert(key.to_owned(), value);
        }
    };
    note("title", processed.document.title.clone().map(Value::from));
    note("page", chunk.first_page.map(Value::from));
    note(
        "last_page",
        chunk
            .last_page
            .filter(|last| Some(*last) != chunk.first_page)
            .map(Value::from),
    );
    note(
        "headings",
        (!chunk.headings.is_empty()).then(|| chunk.headings.clone().into()),
    );
    note("context", chunk.context.clone().map(Value::from));
    let chunk_metadata = Map::from_iter([
        ("document_id".to_owned(), file.file_id.as_str().into()),
        ("source".to_owned(), file.filename.as_str().into()),
        ("created_timestamp".to_owned(), file.created_at.into()),
        (
            "chunk_window".to_owned(),
            format!("{}-{}", chunk.start, chunk.end).into(),
        ),
        ("content_token_count".to_owned(), chunk.tokens.into()),
    ]);
    Chunk {
        chunk_id: chunk_of_file(&file.attachment, chunk.position),
        document_id: document_of_file(&file.attachment),
        position: chunk.position,
        text: chunk.content().into_owned(),
        vector: Vec::new(),
        attributes: file.attributes.clone(),
        metadata: Kept {
            metadata,
            chunk_metadata,
        }
        .into_map(),
    }
}

/// A chunk of an index as answers show it. `indexed` is the file that it belongs to, if it belongs to one.
pub(crate) fn found(chunk: Chunk, indexed: Option<&Indexed>, score: f32) -> FoundChunk {
    let Kept {
        metadata,
        mut chunk_metadata,
    } = Kept::of(&chunk);
    let chunk_id = chunk.chunk_id.strip_prefix(CHUNK).unwrap_or(&chunk.chunk_id).to_owned();
    let document_id = match indexed {
        Some(indexed) => indexed.file_id.clone(),
        None => chunk
            .document_id
            .strip_prefix(DOCUMENT)
            .unwrap_or(&chunk.document_id)
            .to_owned(),
    };
    chunk_metadata.insert("chunk_id".to_owned(), chunk_id.as_str().into());
    chunk_metadata.insert("document_id".to_owned(), document_id.as_str().into());
    FoundChunk {
        chunk_id,
        document_id,
        filename: indexed.map(|indexed| indexed.filename.clone()),
        position: chunk.position,
        text: chunk.text,
        vector: chunk.vector,
        attributes: indexed.map_or(chunk.attributes, |indexed| indexed.attributes.clone()),
        metadata,
        chunk_metadata,
        score,
    }
}

/// What filters look at of a client's metadata: texts, numbers and booleans.
pub(crate) fn attributes_of(metadata: &Map<String, Value>) -> Attributes {
    let value = |value: &Value| match value {
        Value::Bool(value) => Some(AttributeValue::Boolean(*value)),
        Value::Number(number) => number
            .as_f64()
            .filter(|number| number.is_finite())
            .map(AttributeValue::Number),
        Value::String(text) => Some(AttributeValue::Text(text.clone())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let pairs = metadata.iter().filter(|(key, _)| !key.is_empty());
    pairs
        .filter_map(|(key, given)| Some((key.clone(), value(given)?)))
        .collect()
}

/// How many bytes a chunk takes: its text and its vector.
pub(crate) fn usage_of(text: &str, dimension: u32) -> u64 {
    text.len() as u64 + u64::from(dimension) * size_of::<f32>() as u64
}
