//! The smaller options of a chat completion request, some of which completions share.

use std::slice;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::message_content::MessageContent;
use super::open_enum::open_enum;
use super::string_or::{StringOr, string_or_array, string_or_object};

/// Texts at which generation stops; they are no part of the answer. At most four at OpenAI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum StopSequences {
    /// One text.
    One(String),
    /// Several texts.
    Many(Vec<String>),
}

impl StopSequences {
    /// The texts.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl<'de> Deserialize<'de> for StopSequences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(
            match string_or_array(deserializer, "a string or an array of strings")? {
                StringOr::String(text) => Self::One(text),
                StringOr::Value(texts) => Self::Many(texts),
            },
        )
    }
}

/// What a stream holds beside the answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub struct StreamOptions {
    /// Whether a last chunk, with empty `choices`, tells the usage; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
    /// Whether chunks are padded so that their sizes do not tell what they hold; the server decides when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_obfuscation: Option<bool>,
    /// Fields not named here, such as `continuous_usage_stats` of vLLM.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// How a spoken answer sounds and is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `voice` and `format`")]
pub struct AudioOptions {
    /// The voice.
    pub voice: Voice,
    /// The encoding.
    pub format: AudioFormat,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A voice: one that the vendor has, or one that was made for the caller.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Voice {
    /// A voice of the vendor by name, such as `alloy` or `marin` at OpenAI.
    Name(String),
    /// A custom voice.
    Custom(CustomVoice),
}

/// A custom voice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with an `id`")]
pub struct CustomVoice {
    /// The id of the voice.
    pub id: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Voice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(
            match string_or_object(deserializer, "the name of a voice or an object with an `id`")? {
                StringOr::String(name) => Self::Name(name),
                StringOr::Value(voice) => Self::Custom(voice),
            },
        )
    }
}

/// Text that much of the answer is expected to repeat, which makes the answer faster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `type` and `content`")]
pub struct Prediction {
    /// The kind of prediction.
    #[serde(rename = "type")]
    pub kind: PredictionKind,
    /// The text, as one or in parts.
    pub content: MessageContent,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// What the model may look up on the web, and for whom.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub struct WebSearchOptions {
    /// How much of what was found the model gets to see; `medium` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_context_size: Option<WebSearchContextSize>,
    /// Where the user is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_location: Option<WebSearchUserLocation>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// Where the user of a web search is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `type` and `approximate`")]
pub struct WebSearchUserLocation {
    /// The kind of location.
    #[serde(rename = "type")]
    pub kind: UserLocationKind,
    /// The place.
    pub approximate: WebSearchLocation,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A place, as closely as the caller wants to tell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub struct WebSearchLocation {
    /// The country, as a code of two letters (ISO 3166-1), such as `PE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The region, as free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The city, as free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The time zone, as an IANA name such as `America/Lima`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

open_enum! {
    /// The encoding of a spoken answer.
    AudioFormat {
        /// WAV.
        Wav = "wav",
        /// AAC.
        Aac = "aac",
        /// MP3.
        Mp3 = "mp3",
        /// FLAC.
        Flac = "flac",
        /// Opus.
        Opus = "opus",
        /// Bare samples of 16 bits.
        Pcm16 = "pcm16",
    }
}

open_enum! {
    /// The kind of a prediction.
    PredictionKind {
        /// Text that the answer repeats.
        Content = "content",
    }
}

open_enum! {
    /// The kind of a user's location.
    UserLocationKind {
        /// A place, roughly.
        Approximate = "approximate",
    }
}

open_enum! {
    /// How much of what a web search found the model gets to see.
    WebSearchContextSize {
        /// Little: cheap and quick.
        Low = "low",
        /// Some.
        Medium = "medium",
        /// Much.
        High = "high",
    }
}

open_enum! {
    /// A form in which a model can answer.
    Modality {
        /// Text.
        Text = "text",
        /// Speech.
        Audio = "audio",
    }
}

open_enum! {
    /// How long answers should be.
    Verbosity {
        /// Short.
        Low = "low",
        /// Neither short nor long.
        Medium = "medium",
        /// Long.
        High = "high",
    }
}

open_enum! {
    /// How much a model should think before it answers.
    ReasoningEffort {
        /// Not at all.
        None = "none",
        /// As little as it can.
        Minimal = "minimal",
        /// A little.
        Low = "low",
        /// Some.
        Medium = "medium",
        /// Much.
        High = "high",
        /// As much as it can.
        ExtraHigh = "xhigh",
    }
}

open_enum! {
    /// Which of a vendor's service levels processes, or processed, a request.
    ServiceTier {
        /// As the caller's project is set up.
        Auto = "auto",
        /// The usual one.
        Default = "default",
        /// Cheaper and slower.
        Flex = "flex",
        /// Bought capacity.
        Scale = "scale",
        /// Faster and dearer.
        Priority = "priority",
    }
}

open_enum! {
    /// How long a vendor keeps the work done on a prompt for later requests.
    PromptCacheRetention {
        /// As long as it stays in memory.
        InMemory = "in-memory",
        /// Up to 24 hours.
        OneDay = "24h",
    }
}
