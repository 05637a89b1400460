//! `/v1/chat/completions`.

use serde_json::{Value, json};

use super::StubSettings;
use super::answer::Answer;
use super::check::{Fields, Refusal};
use super::generation::{Generated, Generation, usage};
use super::words::{count, instance_of};

const ID: &str = "chatcmpl-5b0d4ee1";
const CREATED: u64 = 1_760_000_000;

/// What the one choice of an answer holds.
#[derive(Clone)]
enum Reply {
    Text(Generated),
    Calls(Vec<Call>),
}

#[derive(Clone)]
struct Call {
    name: String,
    arguments: String,
}

pub(super) fn answer(body: &[u8], settings: &StubSettings) -> Result<Answer, Refusal> {
    let fields = Fields::parse(body)?;
    let model = fields.model(&settings.chat_models)?.to_owned();
    let generation = Generation::read(&fields, None)?;
    let messages = check_messages(&fields)?;
    let logprobs = read_logprobs(&fields)?;
    fields.boolean("parallel_tool_calls")?;

    let prompt_tokens = messages
        .iter()
        .map(|message| count(&text_of(&message["content"])))
        .sum();
    let text = messages
        .last()
        .map(|message| text_of(&message["content"]))
        .unwrap_or_default();
    let calls = calls(&fields, &text)?;
    let reply = if calls.is_empty() {
        Reply::Text(generation.generate(&formatted(&fields, text)?))
    } else {
        Reply::Calls(calls)
    };
    let completion_tokens = generation.n
        * match &reply {
            Reply::Text(generated) => generated.tokens.len(),
            Reply::Calls(calls) => calls.iter().map(|call| count(&call.arguments) + 1).sum(),
        };
    let usage = usage(prompt_tokens, completion_tokens);

    Ok(if generation.stream {
        let last = generation.include_usage.then(|| chunk(&model, json!([]), Some(&usage)));
        Answer::Stream(Box::new(chunks(model, generation.n, reply, logprobs).chain(last)))
    } else {
        let choices: Value = (0..generation.n).map(|index| choice(index, &reply, logprobs)).collect();
        Answer::Whole(json!({
            "id": ID,
            "object": "chat.completion",
            "created": CREATED,
            "model": model,
            "choices": choices,
            "service_tier": null,
            "system_fingerprint": null,
            "usage": usage,
        }))
    })
}

fn check_messages(fields: &Fields) -> Result<&Vec<Value>, Refusal> {
    let messages = fields
        .array("messages")?
        .ok_or_else(|| Refusal::invalid("messages", "Missing required parameter: 'messages'."))?;
    if messages.is_empty() {
        return Err(Refusal::invalid(
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ));
    }
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        let role = message["role"].as_str().ok_or_else(|| {
            Refusal::invalid(
                &format!("{place}.role"),
                format!("Missing required parameter: '{place}.role'."),
            )
        })?;
        if !matches!(
            role,
            "developer" | "system" | "user" | "assistant" | "tool" | "function"
        ) {
            return Err(Refusal::invalid(
                &format!("{place}.role"),
                format!("Invalid value: '{role}'."),
            ));
        }
        let content_may_be_absent = role == "assistant" || role == "function";
        match &message["content"] {
            Value::String(_) => {}
            Value::Array(parts) if parts.iter().all(|part| part["type"].is_string()) => {}
            Value::Null if content_may_be_absent => {}
            _ => {
                let place = format!("{place}.content");
                let message = format!("Invalid type for '{place}': expected a string or an array of objects.");
                return Err(Refusal::invalid(&place, message));
            }
        }
    }
    Ok(messages)
}

/// How many alternatives per token, if log probabilities are asked for at all.
fn read_logprobs(fields: &Fields) -> Result<Option<usize>, Refusal> {
    let top = fields.count("top_logprobs", 0)?;
    match fields.boolean("logprobs")?.unwrap_or(false) {
        true => Ok(Some(top.unwrap_or(0))),
        false if top.is_some() => Err(Refusal::invalid(
            "top_logprobs",
            "'top_logprobs' is only allowed when 'logprobs' is enabled.",
        )),
        false => Ok(None),
    }
}

fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// The text in the format that the request asks for.
fn formatted(fields: &Fields, text: String) -> Result<String, Refusal> {
    let Some(format) = fields.object("response_format")? else {
        return Ok(text);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(text),
        Some("json_object") => Ok(json!({ "echo": text }).to_string()),
        Some("json_schema") => match format.get("json_schema").and_then(|format| format.get("schema")) {
            Some(schema) => Ok(instance_of(schema, &text).to_string()),
            None => Err(Refusal::invalid(
                "response_format.json_schema.schema",
                "Missing required parameter: 'response_format.json_schema.schema'.",
            )),
        },
        _ => Err(Refusal::invalid(
            "response_format.type",
            "Invalid value for 'response_format.type'.",
        )),
    }
}

/// The calls that the request forces, or that the text asks for by lines `call NAME {…}`.
fn calls(fields: &Fields, text: &str) -> Result<Vec<Call>, Refusal> {
    let tools = match fields.array("tools")? {
        Some(tools) => tools.as_slice(),
        None => &[],
    };
    let asked: Vec<Call> = text
        .lines()
        .filter_map(|line| {
            let (name, arguments) = line.strip_prefix("call ")?.split_once(' ')?;
            let known = tools.iter().any(|tool| tool["function"]["name"] == name);
            (known && serde_json::from_str::<Value>(arguments).is_ok_and(|arguments| arguments.is_object())).then(
                || Call {
                    name: name.to_owned(),
                    arguments: arguments.to_owned(),
                },
            )
        })
        .collect();
    let forced = match fields.get("tool_choice") {
        None => None,
        Some(Value::String(mode)) if mode == "auto" => None,
        Some(Value::String(mode)) if mode == "none" => return Ok(Vec::new()),
        Some(Value::String(mode)) if mode == "required" => tools.first(),
        Some(Value::Object(choice)) => {
            let name = choice
                .get("function")
                .map_or(&Value::Null, |function| &function["name"]);
            let tool = tools.iter().find(|tool| tool["function"]["name"] == *name);
            Some(tool.ok_or_else(|| {
                Refusal::invalid(
                    "tool_choice",
                    format!("Tool choice {name} not found in 'tools' parameter."),
                )
            })?)
        }
        Some(_) => return Err(Refusal::invalid("tool_choice", "Invalid value for 'tool_choice'.")),
    };
    let one_at_a_time = fields.boolean("parallel_tool_calls")? == Some(false);
    let Some(tool) = forced.filter(|tool| asked.iter().all(|call| tool["function"]["name"] != call.name)) else {
        return Ok(asked
            .into_iter()
            .take(if one_at_a_time { 1 } else { usize::MAX })
            .collect());
    };
    Ok(vec![Call {
        name: tool["function"]["name"].as_str().unwrap_or_default().to_owned(),
        arguments: instance_of(&tool["function"]["parameters"], text).to_string(),
    }])
}

fn choice(index: usize, reply: &Reply, logprobs: Option<usize>) -> Value {
    let (message, finish_reason) = match reply {
        Reply::Text(generated) => (
            json!({ "role": "assistant", "content": generated.text(), "refusal": null }),
            generated.finish_reason,
        ),
        Reply::Calls(calls) => {
            let calls: Value = calls
                .iter()
                .enumerate()
                .map(|(at, call)| {
                    json!({
                        "id": call_id(at),
                        "type": "function",
                        "function": { "name": call.name, "arguments": call.arguments },
                    })
                })
                .collect();
            (
                json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": calls }),
                "tool_calls",
            )
        }
    };
    let logprobs = match (reply, logprobs) {
        (Reply::Text(generated), Some(top)) => token_logprobs(&generated.tokens, top),
        _ => Value::Null,
    };
    json!({ "index": index, "message": message, "logprobs": logprobs, "finish_reason": finish_reason, "stop_reason": null })
}

fn call_id(at: usize) -> String {
    format!("chatcmpl-tool-{at:08x}")
}

/// The role of each choice, then the choices in turn, piece by piece, then the finish reason of each.
fn chunks(
    model: String,
    n: usize,
    reply: Reply,
    logprobs: Option<usize>,
) -> impl Iterator<Item = Value> + Send + 'static {
    let (deltas, finish_reason) = match reply {
        Reply::Text(generated) => {
            let deltas = generated.tokens.into_iter().map(|token| {
                let logprobs = logprobs.map_or(Value::Null, |top| token_logprobs(std::slice::from_ref(&token), top));
                (json!({ "content": token }), logprobs)
            });
            (deltas.collect::<Vec<_>>(), generated.finish_reason)
        }
        Reply::Calls(calls) => (
            calls
                .iter()
                .enumerate()
                .flat_map(|(at, call)| call_deltas(at, call))
                .collect(),
            "tool_calls",
        ),
    };
    let entry = |index: usize, delta: &Value, logprobs: &Value, finish_reason: Option<&str>| json!([{ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason }]);
    let role = json!({ "role": "assistant", "content": "" });
    let roles = (0..n).map(move |index| entry(index, &role, &Value::Null, None));
    let texts = deltas
        .into_iter()
        .flat_map(move |(delta, logprobs)| (0..n).map(move |index| entry(index, &delta, &logprobs, None)));
    let finishes = (0..n).map(move |index| entry(index, &json!({}), &Value::Null, Some(finish_reason)));
    roles
        .chain(texts)
        .chain(finishes)
        .map(move |choices| chunk(&model, choices, None))
}

/// The name of a call, then its arguments a few characters at a time.
fn call_deltas(at: usize, call: &Call) -> Vec<(Value, Value)> {
    let first = json!({ "tool_calls": [{
        "index": at,
        "id": call_id(at),
        "type": "function",
        "function": { "name": call.name, "arguments": "" },
    }] });
    let characters: Vec<char> = call.arguments.chars().collect();
    let rest = characters.chunks(5).map(|piece| {
        let piece: String = piece.iter().collect();
        json!({ "tool_calls": [{ "index": at, "function": { "arguments": piece } }] })
    });
    std::iter::once(first)
        .chain(rest)
        .map(|delta| (delta, Value::Null))
        .collect()
}

fn chunk(model: &str, choices: Value, usage: Option<&Value>) -> Value {
    let mut chunk = json!({ "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model });
    chunk["choices"] = choices;
    if let Some(usage) = usage {
        chunk["usage"] = usage.clone();
    }
    chunk
}

fn token_logprobs(tokens: &[String], top: usize) -> Value {
    let content: Value = tokens
        .iter()
        .map(|token| {
            let alternatives: Value = (0..top)
                .map(|rank| {
                    let other = if rank == 0 {
                        token.clone()
                    } else {
                        format!("{token}{rank}")
                    };
                    json!({ "token": other, "logprob": -0.25 - rank as f64, "bytes": other.as_bytes() })
                })
                .collect();
            json!({ "token": token, "logprob": -0.25, "bytes": token.as_bytes(), "top_logprobs": alternatives })
        })
        .collect();
    json!({ "content": content, "refusal": null })
}
