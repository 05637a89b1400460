//! The answer to a chat completion request, in one piece.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::chat_options::ServiceTier;
use super::open_enum::open_enum;
use super::tool_call::{FunctionCall, ToolCall};
use super::usage::CompletionUsage;

const CHAT_COMPLETION: &str = "chat.completion";

/// What a model answered in a conversation.
///
/// Wire shape: OpenAI `POST /chat/completions` without `stream`. What an upstream leaves out of `id`, `object`, `created` and
/// `model` reads as empty, zero or the usual value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a chat completion: an object with `choices`")]
pub struct ChatCompletion {
    /// The id of the completion.
    #[serde(default)]
    pub id: String,
    /// Always `chat.completion`.
    #[serde(default = "chat_completion_object")]
    #[schemars(extend("enum" = ["chat.completion"]))]
    pub object: String,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// The id of the model.
    #[serde(default)]
    pub model: String,
    /// The answers, as many as `n` asked for.
    pub choices: Vec<ChatCompletionChoice>,
    /// The tokens it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<CompletionUsage>,
    /// The service level that processed the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// What the model ran on, so that a caller who sets `seed` sees when that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ChatCompletion {
    /// An answer without usage; `created` is in seconds since 1970.
    pub fn new(
        id: impl Into<String>,
        created: u64,
        model: impl Into<String>,
        choices: Vec<ChatCompletionChoice>,
    ) -> Self {
        Self {
            id: id.into(),
            object: chat_completion_object(),
            created,
            model: model.into(),
            choices,
            usage: None,
            service_tier: None,
            system_fingerprint: None,
            extra: Map::new(),
        }
    }
}

fn chat_completion_object() -> String {
    CHAT_COMPLETION.to_owned()
}

/// One of the answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a choice: an object with `index` and `message`")]
pub struct ChatCompletionChoice {
    /// Which of the answers this is, from 0.
    pub index: u32,
    /// What the model said.
    pub message: ChatCompletionMessage,
    /// How likely its tokens were; null unless `logprobs` asked.
    #[serde(default)]
    pub logprobs: Option<ChatLogprobs>,
    /// Why the model stopped; null where the upstream does not tell.
    #[serde(default)]
    pub finish_reason: Option<FinishReason>,
    /// Fields not named here, such as `stop_reason` of vLLM.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ChatCompletionChoice {
    /// An answer without log probabilities.
    pub fn new(index: u32, message: ChatCompletionMessage, finish_reason: FinishReason) -> Self {
        Self {
            index,
            message,
            logprobs: None,
            finish_reason: Some(finish_reason),
            extra: Map::new(),
        }
    }
}

open_enum! {
    /// Why a model stopped.
    FinishReason {
        /// It was done, or came to a stop sequence.
        Stop = "stop",
        /// It reached the most tokens that the request or its context allows.
        Length = "length",
        /// It wants tools called.
        ToolCalls = "tool_calls",
        /// A filter left something out.
        ContentFilter = "content_filter",
        /// It wants a function called. Deprecated by OpenAI for `tool_calls`.
        FunctionCall = "function_call",
    }
}

open_enum! {
    /// Who says a message.
    MessageRole {
        /// The application's developer.
        Developer = "developer",
        /// The application.
        System = "system",
        /// A user.
        User = "user",
        /// The model.
        Assistant = "assistant",
        /// A tool.
        Tool = "tool",
        /// A function. Deprecated by OpenAI for `tool`.
        Function = "function",
    }
}

/// The message that a model answered with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a message: an object with a `role`")]
pub struct ChatCompletionMessage {
    /// Always `assistant`.
    #[serde(default = "assistant")]
    pub role: MessageRole,
    /// What the model said; null where it called tools or refused instead.
    #[serde(default)]
    pub content: Option<String>,
    /// What the model said when it refused; null otherwise.
    #[serde(default)]
    pub refusal: Option<String>,
    /// What the model thought before it spoke, as vLLM, DeepSeek and others tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The same under the name that newer vLLM, Ollama and OpenRouter use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// The tools that the model wants called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The function that the model wants called. Deprecated by OpenAI for `tool_calls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCall>,
    /// What the text refers to, after a web search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Vec<Annotation>>,
    /// The answer as speech.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioOutput>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ChatCompletionMessage {
    /// A message of text.
    pub fn text(content: impl Into<String>) -> Self {
        Self {
            content: Some(content.into()),
            ..Self::default()
        }
    }
}

impl Default for ChatCompletionMessage {
    /// A message of the assistant that says nothing.
    fn default() -> Self {
        Self {
            role: assistant(),
            content: None,
            refusal: None,
            reasoning_content: None,
            reasoning: None,
            tool_calls: None,
            function_call: None,
            annotations: None,
            audio: None,
            extra: Map::new(),
        }
    }
}

fn assistant() -> MessageRole {
    MessageRole::Assistant
}

/// What a piece of text refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an annotation: an object with a `type`")]
pub struct Annotation {
    /// The kind of annotation.
    #[serde(rename = "type")]
    pub kind: AnnotationKind,
    /// The web page that a piece of text refers to; there with the kind `url_citation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_citation: Option<UrlCitation>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

open_enum! {
    /// The kind of an annotation.
    AnnotationKind {
        /// A reference to a web page.
        UrlCitation = "url_citation",
    }
}

/// A reference to a web page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `start_index`, `end_index`, `url` and `title`")]
pub struct UrlCitation {
    /// Where the text that refers begins, in characters of the message.
    pub start_index: u64,
    /// Where it ends: the last character of it.
    pub end_index: u64,
    /// The address of the page.
    pub url: String,
    /// The title of the page.
    pub title: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A spoken answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `id`, `expires_at`, `data` and `transcript`")]
pub struct AudioOutput {
    /// The id by which later requests refer to it.
    pub id: String,
    /// Until when they can, in seconds since 1970.
    pub expires_at: u64,
    /// The audio in the format that the request asked for, base64.
    pub data: String,
    /// What is said, as text.
    pub transcript: String,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// How likely the tokens of an answer were.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `content` and `refusal`")]
pub struct ChatLogprobs {
    /// The tokens of the content.
    #[serde(default)]
    pub content: Option<Vec<TokenLogprob>>,
    /// The tokens of the refusal.
    #[serde(default)]
    pub refusal: Option<Vec<TokenLogprob>>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A token, how likely it was, and what else was likely in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `token` and `logprob`")]
pub struct TokenLogprob {
    /// The token as text.
    pub token: String,
    /// The natural logarithm of its probability; -9999 stands for next to none.
    pub logprob: f64,
    /// The bytes of the token, for where it is but a part of a character; null where there are none.
    #[serde(default)]
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens in this place, likeliest first; as many as `top_logprobs` asked for.
    #[serde(default)]
    pub top_logprobs: Vec<TopLogprob>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

/// A token and how likely it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object with `token` and `logprob`")]
pub struct TopLogprob {
    /// The token as text.
    pub token: String,
    /// The natural logarithm of its probability; -9999 stands for next to none.
    pub logprob: f64,
    /// The bytes of the token, for where it is but a part of a character; null where there are none.
    #[serde(default)]
    pub bytes: Option<Vec<u8>>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

#[cfg(test)]
mod tests;
