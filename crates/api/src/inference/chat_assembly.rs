//! From the chunks of a stream to the answer that they are.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::chat_chunk::{ChatCompletionChunk, ChatCompletionChunkChoice, ChatCompletionDelta};
use super::chat_response::{
    ChatCompletion, ChatCompletionChoice, ChatCompletionMessage, ChatLogprobs, FinishReason, MessageRole, TokenLogprob,
};
use super::tool_call::{
    CustomCall, CustomCallDelta, CustomToolCall, FunctionCall, FunctionCallDelta, FunctionToolCall, OtherToolCall,
    ToolCall, ToolCallDelta,
};

/// Texts of these names are told once, or again and again, but never piece by piece.
const WHOLE_TEXTS: &[&str] = &["format", "id", "name", "role", "type"];

/// Makes of the chunks of a stream, in their order, the answer that the same request has without `stream`.
///
/// Texts go to the end of those before, log probabilities too; tool calls go by their index; of everything else the last word counts. Fields
/// without a name here follow the same rule: texts and arrays grow, objects are merged.
#[derive(Debug, Default)]
pub struct ChatAssembly {
    head: Option<ChatCompletion>,
    choices: BTreeMap<u32, ChoiceAssembly>,
}

#[derive(Debug, Default)]
struct ChoiceAssembly {
    delta: ChatCompletionDelta,
    tool_calls: BTreeMap<u32, ToolCallDelta>,
    logprobs: Option<ChatLogprobs>,
    finish_reason: Option<FinishReason>,
    extra: Map<String, Value>,
}

impl ChatAssembly {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk.
    pub fn add(&mut self, chunk: ChatCompletionChunk) {
        let head = self
            .head
            .get_or_insert_with(|| ChatCompletion::new(chunk.id, chunk.created, chunk.model, Vec::new()));
        replace(&mut head.usage, chunk.usage);
        replace(&mut head.service_tier, chunk.service_tier);
        replace(&mut head.system_fingerprint, chunk.system_fingerprint);
        merge(&mut head.extra, chunk.extra);
        for choice in chunk.choices {
            self.choices.entry(choice.index).or_default().add(choice);
        }
    }

    /// Whether this many answers have come, each with the reason why it ends.
    pub fn has_finished(&self, choices: usize) -> bool {
        self.choices.len() >= choices && self.choices.values().all(|choice| choice.finish_reason.is_some())
    }

    /// The answer; `None` where no chunk came.
    pub fn finish(self) -> Option<ChatCompletion> {
        let choices = self.choices.into_iter().map(|(index, choice)| choice.finish(index));
        let choices = choices.collect();
        self.head.map(|head| ChatCompletion { choices, ..head })
    }
}

impl ChoiceAssembly {
    fn add(&mut self, choice: ChatCompletionChunkChoice) {
        let ChatCompletionDelta {
            role,
            content,
            refusal,
            reasoning_content,
            reasoning,
            tool_calls,
            function_call,
            extra,
        } = choice.delta;
        let whole = &mut self.delta;
        replace(&mut whole.role, role);
        append(&mut whole.content, content);
        append(&mut whole.refusal, refusal);
        append(&mut whole.reasoning_content, reasoning_content);
        append(&mut whole.reasoning, reasoning);
        add_to_function(&mut whole.function_call, function_call);
        merge(&mut whole.extra, extra);
        for call in tool_calls.into_iter().flatten() {
            add_to_call(self.tool_calls.entry(call.index).or_default(), call);
        }
        if let Some(logprobs) = choice.logprobs {
            let whole = self.logprobs.get_or_insert_default();
            extend(&mut whole.content, logprobs.content);
            extend(&mut whole.refusal, logprobs.refusal);
            merge(&mut whole.extra, logprobs.extra);
        }
        replace(&mut self.finish_reason, choice.finish_reason);
        merge(&mut self.extra, choice.extra);
    }

    fn finish(self, index: u32) -> ChatCompletionChoice {
        let delta = self.delta;
        let function_call = delta.function_call.map(function);
        let tool_calls: Vec<_> = self.tool_calls.into_values().map(tool_call).collect();
        // A stream begins with an empty text, whatever comes then; an answer in one piece has none where something else is there instead.
        let is_instead = !tool_calls.is_empty() || function_call.is_some() || delta.refusal.is_some();
        ChatCompletionChoice {
            index,
            message: ChatCompletionMessage {
                role: delta.role.unwrap_or(MessageRole::Assistant),
                content: delta.content.filter(|content| !(content.is_empty() && is_instead)),
                refusal: delta.refusal,
                reasoning_content: delta.reasoning_content,
                reasoning: delta.reasoning,
                tool_calls: (!tool_calls.is_empty()).then_some(tool_calls),
                function_call,
                extra: delta.extra,
                ..ChatCompletionMessage::default()
            },
            logprobs: self.logprobs,
            finish_reason: self.finish_reason,
            extra: self.extra,
        }
    }
}

fn add_to_call(whole: &mut ToolCallDelta, call: ToolCallDelta) {
    // Some servers tell the id and the name again in every piece, or an empty one.
    keep_first(&mut whole.id, call.id);
    keep_first(&mut whole.type_name, call.type_name);
    add_to_function(&mut whole.function, call.function);
    if let Some(CustomCallDelta { name, input, extra }) = call.custom {
        let whole = whole.custom.get_or_insert_default();
        keep_first(&mut whole.name, name);
        append(&mut whole.input, input);
        merge(&mut whole.extra, extra);
    }
    merge(&mut whole.extra, call.extra);
}

fn add_to_function(whole: &mut Option<FunctionCallDelta>, call: Option<FunctionCallDelta>) {
    let Some(FunctionCallDelta { name, arguments, extra }) = call else {
        return;
    };
    let whole = whole.get_or_insert_default();
    keep_first(&mut whole.name, name);
    append(&mut whole.arguments, arguments);
    merge(&mut whole.extra, extra);
}

fn tool_call(call: ToolCallDelta) -> ToolCall {
    let id = call.id.unwrap_or_default();
    let mut extra = call.extra;
    match (call.type_name.as_deref(), call.function, call.custom) {
        (None | Some("function"), Some(call), None) => ToolCall::Function(FunctionToolCall {
            id,
            function: function(call),
            extra,
        }),
        (None | Some("custom"), None, Some(call)) => ToolCall::Custom(CustomToolCall {
            id,
            custom: CustomCall {
                name: call.name.unwrap_or_default(),
                input: call.input.unwrap_or_default(),
                extra: call.extra,
            },
            extra,
        }),
        (type_name, function, custom) => {
            let parts = [
                ("id", Some(Value::from(id))),
                ("function", function.and_then(|call| serde_json::to_value(call).ok())),
                ("custom", custom.and_then(|call| serde_json::to_value(call).ok())),
            ];
            for (name, part) in parts {
                extra.extend(part.map(|part| (name.to_owned(), part)));
            }
            ToolCall::Other(OtherToolCall {
                type_name: type_name.unwrap_or("function").to_owned(),
                extra,
            })
        }
    }
}

fn function(call: FunctionCallDelta) -> FunctionCall {
    FunctionCall {
        name: call.name.unwrap_or_default(),
        arguments: call.arguments.unwrap_or_default(),
        extra: call.extra,
    }
}

fn replace<T>(whole: &mut Option<T>, piece: Option<T>) {
    if piece.is_some() {
        *whole = piece;
    }
}

fn keep_first(whole: &mut Option<String>, piece: Option<String>) {
    if whole.as_deref().is_none_or(str::is_empty) {
        replace(whole, piece);
    }
}

fn append(whole: &mut Option<String>, piece: Option<String>) {
    match (whole, piece) {
        (Some(whole), Some(piece)) => whole.push_str(&piece),
        (whole, piece) => replace(whole, piece),
    }
}

fn extend(whole: &mut Option<Vec<TokenLogprob>>, piece: Option<Vec<TokenLogprob>>) {
    match (whole, piece) {
        (Some(whole), Some(piece)) => whole.extend(piece),
        (whole, piece) => replace(whole, piece),
    }
}

fn merge(whole: &mut Map<String, Value>, piece: Map<String, Value>) {
    for (name, value) in piece {
        match (whole.get_mut(&name), value) {
            (Some(Value::String(whole)), Value::String(piece)) if !WHOLE_TEXTS.contains(&name.as_str()) => {
                whole.push_str(&piece);
            }
            (Some(Value::Array(whole)), Value::Array(piece)) => whole.extend(piece),
            (Some(Value::Object(whole)), Value::Object(piece)) => merge(whole, piece),
            // Null in a later piece takes nothing back.
            (Some(_), Value::Null) => {}
            (_, value) => {
                whole.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
