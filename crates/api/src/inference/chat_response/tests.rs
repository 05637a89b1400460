//! Chat completions, whole and in chunks: what upstreams answer.

use serde_json::json;

use super::super::chat_chunk::{ChatCompletionChunk, ChatCompletionChunkChoice, ChatCompletionDelta};
use super::super::round_trip::{assert_round_trip, fault, read};
use super::super::tool_call::ToolCallDelta;
use super::*;

#[test]
fn an_answer_survives_a_round_trip() {
    assert_round_trip::<ChatCompletion>(&json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_741_570_283, "model": "gpt-4o-2024-08-06",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": "Hello.", "refusal": null, "annotations": [
                {"type": "url_citation", "url_citation": {
                    "start_index": 0, "end_index": 5, "url": "https://example.com", "title": "Example", "score": 0.5,
                }},
                {"type": "file_citation", "file_id": "file-1"},
            ]},
            "logprobs": {
                "content": [{"token": "Hello", "logprob": -0.317_049_3, "bytes": [72, 101, 108, 108, 111], "top_logprobs": [
                    {"token": "Hello", "logprob": -0.317_049_3, "bytes": [72, 101, 108, 108, 111]},
                    {"token": "<|eot|>", "logprob": -9999.0, "bytes": null},
                ]}],
                "refusal": null,
            },
            "finish_reason": "stop",
        }],
        "usage": {
            "prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default", "system_fingerprint": "fp_fc9f1d7035",
    }));
}

#[test]
fn fields_of_vendors_survive_a_round_trip() {
    assert_round_trip::<ChatCompletion>(&json!({
        "id": "chatcmpl-2", "object": "chat.completion", "created": 1_741_570_283, "model": "llama",
        "choices": [{
            "index": 1,
            "message": {
                "role": "assistant", "content": null, "refusal": null, "reasoning_content": "hm", "reasoning": "hm",
                "tool_calls": [{
                    "id": "call_1", "type": "function", "index": 0,
                    "function": {"name": "weather", "arguments": "{\"city\":", "thought_signature": "x"},
                }],
                "function_call": {"name": "f", "arguments": "{}"},
                "audio": {"id": "a", "expires_at": 1_741_570_999, "data": "AAAA", "transcript": "hi", "format": "wav"},
                "reasoning_details": [{"type": "summary"}],
            },
            "logprobs": null, "finish_reason": "eos_token", "stop_reason": 128_009,
        }],
        "usage": {
            "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "queue_time": 0.002,
            "prompt_tokens_details": {"image_tokens": 4}, "completion_tokens_details": {"text_tokens": 5},
        },
        "service_tier": "on_demand", "timings": {"predicted_per_second": 51.5}, "prompt_logprobs": null,
    }));
}

#[test]
fn an_answer_of_ones_own_has_the_nulls_that_clients_expect() {
    let choice = ChatCompletionChoice::new(0, ChatCompletionMessage::text("hi"), FinishReason::Stop);
    let mut answer = ChatCompletion::new("chatcmpl-1", 7, "m", vec![choice]);
    answer.usage = Some(CompletionUsage::new(3, 1));
    assert_eq!(
        serde_json::to_value(&answer).unwrap(),
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": "hi", "refusal": null},
                "logprobs": null, "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        }),
    );
}

#[test]
fn the_nulls_of_upstreams_are_read() {
    let answer = read::<ChatCompletion>(&json!({
        "choices": [{
            "index": 0, "finish_reason": null,
            "message": {
                "role": "assistant", "content": "hi", "audio": null, "annotations": null, "function_call": null, "tool_calls": [],
                "reasoning": null,
            },
        }],
        "usage": {"prompt_tokens": 3, "total_tokens": 4, "completion_tokens": 1, "prompt_tokens_details": null},
    }));
    let mut message = ChatCompletionMessage::text("hi");
    message.tool_calls = Some(vec![]);
    let mut choice = ChatCompletionChoice::new(0, message, FinishReason::Stop);
    choice.finish_reason = None;
    let mut expected = ChatCompletion::new("", 0, "", vec![choice]);
    expected.usage = Some(CompletionUsage::new(3, 1));
    assert_eq!(answer, expected);
}

#[test]
fn a_stream_of_tool_calls_survives_a_round_trip() {
    let chunk = |delta, finish_reason| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "system_fingerprint": "fp_1",
            "service_tier": "default",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
            "obfuscation": "x9",
        })
    };
    for chunk in [
        chunk(
            json!({"role": "assistant", "content": "", "refusal": "no"}),
            json!(null),
        ),
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            json!(null),
        ),
        chunk(
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a\""}}]}),
            json!(null),
        ),
        chunk(
            json!({"tool_calls": [{"index": 1, "type": "custom", "custom": {"name": "c", "input": "x"}, "v": 1}]}),
            json!(null),
        ),
        chunk(
            json!({"reasoning_content": "hm", "reasoning": "hm", "token_id": 5}),
            json!(null),
        ),
        chunk(json!({"function_call": {"name": "f", "arguments": "{"}}), json!(null)),
        chunk(json!({}), json!("tool_calls")),
    ] {
        assert_round_trip::<ChatCompletionChunk>(&chunk);
    }
}

#[test]
fn pieces_of_log_probabilities_survive_a_round_trip() {
    assert_round_trip::<ChatCompletionChunk>(&json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m",
        "choices": [{
            "index": 0, "delta": {"content": "é"}, "finish_reason": null,
            "logprobs": {"content": [{"token": "é", "logprob": 0.0, "bytes": [195, 169], "top_logprobs": []}], "refusal": null},
        }],
    }));
}

#[test]
fn the_usage_chunk_has_no_choices() {
    let usage = ChatCompletionChunk::usage("chatcmpl-1", 7, "m", CompletionUsage::new(3, 1));
    assert_eq!(
        serde_json::to_value(&usage).unwrap(),
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
        }),
    );
    let filter = read::<ChatCompletionChunk>(&json!({
        "id": "", "object": "", "created": 0, "model": "", "choices": [], "usage": null,
        "prompt_filter_results": [{"prompt_index": 0}],
    }));
    assert_eq!(filter.usage, None);
    assert_eq!(filter.extra["prompt_filter_results"], json!([{"prompt_index": 0}]));
}

#[test]
fn chunks_of_ones_own_leave_out_what_they_do_not_add() {
    for (choice, value) in [
        (
            ChatCompletionChunkChoice::new(0, ChatCompletionDelta::role(MessageRole::Assistant)),
            json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": null, "finish_reason": null}),
        ),
        (
            ChatCompletionChunkChoice::new(1, ChatCompletionDelta::content("hi")),
            json!({"index": 1, "delta": {"content": "hi"}, "logprobs": null, "finish_reason": null}),
        ),
        (
            ChatCompletionChunkChoice::finish(0, FinishReason::Length),
            json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": "length"}),
        ),
    ] {
        assert_eq!(serde_json::to_value(&choice).unwrap(), value);
        assert_eq!(read::<ChatCompletionChunkChoice>(&value), choice);
    }
}

#[test]
fn faults_name_the_place() {
    let cases = [
        (json!({"error": {"message": "no"}}), "", "missing field `choices`"),
        (
            json!({"choices": [{"index": 0, "message": {"content": ["a"]}}]}),
            "choices[0].message.content",
            "expected a string",
        ),
        (
            json!({"choices": [{"index": 0}]}),
            "choices[0]",
            "missing field `message`",
        ),
        (
            json!({"choices": [], "usage": {"prompt_tokens": "3"}}),
            "usage.prompt_tokens",
            "expected u64",
        ),
        (
            json!({"choices": [{"index": 0, "message": {}, "finish_reason": 2}]}),
            "choices[0].finish_reason",
            "a string such as `stop`",
        ),
    ];
    for (value, path, message) in cases {
        let fault = fault::<ChatCompletion>(&value);
        assert_eq!(fault.path, path, "{value}: {fault}");
        assert!(fault.message.contains(message), "{value}: {fault}");
    }
    let fault = fault::<ToolCallDelta>(&json!({"function": {}}));
    assert!(fault.message.contains("missing field `index`"), "{fault}");
}
