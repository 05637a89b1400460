//! Contents that are text or hold text. (Llama Stack)

use puna_api::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text, a part, or several parts. (Llama Stack)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a string, a part of type `text` or `image`, or a list of parts"
)]
pub(super) enum InterleavedContent {
    /// A text.
    Text(String),
    /// A part.
    Part(ContentPart),
    /// Several parts.
    Parts(Vec<ContentPart>),
}

/// A part of a content. (Llama Stack)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ContentPart {
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// An image. Vector stores of this server hold texts alone.
    Image {
        /// Where it is.
        image: ImageSource,
    },
}

/// Where an image is: at a URL, or right here. (Llama Stack)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImageSource {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<ContentUrl>,
    /// Its bytes in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

/// A URL. (Llama Stack)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "URL")]
pub(super) struct ContentUrl {
    /// The URL.
    pub(super) uri: String,
}

impl InterleavedContent {
    /// The texts, in their order. An image is an unsupported request that names `place`.
    pub(super) fn into_texts(self, place: &str) -> Result<Vec<String>> {
        let parts = match self {
            Self::Text(text) => return Ok(vec![text]),
            Self::Part(part) => vec![part],
            Self::Parts(parts) => parts,
        };
        let texts = parts.into_iter().map(|part| match part {
            ContentPart::Text { text } => Ok(text),
            ContentPart::Image { .. } => {
                let message = format!("`{place}` holds an image, and vector stores hold texts alone; send text");
                Err(Error::unsupported(message).with_param(place))
            }
        });
        texts.collect()
    }
}
