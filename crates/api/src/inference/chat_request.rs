//! The request for a chat completion.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::chat_message::ChatMessage;
use super::chat_options::{
    AudioOptions, Modality, Prediction, PromptCacheRetention, ReasoningEffort, ServiceTier, StopSequences,
    StreamOptions, Verbosity, WebSearchOptions,
};
use super::chat_tool::{ChatTool, FunctionCallChoice, FunctionDefinition, ToolChoice};
use super::response_format::ResponseFormat;

/// Asks a model for its next message in a conversation.
///
/// An absent field and `null` mean the same. Wire shape: OpenAI `POST /chat/completions`, whose ranges the fields tell; other
/// vendors take others. Fields it does not have are kept and handed on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a chat completion request: an object with `model` and `messages`")]
pub struct ChatCompletionRequest {
    /// The id of the model.
    pub model: String,
    /// The conversation so far, oldest message first.
    pub messages: Vec<ChatMessage>,
    /// How a spoken answer sounds; needed with the modality `audio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioOptions>,
    /// Makes tokens less likely the more often they were used, -2 to 2; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Which function to call. Deprecated by OpenAI for `tool_choice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_call: Option<FunctionCallChoice>,
    /// The functions that the model may call. Deprecated by OpenAI for `tools`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub functions: Option<Vec<FunctionDefinition>>,
    /// By token id: what is added to the logit of that token before sampling, -100 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, Number>>,
    /// Whether the answer tells how likely each of its tokens was; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// The most tokens to generate, thinking included; what the model and its context allow when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// The most tokens to generate. Deprecated by OpenAI for `max_completion_tokens`; other vendors know only this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Notes that are kept with the answer: 16 keys of 64 characters, with values of 512 characters, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
    /// The forms in which the model answers; text only when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modalities: Option<Vec<Modality>>,
    /// How many answers to make, 1 to 128; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Whether the model may call several tools at once; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Text that much of the answer is expected to repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
    /// Makes tokens less likely once they were used at all, -2 to 2; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// What requests with a like prompt have in common, so that the vendor's prompt cache serves them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// How long the vendor keeps its work on the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_cache_retention: Option<PromptCacheRetention>,
    /// How much the model should think; the model's own default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// The form that the answer has to take; text when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// Who the end user is, without telling (such as a hash), for the vendor's abuse detection; 64 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// Makes sampling repeatable, as far as the model can: the same seed and request give the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The service level that should process the request; `auto` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier>,
    /// Texts at which generation stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopSequences>,
    /// Whether the completion is kept, to be read again later; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// Whether the answer comes in chunks while it is made; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// What a stream holds beside the answer; only with `stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// How much chance there is in sampling, 0 to 2; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Which tools the model has to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// The tools that the model may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ChatTool>>,
    /// How many of the likeliest tokens the answer tells at each place, 0 to 20; needs `logprobs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u32>,
    /// Samples only from the likeliest tokens that together have this probability, 0 to 1; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Who the end user is. Deprecated by OpenAI for `safety_identifier` and `prompt_cache_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How long the answer should be; `medium` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<Verbosity>,
    /// What the model may look up on the web; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_search_options: Option<WebSearchOptions>,
    /// Fields not named here, such as `top_k` or `guided_json` of vLLM.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl ChatCompletionRequest {
    /// A request that leaves everything but the conversation to its default.
    pub fn new(model: impl Into<String>, messages: Vec<ChatMessage>) -> Self {
        Self {
            model: model.into(),
            messages,
            ..Self::default()
        }
    }

    /// The most tokens to generate, by either of its two names; the newer one wins.
    pub fn token_limit(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// Whether a stream is to end with a usage chunk.
    pub fn includes_usage(&self) -> bool {
        self.stream_options
            .as_ref()
            .and_then(|options| options.include_usage)
            .unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
