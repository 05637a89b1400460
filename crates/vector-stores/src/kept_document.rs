//! Documents whose bytes the engine keeps.

use bytes::Bytes;
use puna_api::{ChunkingStrategy, Error, FileSource, ProcessFile, Result};
use serde_json::{Map, Value};

/// The longest id of a document, in bytes.
const LONGEST_ID: usize = 512;
/// The longest media type, in bytes.
const LONGEST_TYPE: usize = 255;

/// A document that comes with a request and is kept as it came. It is one of its store's files, under the id that the client chose: it is counted
/// and searched as they are, and nothing else has to keep its bytes. Wire shape: `MemoryBankDocument` of the specification of July 2024, whose
/// names errors use.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptDocument {
    /// Its id, which no other file of the store has.
    pub document_id: String,
    /// Its bytes.
    pub content: Bytes,
    /// What it is, such as `text/plain`; a hint for reading it.
    pub media_type: String,
    /// What is known of it, handed back as it came. Filters look at its texts, numbers and booleans.
    pub metadata: Map<String, Value>,
}

impl KeptDocument {
    /// Checks what can be told without the server. An error names the field below `place`, such as `documents[3]`.
    pub(crate) fn check(&self, place: &str) -> Result<()> {
        check_text(&self.document_id, LONGEST_ID, &format!("{place}.uuid"))?;
        check_text(&self.media_type, LONGEST_TYPE, &format!("{place}.mime_type"))
    }

    /// How it is read, and cut as `chunking` says.
    pub(crate) fn to_process(&self, chunking: ChunkingStrategy) -> ProcessFile {
        ProcessFile {
            media_type: Some(self.media_type.clone()),
            chunking: Some(chunking),
            ..ProcessFile::new(FileSource::Bytes(self.content.clone()))
        }
    }
}

fn check_text(text: &str, longest: usize, place: &str) -> Result<()> {
    if (1..=longest).contains(&text.len()) && !text.contains('\0') {
        return Ok(());
    }
    let message = format!(
        "`{place}` must have 1 to {longest} bytes, none of them zero; it has {}",
        text.len()
    );
    Err(Error::invalid_request(message).with_param(place))
}
