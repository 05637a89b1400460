//! Streams of many shapes, against the answers that they were cut from.

use proptest::prelude::*;
use serde_json::json;

use super::super::chat_response::TopLogprob;
use super::super::usage::CompletionUsage;
use super::*;

fn assemble(chunks: &[Value]) -> Value {
    let mut assembly = ChatAssembly::new();
    for chunk in chunks {
        assembly.add(serde_json::from_value(chunk.clone()).unwrap());
    }
    serde_json::to_value(assembly.finish().unwrap()).unwrap()
}

fn chunk(choices: &Value) -> Value {
    json!({ "id": "c", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices })
}

#[test]
fn calls_of_every_kind_go_by_their_index() {
    let delta = |delta: Value| chunk(&json!([{ "index": 0, "delta": delta }]));
    let whole = assemble(&[
        delta(json!({ "role": "assistant", "content": "" })),
        delta(
            json!({ "tool_calls": [{ "index": 1, "id": "b", "type": "custom", "custom": { "name": "sql", "input": "SEL" } }] }),
        ),
        delta(json!({ "tool_calls": [
            { "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "" } },
            { "index": 1, "custom": { "input": "ECT" } },
        ] })),
        // As servers do that repeat what was said.
        delta(
            json!({ "tool_calls": [{ "index": 0, "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } }] }),
        ),
        delta(json!({ "tool_calls": [{ "index": 2, "id": "d", "type": "odd", "x": 1 }] })),
        chunk(&json!([{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }])),
    ]);
    assert_eq!(
        whole["choices"][0]["message"],
        json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": [
            { "type": "function", "id": "a", "function": { "name": "f", "arguments": "{}" } },
            { "type": "custom", "id": "b", "custom": { "name": "sql", "input": "SELECT" } },
            { "type": "odd", "x": 1, "id": "d" },
        ] })
    );
}

#[test]
fn fields_of_vendors_grow_too() {
    let whole = assemble(&[
        chunk(&json!([{ "index": 0, "delta": {
            "audio": { "id": "a1", "transcript": "He" }, "reasoning_details": [{ "text": "x" }], "n": 1,
        } }])),
        chunk(&json!([{ "index": 0, "delta": {
            "audio": { "id": "a1", "transcript": "llo", "data": "AA" }, "reasoning_details": [{ "text": "y" }], "n": null,
        }, "stop_reason": 3, "finish_reason": "stop" }])),
    ]);
    let choice = &whole["choices"][0];
    assert_eq!(
        choice["message"]["audio"],
        json!({ "id": "a1", "transcript": "Hello", "data": "AA" })
    );
    assert_eq!(
        choice["message"]["reasoning_details"],
        json!([{ "text": "x" }, { "text": "y" }])
    );
    assert_eq!(
        (&choice["message"]["n"], &choice["stop_reason"]),
        (&json!(1), &json!(3))
    );
}

#[test]
fn an_answer_is_whole_when_each_choice_has_ended() {
    let mut assembly = ChatAssembly::new();
    let mut add = |choice: Value| {
        assembly.add(serde_json::from_value(chunk(&json!([choice]))).unwrap());
        (assembly.has_finished(1), assembly.has_finished(2))
    };
    let ends = |index: u32| json!({ "index": index, "delta": {}, "finish_reason": "stop" });
    assert_eq!(add(json!({ "index": 0, "delta": { "content": "a" } })), (false, false));
    assert_eq!(add(ends(0)), (true, false));
    assert_eq!(add(json!({ "index": 1, "delta": { "content": "b" } })), (false, false));
    assert_eq!(add(ends(1)), (true, true));
    assert!(ChatAssembly::new().finish().is_none());
}

/// A text, and where it is cut.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any::<String>(), 1..5)
}

fn logprob() -> impl Strategy<Value = TokenLogprob> {
    (any::<String>(), -100i32..0).prop_map(|(token, tenths)| TokenLogprob {
        bytes: Some(token.as_bytes().to_vec()),
        top_logprobs: vec![TopLogprob {
            token: token.clone(),
            logprob: f64::from(tenths) / 10.0,
            bytes: None,
            extra: Map::new(),
        }],
        token,
        logprob: f64::from(tenths) / 10.0,
        extra: Map::new(),
    })
}

/// Everything that one answer says, in pieces.
#[derive(Debug, Clone)]
struct Said {
    content: Vec<String>,
    reasoning: Option<Vec<String>>,
    logprobs: Option<Vec<Vec<TokenLogprob>>>,
    calls: Vec<(String, Vec<String>)>,
}

fn said() -> impl Strategy<Value = Said> {
    let logprobs = prop::collection::vec(prop::collection::vec(logprob(), 0..3), 1..4);
    let calls = prop::collection::vec(("[a-z]{1,8}", pieces()), 0..3);
    (pieces(), prop::option::of(pieces()), prop::option::of(logprobs), calls).prop_map(
        |(content, reasoning, logprobs, calls)| Said {
            content,
            reasoning,
            logprobs,
            calls,
        },
    )
}

impl Said {
    fn chunks(&self, index: u32) -> Vec<ChatCompletionChunkChoice> {
        let of = |delta| ChatCompletionChunkChoice::new(index, delta);
        let mut chunks = vec![of(ChatCompletionDelta {
            role: Some(MessageRole::Assistant),
            ..ChatCompletionDelta::default()
        })];
        for piece in self.reasoning.iter().flatten() {
            chunks.push(of(ChatCompletionDelta {
                reasoning_content: Some(piece.clone()),
                ..ChatCompletionDelta::default()
            }));
        }
        for piece in &self.content {
            chunks.push(of(ChatCompletionDelta::content(piece.clone())));
        }
        for piece in self.logprobs.iter().flatten() {
            chunks.push(ChatCompletionChunkChoice {
                logprobs: Some(ChatLogprobs {
                    content: Some(piece.clone()),
                    ..ChatLogprobs::default()
                }),
                ..of(ChatCompletionDelta::default())
            });
        }
        for (call, (name, arguments)) in (0..).zip(&self.calls) {
            for (place, arguments) in arguments.iter().enumerate() {
                let head = |text: String| (place == 0).then_some(text);
                let delta = ToolCallDelta {
                    index: call,
                    id: head(format!("call_{call}")),
                    type_name: head("function".to_owned()),
                    function: Some(FunctionCallDelta {
                        name: head(name.clone()),
                        arguments: Some(arguments.clone()),
                        extra: Map::new(),
                    }),
                    ..ToolCallDelta::default()
                };
                chunks.push(of(ChatCompletionDelta {
                    tool_calls: Some(vec![delta]),
                    ..ChatCompletionDelta::default()
                }));
            }
        }
        chunks.push(ChatCompletionChunkChoice::finish(index, FinishReason::Stop));
        chunks
    }

    fn whole(&self, index: u32) -> ChatCompletionChoice {
        let calls: Vec<_> = (0..)
            .zip(&self.calls)
            .map(|(call, (name, arguments))| {
                ToolCall::function(format!("call_{call}"), name.clone(), arguments.concat())
            })
            .collect();
        let content = Some(self.content.concat()).filter(|content| !content.is_empty() || calls.is_empty());
        let message = ChatCompletionMessage {
            content,
            reasoning_content: self.reasoning.as_ref().map(|pieces| pieces.concat()),
            tool_calls: (!calls.is_empty()).then_some(calls),
            ..ChatCompletionMessage::default()
        };
        ChatCompletionChoice {
            logprobs: self.logprobs.as_ref().map(|pieces| ChatLogprobs {
                content: Some(pieces.concat()),
                ..ChatLogprobs::default()
            }),
            ..ChatCompletionChoice::new(index, message, FinishReason::Stop)
        }
    }
}

proptest! {
    #[test]
    fn a_stream_is_the_answer_that_it_was_cut_from(said in prop::collection::vec(said(), 1..4), order in any::<u64>()) {
        let mut waiting: Vec<_> = (0..).zip(&said).map(|(index, said)| said.chunks(index).into_iter()).collect();
        let mut assembly = ChatAssembly::new();
        let mut turn = order;
        // Choices come in any order among each other.
        while !waiting.is_empty() {
            let place = (turn % waiting.len() as u64) as usize;
            turn = turn.rotate_left(7).wrapping_add(1);
            match waiting[place].next() {
                Some(choice) => assembly.add(ChatCompletionChunk::new("c", 7, "m", vec![choice])),
                None => drop(waiting.remove(place)),
            }
        }
        assembly.add(ChatCompletionChunk::usage("c", 7, "m", CompletionUsage::new(3, 4)));
        prop_assert!(assembly.has_finished(said.len()));
        let choices = (0..).zip(&said).map(|(index, said)| said.whole(index)).collect();
        let mut whole = ChatCompletion::new("c", 7, "m", choices);
        whole.usage = Some(CompletionUsage::new(3, 4));
        prop_assert_eq!(assembly.finish(), Some(whole));
    }
}
