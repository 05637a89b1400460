//! Documents of banks.

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use puna_api::{Error, Result};
use puna_vector_stores::KeptDocument;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Takes texts with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A document of a bank. (Draft of July 2024)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemoryBankDocument")]
pub(super) struct Document {
    /// Its id, chosen by the client: 1 to 512 bytes.
    uuid: String,
    /// Its bytes in base64.
    #[schemars(extend("contentEncoding" = "base64"))]
    content: String,
    /// What is known of it, handed back as it came. Filters of searches look at its texts, numbers and booleans.
    metadata: Map<String, Value>,
    /// What it is, such as `text/plain`: a hint for reading it.
    mime_type: String,
}

impl Document {
    /// The document for the engine. An error names the field below `place`.
    fn into_kept(self, place: &str) -> Result<KeptDocument> {
        let mut content = self.content;
        // As encoders for e-mail break lines.
        content.retain(|c| !c.is_ascii_whitespace());
        let content = BASE64.decode(content).map_err(|error| {
            let param = format!("{place}.content");
            let message = format!("`{param}` must be base64: {error}");
            Error::invalid_request(message).with_param(param)
        })?;
        Ok(KeptDocument {
            document_id: self.uuid,
            content: content.into(),
            media_type: self.mime_type,
            metadata: self.metadata,
        })
    }
}

/// Documents for the engine. `place` is what the request calls the list.
pub(super) fn kept(documents: Vec<Document>, place: &str) -> Result<Vec<KeptDocument>> {
    let documents = documents.into_iter().enumerate();
    documents
        .map(|(index, document)| document.into_kept(&format!("{place}[{index}]")))
        .collect()
}

impl From<KeptDocument> for Document {
    fn from(kept: KeptDocument) -> Self {
        Self {
            uuid: kept.document_id,
            content: STANDARD.encode(kept.content),
            metadata: kept.metadata,
            mime_type: kept.media_type,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(content: &str) -> Document {
        let document = json!({ "uuid": "d", "content": content, "metadata": { "a": [1] }, "mime_type": "text/plain" });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn base64_is_read_as_encoders_write_it() {
        for content in ["bGxhbWFzIQ==", "bGxhbWFzIQ", "bGxh\r\nbWFz\nIQ==\n"] {
            let kept = document(content).into_kept("[0]").unwrap();
            assert_eq!(kept.content, &b"llamas!"[..]);
            assert_eq!(Document::from(kept), document("bGxhbWFzIQ=="));
        }
        let error = document("bGxh*").into_kept("[3]").unwrap_err();
        assert_eq!(error.param(), Some("[3].content"));
    }
}
