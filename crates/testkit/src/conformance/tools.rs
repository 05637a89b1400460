//! Tools: calls of the model, forced and free, and their results.

use std::collections::BTreeMap;

use puna_api::{Capability, ErrorKind};
use serde_json::{Value, json};

use super::outcome::{Failure, Verdict, ensure, ensure_eq, expect_named, list, text};
use super::stream::{choices, finish_reasons};
use super::subject::{HELLO, Subject, chat_body};
use super::trial::{Need, Trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    const CHAT: Need = Need::Can(Capability::Chat);
    const TOOLS: Need = Need::Can(Capability::Tools);
    const FORCED: Need = Need::Can(Capability::ForcedToolChoice);
    vec![
        trial!("tools", a_text_needs_no_call, CHAT, TOOLS, Need::Echo),
        trial!("tools", a_call_has_its_shape, CHAT, TOOLS, Need::Echo),
        trial!("tools", a_streamed_call_joins_to_the_whole, CHAT, TOOLS, Need::Echo),
        trial!("tools", several_calls_are_told_apart, CHAT, TOOLS, Need::Echo),
        trial!("tools", results_go_back_to_the_model, CHAT, TOOLS),
        trial!("tools", none_means_no_call, CHAT, TOOLS),
        trial!("tools", a_malformed_tool_is_named, CHAT, TOOLS, Need::Ours),
        trial!("tools", required_forces_a_call, CHAT, TOOLS, FORCED),
        trial!("tools", a_named_tool_is_called, CHAT, TOOLS, FORCED),
        trial!("tools", a_streamed_forced_call_joins_to_the_whole, CHAT, TOOLS, FORCED),
        trial!(
            "tools",
            an_unknown_tool_cannot_be_forced,
            CHAT,
            TOOLS,
            FORCED,
            Need::Ours
        ),
    ]
}

fn tools() -> Value {
    let place = json!({
        "type": "object",
        // With names to choose from, a model that babbles still comes to the end of a forced call.
        "properties": { "place": { "type": "string", "enum": ["San Pedro de Atacama", "Puno"], "description": "a town" } },
        "required": ["place"],
        "additionalProperties": false,
    });
    json!([
        { "type": "function", "function": { "name": "get_weather", "description": "The weather of a town.", "parameters": place } },
        { "type": "function", "function": { "name": "get_height", "description": "How high a town lies.", "parameters": place } },
    ])
}

const CALL: &str = "call get_weather {\"place\": \"San Pedro de Atacama\"}";

fn with_tools(text: &str, fields: Value) -> Value {
    let mut body = chat_body(text, fields);
    body["tools"] = tools();
    // A constrained model may say much before it closes the last brace.
    body["max_tokens"] = json!(256);
    body
}

fn calls(answer: &Value) -> Result<&[Value], Failure> {
    list(&answer["choices"][0]["message"], "tool_calls")
}

/// Checks a whole call and answers its name and arguments.
fn read_call(call: &Value) -> Result<(String, Value), Failure> {
    ensure!(
        call["id"].as_str().is_some_and(|id| !id.is_empty()),
        "a call without an id: {call}"
    );
    ensure_eq!(call["type"], "function", "the type of {call}");
    let name = call["function"]["name"]
        .as_str()
        .ok_or_else(|| format!("a call without a name: {call}"))?;
    let arguments = call["function"]["arguments"]
        .as_str()
        .ok_or_else(|| format!("arguments that are no text: {call}"))?;
    let arguments =
        serde_json::from_str(arguments).map_err(|error| format!("arguments that are no JSON: {error}: {call}"))?;
    Ok((name.to_owned(), arguments))
}

/// Puts the pieces of streamed calls together, in the order of their indexes.
fn joined_calls(chunks: &[Value]) -> Result<Vec<Value>, Failure> {
    let mut calls = BTreeMap::<u64, Value>::new();
    for piece in choices(chunks)
        .filter_map(|choice| choice["delta"]["tool_calls"].as_array())
        .flatten()
    {
        let index = piece["index"]
            .as_u64()
            .ok_or_else(|| format!("a piece of a call without an index: {piece}"))?;
        let arguments = piece["function"]["arguments"].as_str().unwrap_or_default();
        match calls.get_mut(&index) {
            None => {
                let mut first = piece.clone();
                ensure!(first["id"].is_string(), "the first piece of a call has no id: {piece}");
                ensure!(
                    first["function"]["name"].is_string(),
                    "the first piece of a call has no name: {piece}"
                );
                first["function"]["arguments"] = json!(arguments);
                calls.insert(index, first);
            }
            Some(call) => {
                let so_far = call["function"]["arguments"].as_str().unwrap_or_default();
                call["function"]["arguments"] = json!(format!("{so_far}{arguments}"));
            }
        }
    }
    ensure_eq!(
        calls.keys().copied().collect::<Vec<_>>(),
        (0..calls.len() as u64).collect::<Vec<_>>(),
        "the indexes of the calls"
    );
    Ok(calls.into_values().collect())
}

async fn a_text_needs_no_call(subject: Subject) -> Verdict {
    let answer = subject
        .chat(&with_tools(HELLO, json!({ "tool_choice": "auto" })))
        .await?;
    ensure_eq!(text(&answer)?, HELLO, "the text");
    ensure!(
        answer["choices"][0]["message"]
            .get("tool_calls")
            .is_none_or(|calls| calls.is_null() || *calls == json!([])),
        "a call that nobody asked for: {answer}"
    );
    ensure_eq!(answer["choices"][0]["finish_reason"], "stop", "the finish reason");
    Ok(())
}

async fn a_call_has_its_shape(subject: Subject) -> Verdict {
    let answer = subject.chat(&with_tools(CALL, json!({}))).await?;
    let calls = calls(&answer)?;
    ensure_eq!(calls.len(), 1, "the number of calls");
    let (name, arguments) = read_call(&calls[0])?;
    ensure_eq!(name, "get_weather", "the name of the tool");
    ensure_eq!(arguments, json!({ "place": "San Pedro de Atacama" }), "the arguments");
    ensure_eq!(answer["choices"][0]["finish_reason"], "tool_calls", "the finish reason");
    Ok(())
}

async fn a_streamed_call_joins_to_the_whole(subject: Subject) -> Verdict {
    let chunks = subject
        .chat_chunks(&with_tools(CALL, json!({ "stream": true })))
        .await?;
    let calls = joined_calls(&chunks)?;
    ensure_eq!(calls.len(), 1, "the number of calls");
    let (name, arguments) = read_call(&calls[0])?;
    ensure_eq!(name, "get_weather", "the name of the tool");
    ensure_eq!(arguments, json!({ "place": "San Pedro de Atacama" }), "the arguments");
    ensure_eq!(finish_reasons(&chunks, 1)?, ["tool_calls"], "the finish reason");
    Ok(())
}

async fn several_calls_are_told_apart(subject: Subject) -> Verdict {
    let said = format!("{CALL}\ncall get_height {{\"place\": \"Puno\"}}");
    let expected = [
        ("get_weather".to_owned(), json!({ "place": "San Pedro de Atacama" })),
        ("get_height".to_owned(), json!({ "place": "Puno" })),
    ];
    let answer = subject.chat(&with_tools(&said, json!({}))).await?;
    let whole = calls(&answer)?;
    let chunks = subject
        .chat_chunks(&with_tools(&said, json!({ "stream": true })))
        .await?;
    for calls in [whole, &joined_calls(&chunks)?] {
        let read = calls.iter().map(read_call).collect::<Result<Vec<_>, _>>()?;
        ensure_eq!(read, expected, "the calls");
        ensure!(
            calls[0]["id"] != calls[1]["id"],
            "two calls with the same id: {calls:?}"
        );
    }
    Ok(())
}

async fn results_go_back_to_the_model(subject: Subject) -> Verdict {
    let messages = json!([
        { "role": "user", "content": "What is the weather in Puno?" },
        { "role": "assistant", "content": null, "tool_calls": [{
            "id": "call_1", "type": "function", "function": { "name": "get_weather", "arguments": "{\"place\": \"Puno\"}" },
        }] },
        { "role": "tool", "tool_call_id": "call_1", "content": "4 degrees and hail" },
    ]);
    let answer = subject.chat(&with_tools("", json!({ "messages": messages }))).await?;
    ensure_eq!(
        answer["choices"][0]["message"]["role"],
        "assistant",
        "the message's role"
    );
    if subject.echoes {
        ensure_eq!(text(&answer)?, "4 degrees and hail", "the text");
    }
    Ok(())
}

async fn none_means_no_call(subject: Subject) -> Verdict {
    let answer = subject
        .chat(&with_tools(CALL, json!({ "tool_choice": "none" })))
        .await?;
    let calls = &answer["choices"][0]["message"]["tool_calls"];
    ensure!(
        calls.is_null() || *calls == json!([]),
        "a call in spite of `tool_choice` none: {calls}"
    );
    ensure!(
        answer["choices"][0]["finish_reason"] != "tool_calls",
        "the finish reason tells of calls: {answer}"
    );
    Ok(())
}

async fn a_malformed_tool_is_named(subject: Subject) -> Verdict {
    for tools in [json!("get_weather"), json!({ "type": "function" })] {
        let outcome = subject.chat(&chat_body(HELLO, json!({ "tools": tools }))).await;
        expect_named(
            outcome,
            &[ErrorKind::InvalidRequest],
            "tools",
            &format!("`tools` of {tools}"),
        )?;
    }
    Ok(())
}

/// Checks the one forced call; its arguments may be cut when the model used up all its tokens.
fn check_forced(calls: &[Value], name: &str, finish_reason: Option<&str>) -> Verdict {
    ensure_eq!(calls.len(), 1, "the number of calls");
    ensure_eq!(calls[0]["function"]["name"], name, "the name of the tool");
    if finish_reason == Some("length") {
        return Ok(());
    }
    let (_, arguments) = read_call(&calls[0])?;
    ensure!(
        arguments["place"].is_string(),
        "the arguments do not fit the tool's schema: {arguments}"
    );
    Ok(())
}

async fn required_forces_a_call(subject: Subject) -> Verdict {
    let mut body = with_tools(HELLO, json!({ "tool_choice": "required" }));
    body["tools"] = json!([tools()[1]]);
    let answer = subject.chat(&body).await?;
    check_forced(
        calls(&answer)?,
        "get_height",
        answer["choices"][0]["finish_reason"].as_str(),
    )
}

async fn a_named_tool_is_called(subject: Subject) -> Verdict {
    for name in ["get_weather", "get_height"] {
        let choice = json!({ "type": "function", "function": { "name": name } });
        let answer = subject
            .chat(&with_tools(HELLO, json!({ "tool_choice": choice })))
            .await?;
        check_forced(calls(&answer)?, name, answer["choices"][0]["finish_reason"].as_str())?;
    }
    Ok(())
}

async fn a_streamed_forced_call_joins_to_the_whole(subject: Subject) -> Verdict {
    let choice = json!({ "type": "function", "function": { "name": "get_height" } });
    let chunks = subject
        .chat_chunks(&with_tools(HELLO, json!({ "tool_choice": choice, "stream": true })))
        .await?;
    let reasons = finish_reasons(&chunks, 1)?;
    check_forced(
        &joined_calls(&chunks)?,
        "get_height",
        reasons.first().map(String::as_str),
    )
}

async fn an_unknown_tool_cannot_be_forced(subject: Subject) -> Verdict {
    let choice = json!({ "type": "function", "function": { "name": "get_lost" } });
    let outcome = subject.chat(&with_tools(HELLO, json!({ "tool_choice": choice }))).await;
    expect_named(
        outcome,
        &[ErrorKind::InvalidRequest],
        "tool_choice",
        "a forced tool that is not there",
    )
}
