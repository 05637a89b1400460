//! What a message holds: text, or parts of text, images, audio and files.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::open_enum::open_enum;
use super::string_or::{StringOr, string_or_array};
use super::unknown_fields::keep;

/// The content of a message: one text, or parts in their order.
///
/// Wire shape: OpenAI chat completions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum MessageContent {
    /// One text.
    Text(String),
    /// Parts, in the order in which the model sees them.
    Parts(Vec<ContentPart>),
}

impl MessageContent {
    /// All of the text, its parts joined without anything between them; none when a part is not text.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Parts(parts) => match parts.as_slice() {
                [ContentPart::Text(part)] => Some(Cow::Borrowed(&part.text)),
                parts => parts
                    .iter()
                    .map(|part| {
                        if let ContentPart::Text(part) = part {
                            Some(part.text.as_str())
                        } else {
                            None
                        }
                    })
                    .collect::<Option<String>>()
                    .map(Cow::Owned),
            },
        }
    }
}

impl From<&str> for MessageContent {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for MessageContent {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<'de> Deserialize<'de> for MessageContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(
            match string_or_array(deserializer, "a string or an array of content parts")? {
                StringOr::String(text) => Self::Text(text),
                StringOr::Value(parts) => Self::Parts(parts),
            },
        )
    }
}

/// One part of a message, told apart by `type`.
///
/// Wire shape: OpenAI chat completions. Parts of vendors' own types (such as `video_url` of
/// vLLM) are kept as they came.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentPart {
    /// Text; every role may have it.
    Text(TextPart),
    /// An image, in messages of users.
    ImageUrl(ImagePart),
    /// Recorded speech or sound, in messages of users.
    InputAudio(AudioPart),
    /// A file, in messages of users.
    File(FilePart),
    /// What the assistant said when it refused, in messages of the assistant.
    Refusal(RefusalPart),
    /// A part of another type. Who cannot make use of it has to refuse the request.
    #[serde(untagged)]
    Other(OtherPart),
}

impl ContentPart {
    /// A part that is text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(TextPart {
            text: text.into(),
            extra: Map::new(),
        })
    }

    /// The value of `type` on the wire.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Text(_) => "text",
            Self::ImageUrl(_) => "image_url",
            Self::InputAudio(_) => "input_audio",
            Self::File(_) => "file",
            Self::Refusal(_) => "refusal",
            Self::Other(part) => &part.type_name,
        }
    }
}

/// A part that is text.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TextPart {
    /// The text.
    pub text: String,
    /// Fields not named here, such as a vendor's `cache_control`.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A part that is an image.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ImagePart {
    /// Where the image is.
    pub image_url: ImageUrl,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Where an image is, and how closely to look at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with a `url`")]
pub struct ImageUrl {
    /// An `http(s)` URL, or the image itself as a base64 `data:` URL.
    pub url: String,
    /// How much detail the model should see; `auto` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<ImageDetail>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

open_enum! {
    /// How much detail of an image the model should see: more costs more tokens.
    ImageDetail {
        /// The model decides.
        Auto = "auto",
        /// A small version.
        Low = "low",
        /// Close up.
        High = "high",
    }
}

/// A part that is audio.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AudioPart {
    /// The audio.
    pub input_audio: InputAudio,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Audio as input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `data` and `format`")]
pub struct InputAudio {
    /// The audio file, base64.
    pub data: String,
    /// How `data` is encoded.
    pub format: InputAudioFormat,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

open_enum! {
    /// The encoding of audio that is sent to a model.
    InputAudioFormat {
        /// WAV.
        Wav = "wav",
        /// MP3.
        Mp3 = "mp3",
    }
}

/// A part that is a file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FilePart {
    /// The file.
    pub file: InputFile,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A file as input: by the id of an upload, or with its bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `file_id`, or with `file_data` and `filename`")]
pub struct InputFile {
    /// The id of an uploaded file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_id: Option<String>,
    /// The bytes of the file, base64, or a `data:` URL that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_data: Option<String>,
    /// The name of the file whose bytes are in `file_data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A part that holds what the assistant said when it refused.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RefusalPart {
    /// The refusal.
    pub refusal: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A part of a type that has no variant of its own.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OtherPart {
    /// The value of `type`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// All other fields, as they came.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Every field that any part may have: read in one pass, whatever the place of `type`, so that faults keep their path.
#[derive(Deserialize)]
#[serde(expecting = "a content part: an object with a `type`")]
struct PartFields {
    #[serde(rename = "type")]
    type_name: String,
    text: Option<String>,
    image_url: Option<ImageUrl>,
    input_audio: Option<InputAudio>,
    file: Option<InputFile>,
    refusal: Option<String>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl PartFields {
    /// The fields that the part's type does not have, among the unknown ones.
    fn into_extra<E: serde::de::Error>(self) -> Result<Map<String, Value>, E> {
        let mut extra = self.extra;
        keep(&mut extra, "text", self.text)?;
        keep(&mut extra, "image_url", self.image_url)?;
        keep(&mut extra, "input_audio", self.input_audio)?;
        keep(&mut extra, "file", self.file)?;
        keep(&mut extra, "refusal", self.refusal)?;
        Ok(extra)
    }
}

impl<'de> Deserialize<'de> for ContentPart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let mut part = PartFields::deserialize(deserializer)?;
        Ok(match part.type_name.as_str() {
            "text" => Self::Text(TextPart {
                text: part.text.take().ok_or_else(|| D::Error::missing_field("text"))?,
                extra: part.into_extra()?,
            }),
            "image_url" => Self::ImageUrl(ImagePart {
                image_url: part
                    .image_url
                    .take()
                    .ok_or_else(|| D::Error::missing_field("image_url"))?,
                extra: part.into_extra()?,
            }),
            "input_audio" => Self::InputAudio(AudioPart {
                input_audio: part
                    .input_audio
                    .take()
                    .ok_or_else(|| D::Error::missing_field("input_audio"))?,
                extra: part.into_extra()?,
            }),
            "file" => Self::File(FilePart {
                file: part.file.take().ok_or_else(|| D::Error::missing_field("file"))?,
                extra: part.into_extra()?,
            }),
            "refusal" => Self::Refusal(RefusalPart {
                refusal: part.refusal.take().ok_or_else(|| D::Error::missing_field("refusal"))?,
                extra: part.into_extra()?,
            }),
            _ => Self::Other(OtherPart {
                type_name: std::mem::take(&mut part.type_name),
                extra: part.into_extra()?,
            }),
        })
    }
}
