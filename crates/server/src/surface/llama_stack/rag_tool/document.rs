//! Documents as clients send them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use puna_api::{ChunkingStrategy, Error, Result};
use puna_vector_stores::InsertDocument;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::surface::llama_stack::content::{ContentPart, ContentUrl, InterleavedContent};

/// A document. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RAGDocument")]
pub(super) struct Document {
    /// Its id, which the client chooses.
    document_id: String,
    /// What is in it.
    content: DocumentContent,
    /// What that is, such as `text/markdown`: a hint.
    #[serde(default)]
    mime_type: Option<String>,
    /// What is known of it, handed back with its chunks. Filters look at its texts, numbers and booleans.
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// The content of a document: a text, which may be a `data:` URL, parts of text, or a `data:` URL. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a string, a part of type `text`, a list of parts, or an object with `uri`"
)]
enum DocumentContent {
    /// A text.
    Text(String),
    /// A part.
    Part(ContentPart),
    /// Several parts.
    Parts(Vec<ContentPart>),
    /// A URL.
    Url(ContentUrl),
}

impl Document {
    /// The document for the engine. An error names the field below `place`.
    pub(super) fn into_insert(self, place: &str, chunking: &ChunkingStrategy) -> Result<InsertDocument> {
        if self.document_id.is_empty() {
            let param = format!("{place}.document_id");
            let message = format!("`{param}` is empty; give the document a name");
            return Err(Error::invalid_request(message).with_param(param));
        }
        let param = format!("{place}.content");
        let texts = |content: InterleavedContent| content.into_texts(&param).map(|texts| texts.join("\n"));
        let (content, found_type) = match self.content {
            DocumentContent::Text(text) if text.starts_with("data:") => decode(&text, &param)?,
            DocumentContent::Url(url) => decode(&url.uri, &param)?,
            DocumentContent::Text(text) => (text.into(), None),
            DocumentContent::Part(part) => (texts(InterleavedContent::Part(part))?.into(), None),
            DocumentContent::Parts(parts) => (texts(InterleavedContent::Parts(parts))?.into(), None),
        };
        Ok(InsertDocument {
            document_id: self.document_id,
            content,
            name: None,
            media_type: self.mime_type.or(found_type),
            chunking: Some(chunking.clone()),
            metadata: self.metadata,
        })
    }
}

/// The bytes in a `data:` URL, and their media type where it has one. Nothing is fetched from elsewhere.
fn decode(url: &str, param: &str) -> Result<(Bytes, Option<String>)> {
    let Some(rest) = url.strip_prefix("data:") else {
        let shown: String = url.chars().take(100).collect();
        let message =
            format!("`{param}` is at `{shown}`, and documents are not fetched; send the text, or a `data:` URL");
        return Err(Error::unsupported(message).with_param(param));
    };
    let invalid = |problem: &str| Error::invalid_request(format!("`{param}` {problem}")).with_param(param);
    let (head, data) = rest
        .split_once(',')
        .ok_or_else(|| invalid("is a `data:` URL without a comma before its data"))?;
    let (head, is_base64) = match head.strip_suffix(";base64") {
        Some(head) => (head, true),
        None => (head, false),
    };
    let bytes = match is_base64 {
        true => STANDARD
            .decode(data)
            .map_err(|_| invalid("is a `data:` URL whose data is no base64"))?,
        false => unescaped(data)
            .ok_or_else(|| invalid("is a `data:` URL with a `%` that no two hexadecimal digits follow"))?,
    };
    let media_type = head.split(';').next().filter(|media_type| !media_type.is_empty());
    Ok((bytes.into(), media_type.map(str::to_owned)))
}

/// A text with its percent-encoding undone.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        bytes.push((digit(0)? * 16 + digit(1)?) as u8);
        rest = behind;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn insert(content: &Value) -> Result<InsertDocument> {
        let document = json!({ "document_id": "d", "content": content, "metadata": { "year": 1843 } });
        let document: Document = serde_json::from_value(document).unwrap();
        document.into_insert("documents[2]", &ChunkingStrategy::Auto {})
    }

    #[test]
    fn contents_of_every_kind_are_read() {
        for (content, bytes, media_type) in [
            (json!("plain"), &b"plain"[..], None),
            (json!({ "type": "text", "text": "a part" }), b"a part", None),
            (
                json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]),
                b"a\nb",
                None,
            ),
            (json!("data:text/html;base64,PGI+"), b"<b>", Some("text/html")),
            (
                json!({ "uri": "data:text/plain;charset=utf-8,a%20b%C3%A9" }),
                "a bé".as_bytes(),
                Some("text/plain"),
            ),
            (json!({ "uri": "data:,x" }), b"x", None),
        ] {
            let document = insert(&content).unwrap();
            assert_eq!(document.content, bytes, "{content}");
            assert_eq!(document.media_type.as_deref(), media_type, "{content}");
            assert_eq!(document.metadata["year"], 1843);
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for content in [
            json!({ "uri": "https://example.com/a.pdf" }),
            json!({ "uri": "file:///etc/passwd" }),
            json!({ "uri": "data:text/plain" }),
            json!({ "uri": "data:;base64,???" }),
            json!({ "uri": "data:,%4" }),
            json!({ "uri": "data:,%zz" }),
            json!([{ "type": "image", "image": { "data": "" } }]),
        ] {
            let error = insert(&content).unwrap_err();
            assert_eq!(error.param(), Some("documents[2].content"), "{content}: {error}");
        }
    }
}
