//! Completions: a model continues a text.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use super::chat_options::{StopSequences, StreamOptions};
use super::chat_response::{FinishReason, TokenLogprob};
use super::text_input::TextInput;
use super::usage::CompletionUsage;

const TEXT_COMPLETION: &str = "text_completion";

/// Asks a model to continue a text.
///
/// An absent field and `null` mean the same. Wire shape: OpenAI `POST /completions`, whose ranges the fields tell; other vendors
/// take others. Fields it does not have are kept and handed on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a completion request: an object with `model` and `prompt`")]
pub struct CompletionRequest {
    /// The id of the model.
    pub model: String,
    /// The text or texts to continue; the beginning of a new document when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<TextInput>,
    /// Makes this many and answers the `n` likeliest of them, 0 to 20; 1 when absent. Not with `stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_of: Option<u32>,
    /// Whether the answer begins with the prompt; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<bool>,
    /// Makes tokens less likely the more often they were used, -2 to 2; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// By token id: what is added to the logit of that token before sampling, -100 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logit_bias: Option<BTreeMap<String, Number>>,
    /// How many of the likeliest tokens the answer tells at each place, 0 to 5, beside the chosen one; nothing when absent.
    ///
    /// Llama Stack has a boolean here: `true` reads as 1, `false` as absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "count_or_boolean"
    )]
    #[schemars(extend("type" = ["integer", "boolean", "null"]))]
    pub logprobs: Option<u32>,
    /// The most tokens to generate; 16 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How many answers to make for each prompt, 1 to 128; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Makes tokens less likely once they were used at all, -2 to 2; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Makes sampling repeatable, as far as the model can: the same seed and request give the same answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts at which generation stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopSequences>,
    /// Whether the answer comes in chunks while it is made; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// What a stream holds beside the answer; only with `stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// The text that comes after the answer, so that the answer fills a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// How much chance there is in sampling, 0 to 2; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Samples only from the likeliest tokens that together have this probability, 0 to 1; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Who the end user is, without telling (such as a hash), for the vendor's abuse detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Fields not named here, such as `guided_regex` of vLLM.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl CompletionRequest {
    /// A request that leaves everything but the text to its default.
    pub fn new(model: impl Into<String>, prompt: impl Into<TextInput>) -> Self {
        Self {
            model: model.into(),
            prompt: Some(prompt.into()),
            ..Self::default()
        }
    }

    /// Whether a stream is to end with a usage chunk.
    pub fn includes_usage(&self) -> bool {
        self.stream_options
            .as_ref()
            .and_then(|options| options.include_usage)
            .unwrap_or(false)
    }
}

/// How a model continued a text; in a stream, a piece of that.
///
/// Wire shape: OpenAI `POST /completions`. What an upstream leaves out of `id`, `object`, `created` and `model` reads as empty,
/// zero or the usual value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a completion: an object with `choices`")]
pub struct Completion {
    /// The id of the completion, the same in all of its chunks.
    #[serde(default)]
    pub id: String,
    /// Always `text_completion`, in streams too.
    #[serde(default = "text_completion_object")]
    #[schemars(extend("enum" = ["text_completion"]))]
    pub object: String,
    /// When it was made, in seconds since 1970.
    #[serde(default)]
    pub created: u64,
    /// The id of the model.
    #[serde(default)]
    pub model: String,
    /// The answers: `n` to each prompt. In a stream, pieces of them, or none in the chunk that tells the usage.
    pub choices: Vec<CompletionChoice>,
    /// The tokens it took. In a stream, in the last chunk if `stream_options.include_usage` asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<CompletionUsage>,
    /// What the model ran on, so that a caller who sets `seed` sees when that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_fingerprint: Option<String>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl Completion {
    /// An answer, or a piece of one, without usage; `created` is in seconds since 1970.
    pub fn new(id: impl Into<String>, created: u64, model: impl Into<String>, choices: Vec<CompletionChoice>) -> Self {
        Self {
            id: id.into(),
            object: text_completion_object(),
            created,
            model: model.into(),
            choices,
            usage: None,
            system_fingerprint: None,
            extra: Map::new(),
        }
    }
}

fn text_completion_object() -> String {
    TEXT_COMPLETION.to_owned()
}

/// One of the answers, or a piece of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a choice: an object with `index` and `text`")]
pub struct CompletionChoice {
    /// Which of the answers this is, from 0: `n` of the first prompt, then `n` of the second, and so on.
    pub index: u32,
    /// What the model wrote.
    pub text: String,
    /// How likely its tokens were; null unless `logprobs` asked.
    #[serde(default)]
    pub logprobs: Option<CompletionLogprobs>,
    /// Why the model stopped; null in all pieces of a stream but the last of each answer.
    #[serde(default)]
    pub finish_reason: Option<FinishReason>,
    /// Fields not named here, such as `stop_reason` of vLLM.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

impl CompletionChoice {
    /// An answer, or a piece of one when there is no reason to finish, without log probabilities.
    pub fn new(index: u32, text: impl Into<String>, finish_reason: Option<FinishReason>) -> Self {
        Self {
            index,
            text: text.into(),
            logprobs: None,
            finish_reason,
            extra: Map::new(),
        }
    }
}

/// How likely the tokens of a text were: lists of equal length, one entry for each token.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "an object")]
pub struct CompletionLogprobs {
    /// Where each token begins, in characters of the text, or of prompt and text with `echo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_offset: Option<Vec<u64>>,
    /// The natural logarithm of each token's probability; null for the first token of a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_logprobs: Option<Vec<Option<f64>>>,
    /// The tokens as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Vec<String>>,
    /// The likeliest tokens in each place with the logarithms of their probabilities; null for the first token of a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<Vec<Option<BTreeMap<String, f64>>>>,
    /// The tokens in the shape of chat completions, as llama.cpp and Llama Stack tell them instead of the lists above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<TokenLogprob>>,
    /// The tokens of a refusal, where Llama Stack tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Vec<TokenLogprob>>,
    /// Fields not named here.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Map<String, Value>,
}

fn count_or_boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_any(CountOrBoolean)
}

struct CountOrBoolean;

impl Visitor<'_> for CountOrBoolean {
    type Value = Option<u32>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number that is not negative")
    }

    fn visit_unit<E: Error>(self) -> Result<Option<u32>, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, wanted: bool) -> Result<Option<u32>, E> {
        Ok(wanted.then_some(1))
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Option<u32>, E> {
        u32::try_from(count)
            .map(Some)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(count), &self))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::round_trip::{assert_round_trip, fault, read};
    use super::*;

    #[test]
    fn requests_survive_a_round_trip() {
        assert_round_trip::<CompletionRequest>(&json!({
            "model": "vllm/base", "prompt": ["Once upon", "In the"], "best_of": 2, "echo": true, "frequency_penalty": 0.5,
            "logit_bias": {"50256": -100, "198": 1.5}, "logprobs": 2, "max_tokens": 16, "n": 2, "presence_penalty": -0.5,
            "seed": -7, "stop": ["\n", "END"], "stream": true,
            "stream_options": {"include_usage": true, "continuous_usage_stats": true}, "suffix": "the end",
            "temperature": 0.7, "top_p": 0.9, "user": "u-1",
            "guided_regex": "[a-z]+", "top_k": 40, "big": 18_446_744_073_709_551_615_u64, "nested": {"a": [null, 1e-3, {}]},
        }));
    }

    #[test]
    fn null_and_absent_are_the_same() {
        let request = read::<CompletionRequest>(&json!({"model": "m", "prompt": null, "logprobs": null, "stop": null}));
        assert_eq!(
            request,
            CompletionRequest {
                model: "m".to_owned(),
                ..CompletionRequest::default()
            }
        );
        assert_eq!(serde_json::to_value(&request).unwrap(), json!({"model": "m"}));
    }

    #[test]
    fn logprobs_may_be_a_boolean() {
        for (value, count) in [
            (json!(true), Some(1)),
            (json!(false), None),
            (json!(0), Some(0)),
            (json!(5), Some(5)),
        ] {
            let request = read::<CompletionRequest>(&json!({"model": "m", "prompt": "p", "logprobs": value}));
            assert_eq!(request.logprobs, count, "{value}");
        }
    }

    #[test]
    fn faults_name_the_field() {
        let cases = [
            (
                json!({"model": "m", "prompt": {"a": 1}}),
                "prompt",
                "expected a string, an array of strings",
            ),
            (
                json!({"model": "m", "prompt": ["a", 2]}),
                "prompt[1]",
                "expected a string",
            ),
            (
                json!({"model": "m", "prompt": "p", "logprobs": -1}),
                "logprobs",
                "a whole number that is not negative",
            ),
            (
                json!({"model": "m", "prompt": "p", "logprobs": 4_294_967_296_u64}),
                "logprobs",
                "a whole number",
            ),
            (
                json!({"model": "m", "prompt": "p", "stop": 5}),
                "stop",
                "expected a string or an array of strings",
            ),
            (
                json!({"model": "m", "prompt": "p", "stop": ["a", 5]}),
                "stop[1]",
                "expected a string",
            ),
            (
                json!({"model": "m", "prompt": "p", "logit_bias": {"7": "x"}}),
                "logit_bias.7",
                "expected a JSON number",
            ),
            (json!({"model": 5, "prompt": "p"}), "model", "expected a string"),
            (json!({"prompt": "p"}), "", "missing field `model`"),
            (
                json!([]),
                "",
                "expected a completion request: an object with `model` and `prompt`",
            ),
        ];
        for (value, path, message) in cases {
            let fault = fault::<CompletionRequest>(&value);
            assert_eq!(fault.path, path, "{value}: {fault}");
            assert!(fault.message.contains(message), "{value}: {fault}");
        }
    }

    #[test]
    fn answers_survive_a_round_trip() {
        assert_round_trip::<Completion>(&json!({
            "id": "cmpl-1", "object": "text_completion", "created": 1_700_000_000, "model": "base",
            "choices": [{
                "index": 0, "text": "Hi you", "finish_reason": "length", "stop_reason": null,
                "logprobs": {
                    "text_offset": [0, 2], "token_logprobs": [null, -0.25], "tokens": ["Hi", " you"],
                    "top_logprobs": [null, {" you": -0.25, " me": -3.5}],
                },
            }],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}},
            "system_fingerprint": "fp_1", "kv_transfer_params": null,
        }));
        assert_round_trip::<Completion>(&json!({
            "id": "cmpl-2", "object": "text_completion", "created": 1_700_000_000, "model": "base",
            "choices": [{
                "index": 0, "text": "Hi", "finish_reason": "eos_token",
                "logprobs": {"content": [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [], "id": 13}]},
            }],
        }));
    }

    #[test]
    fn a_piece_of_a_stream_tells_null_for_what_is_not_yet_known() {
        let piece = Completion::new(
            "cmpl-1",
            1_700_000_000,
            "base",
            vec![CompletionChoice::new(0, "Hi", None)],
        );
        assert_eq!(
            serde_json::to_value(&piece).unwrap(),
            json!({
                "id": "cmpl-1", "object": "text_completion", "created": 1_700_000_000, "model": "base",
                "choices": [{"index": 0, "text": "Hi", "logprobs": null, "finish_reason": null}],
            }),
        );
    }
}
