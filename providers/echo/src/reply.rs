//! What a chat is answered with.

use puna_api::{
    ChatCompletionRequest, ChatMessage, ContentPart, MessageContent, Modality, ReasoningEffort, ResponseFormat, Result,
    Verbosity,
};
use serde_json::{Value, json};

use crate::check::{absent, answer_size, choices, invalid, nothing_unknown, penalties, sampling, stop, unsupported};
use crate::generation::{Generated, Limits, with_length};
use crate::provider::Call as Asked;
use crate::schema::instance;
use crate::tools::{Call, calls};
use crate::words::count;

/// The answer of every choice, and what it cost.
pub(crate) struct Reply {
    pub(crate) content: Content,
    pub(crate) n: u32,
    pub(crate) prompt_tokens: u64,
}

/// What a message holds.
#[derive(Clone)]
pub(crate) enum Content {
    Text(Generated),
    Calls(Vec<Call>),
}

impl Reply {
    /// Reads a request and decides on the answer. Fails for every field that would change it and is not honoured.
    pub(crate) fn to(request: &ChatCompletionRequest, asked: &Asked) -> Result<Self> {
        let limits = check(request)?;
        let n = choices(request.n)?;
        let texts = texts(&request.messages)?;
        let last = texts.last().map_or("", String::as_str);
        let calls = calls(request, last)?;
        let content = if calls.is_empty() {
            Content::Text(limits.apply(&said(request, last, asked)?))
        } else {
            Content::Calls(calls)
        };
        let reply = Self {
            content,
            n,
            prompt_tokens: texts.iter().map(|text| count(text)).sum(),
        };
        answer_size(n, reply.size())?;
        Ok(reply)
    }

    /// The tokens of one choice.
    pub(crate) fn tokens(&self) -> u64 {
        match &self.content {
            Content::Text(generated) => generated.tokens(),
            Content::Calls(calls) => calls.iter().map(|call| 1 + count(&call.arguments)).sum(),
        }
    }

    fn size(&self) -> usize {
        match &self.content {
            Content::Text(generated) => generated.text.len(),
            Content::Calls(calls) => calls.iter().map(|call| call.arguments.len()).sum(),
        }
    }
}

/// Checks all fields but messages, tools and the format.
fn check(request: &ChatCompletionRequest) -> Result<Limits> {
    nothing_unknown(&request.extra)?;
    sampling(request.temperature, request.top_p)?;
    penalties(request.frequency_penalty, request.presence_penalty)?;
    absent([
        ("audio", request.audio.is_some()),
        ("function_call", request.function_call.is_some()),
        ("functions", request.functions.is_some()),
        (
            "logit_bias",
            request.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()),
        ),
        ("logprobs", request.logprobs == Some(true)),
        (
            "modalities",
            request
                .modalities
                .as_ref()
                .is_some_and(|all| all.iter().any(|one| *one != Modality::Text)),
        ),
        (
            "reasoning_effort",
            request
                .reasoning_effort
                .as_ref()
                .is_some_and(|effort| *effort != ReasoningEffort::None),
        ),
        ("top_logprobs", request.top_logprobs.is_some()),
        (
            "verbosity",
            request
                .verbosity
                .as_ref()
                .is_some_and(|verbosity| *verbosity != Verbosity::Medium),
        ),
        ("web_search_options", request.web_search_options.is_some()),
    ])?;
    for (field, limit) in [
        ("max_tokens", request.max_tokens),
        ("max_completion_tokens", request.max_completion_tokens),
    ] {
        if limit == Some(0) {
            return Err(invalid(field, "0 tokens are no answer; 1 or more is right"));
        }
    }
    Ok(Limits {
        tokens: request.token_limit(),
        stop: stop(request.stop.as_ref())?,
    })
}

/// The text of each message.
fn texts(messages: &[ChatMessage]) -> Result<Vec<String>> {
    if messages.is_empty() {
        return Err(invalid("messages", "no messages; one or more is right"));
    }
    messages
        .iter()
        .enumerate()
        .map(|(index, message)| {
            if let ChatMessage::Other(message) = message {
                let known = "developer, system, user, assistant, tool and function";
                return Err(invalid(
                    format!("messages[{index}].role"),
                    format!("`{}` is not a role; {known} are", message.role),
                ));
            }
            match message.content() {
                None => Ok(String::new()),
                Some(MessageContent::Text(text)) => Ok(text.clone()),
                Some(MessageContent::Parts(parts)) => parts
                    .iter()
                    .enumerate()
                    .map(|(part_index, part)| match part {
                        ContentPart::Text(part) => Ok(part.text.as_str()),
                        ContentPart::Refusal(part) => Ok(part.refusal.as_str()),
                        other => Err(unsupported(format!(
                            "messages[{index}].content[{part_index}].{}",
                            other.type_name()
                        ))),
                    })
                    .collect(),
            }
        })
        .collect()
}

/// The last text in the form that the request asks for, and of the length that the configuration does.
fn said(request: &ChatCompletionRequest, last: &str, asked: &Asked) -> Result<String> {
    match &request.response_format {
        None | Some(ResponseFormat::Text(_)) => Ok(match asked.answer_tokens {
            Some(tokens) => with_length(last, tokens.get()),
            None => last.to_owned(),
        }),
        Some(ResponseFormat::JsonObject(_)) => Ok(json!({ "echo": last }).to_string()),
        Some(ResponseFormat::JsonSchema(format)) => {
            let place = "response_format.json_schema.schema";
            let schema = format
                .json_schema
                .schema
                .clone()
                .map_or_else(|| json!({ "type": "object" }), Value::Object);
            Ok(instance(&schema, place, last)?.to_string())
        }
        Some(ResponseFormat::Other(format)) => Err(invalid(
            "response_format.type",
            format!(
                "`{}` is not one; `text`, `json_object` and `json_schema` are",
                format.type_name
            ),
        )),
    }
}
