//! The answer to a chat completion request, piece by piece.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::chat_options::ServiceTier;
use super::chat_response::{ChatLogprobs, FinishReason, MessageRole};
use super::tool_call::{FunctionCallDelta, ToolCallDelta};
use super::usage::CompletionUsage;

const CHAT_COMPLETION_CHUNK: &str = "chat.completion.chunk";

/// A piece of a streamed answer.
///
/// Wire shape: OpenAI `POST /chat/completions` with `stream`. What an upstream leaves out of `id`, `object`, `created` and
/// `model` reads as empty, zero or the usual value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a chat completion chunk: an object with `choices`")]
pub struct ChatCompletionChunk {
    /// The id of the completion, the same in all of its chunks.
    #[serde(default)]
    pub id: String,
    /// Always `chat.completion.chunk`.
    #[serde(default = "chat_completion_chunk_object")]
    #[schemars(extend("enum" = ["chat.completion.chunk"]))]
    pub object: String,
    /// When the completion was begun, in seconds since 1970, the same in all of its chunks.
    #[serde(default)]
    pub created: u64,
    /// The id of the model.
    #[serde(default)]
    pub model: String,
    /// Pieces of one or more of the answers; none in the chunk that tells the usage.
    pub choices: Vec<ChatCompletionChunkChoice>,
    /// The tokens that the completion took, in the last chunk if `stream_options.include_usage` asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<CompletionUsage>,
    /// The service level that processes the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// What the model runs on, so that a caller who sets `seed` sees when that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ChatCompletionChunk {
    /// A chunk without usage; `created` is in seconds since 1970.
    pub fn new(
        id: impl Into<String>,
        created: u64,
        model: impl Into<String>,
        choices: Vec<ChatCompletionChunkChoice>,
    ) -> Self {
        Self {
            id: id.into(),
            object: chat_completion_chunk_object(),
            created,
            model: model.into(),
            choices,
            usage: None,
            service_tier: None,
            system_fingerprint: None,
            extra: Map::new(),
        }
    }

    /// The chunk that ends a stream with its usage.
    pub fn usage(id: impl Into<String>, created: u64, model: impl Into<String>, usage: CompletionUsage) -> Self {
        Self {
            usage: Some(usage),
            ..Self::new(id, created, model, Vec::new())
        }
    }
}

fn chat_completion_chunk_object() -> String {
    CHAT_COMPLETION_CHUNK.to_owned()
}

/// A piece of one of the answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a choice: an object with `index` and `delta`")]
pub struct ChatCompletionChunkChoice {
    /// Which of the answers this is a piece of, from 0.
    pub index: u32,
    /// What this piece adds to the message.
    pub delta: ChatCompletionDelta,
    /// How likely the tokens of this piece were; null unless `logprobs` asked.
    #[serde(default)]
    pub logprobs: Option<ChatLogprobs>,
    /// Why the model stopped, in the last piece of the answer; null in the others.
    #[serde(default)]
    pub finish_reason: Option<FinishReason>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ChatCompletionChunkChoice {
    /// A piece of an answer.
    pub fn new(index: u32, delta: ChatCompletionDelta) -> Self {
        Self {
            index,
            delta,
            logprobs: None,
            finish_reason: None,
            extra: Map::new(),
        }
    }

    /// The last piece of an answer, which adds nothing but the reason why it ends.
    pub fn finish(index: u32, finish_reason: FinishReason) -> Self {
        Self {
            finish_reason: Some(finish_reason),
            ..Self::new(index, ChatCompletionDelta::default())
        }
    }
}

/// What a chunk adds to a message: texts go to the end of those before, tool calls go by their index.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub struct ChatCompletionDelta {
    /// Who speaks, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MessageRole>,
    /// More of what the model says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// More of what the model says when it refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// More of what the model thinks before it speaks, as vLLM, DeepSeek and others tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same under the name that newer vLLM, Ollama and OpenRouter use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// More of the tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCallDelta>>,
    /// More of the function call. Deprecated by OpenAI for `tool_calls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCallDelta>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ChatCompletionDelta {
    /// The first piece of an answer, which tells who speaks and has an empty text.
    pub fn role(role: MessageRole) -> Self {
        Self {
            role: Some(role),
            content: Some(String::new()),
            ..Self::default()
        }
    }

    /// More text.
    pub fn content(text: impl Into<String>) -> Self {
        Self {
            content: Some(text.into()),
            ..Self::default()
        }
    }
}
