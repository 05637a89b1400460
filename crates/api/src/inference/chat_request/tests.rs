//! Chat completion requests: what clients send, and what is wrong with what they send.

use serde_json::{Value, json};

use super::super::chat_options::{ReasoningEffort, Verbosity};
use super::super::chat_tool::{NamedToolChoice, ToolChoiceMode};
use super::super::message_content::{ContentPart, MessageContent};
use super::super::round_trip::{assert_round_trip, fault, read};
use super::super::tool_call::ToolCall;
use super::*;

/// A request with one message of a user and these fields.
fn request(fields: &Value) -> Value {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

/// A request with this message.
fn conversation(message: &Value) -> Value {
    json!({"model": "m", "messages": [message]})
}

#[test]
fn a_conversation_with_tools_survives_a_round_trip() {
    assert_round_trip::<ChatCompletionRequest>(&json!({
        "model": "vllm/meta-llama/Llama-3.3-70B-Instruct",
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "system", "content": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": "weather in Lima?", "name": "ana"},
            {"role": "assistant", "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Lima\"}"}},
                {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "date"}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "Monday"}], "name": "shell"},
            {"role": "assistant", "content": "18 degrees", "reasoning_content": "asked about Lima", "refusal": "no"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "reasoning": "why", "name": "puna",
             "audio": {"id": "audio_1"}, "function_call": {"name": "f", "arguments": ""}},
            {"role": "function", "name": "f", "content": null},
            {"role": "ipython", "content": "3", "tool_call_id": "call_3"},
        ],
        "tools": [
            {"type": "function", "function": {
                "name": "weather", "description": "the weather of a city", "strict": true,
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
                "x-cost": 2,
            }},
            {"type": "custom", "custom": {"name": "shell", "description": "a shell", "format": {"type": "text"}}},
            {"type": "custom", "custom": {"name": "sum", "format": {
                "type": "grammar", "grammar": {"definition": "start: NUMBER", "syntax": "lark"},
            }}},
            {"type": "browser_search", "max_results": 3},
        ],
        "parallel_tool_calls": false,
    }));
}

#[test]
fn parts_of_every_kind_survive_a_round_trip() {
    assert_round_trip::<ChatCompletionRequest>(&conversation(&json!({"role": "user", "content": [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "ultra", "fps": 2}, "uuid": "1"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}, "text": "a caption"},
    ]})));
}

#[test]
fn every_option_survives_a_round_trip() {
    assert_round_trip::<ChatCompletionRequest>(&request(&json!({
        "audio": {"voice": "alloy", "format": "pcm16"},
        "frequency_penalty": 0.25, "function_call": {"name": "f"}, "functions": [{"name": "f", "parameters": {}}],
        "logit_bias": {"50256": -100, "11": 0.5}, "logprobs": true, "max_completion_tokens": 100, "max_tokens": 50,
        "metadata": {"team": "blue"}, "modalities": ["text", "audio", "smell"], "n": 2,
        "prediction": {"type": "content", "content": [{"type": "text", "text": "fn main() {}"}]},
        "presence_penalty": -0.25, "prompt_cache_key": "k", "prompt_cache_retention": "24h", "reasoning_effort": "xhigh",
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "answer", "description": "an answer", "strict": true,
            "schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": false},
        }},
        "safety_identifier": "s", "seed": i64::MIN, "service_tier": "flex", "stop": "END", "store": false, "stream": true,
        "stream_options": {"include_usage": true, "include_obfuscation": false, "continuous_usage_stats": true},
        "temperature": 0.7, "tool_choice": "required", "top_logprobs": 5, "top_p": 0.95, "user": "u", "verbosity": "low",
        "web_search_options": {"search_context_size": "high", "user_location": {
            "type": "approximate",
            "approximate": {"country": "PE", "region": "Lima", "city": "Lima", "timezone": "America/Lima"},
        }},
    })));
}

#[test]
fn unknown_fields_survive_a_round_trip() {
    assert_round_trip::<ChatCompletionRequest>(&request(&json!({
        "guided_json": {"type": "object", "properties": {"b": {}, "a": {}}}, "top_k": -1, "min_p": 0.05,
        "chat_template_kwargs": {"enable_thinking": false}, "mm_processor_kwargs": null, "seed_like": u64::MAX,
        "stop_token_ids": [1, 2], "reasoning_effort": "ludicrous", "service_tier": "on_demand", "prompt_cache_retention": "1y",
        "audio": {"voice": {"id": "voice_1", "speed": 2}, "format": "ulaw", "rate": 8000},
        "stop": ["a", "b"], "prediction": {"type": "sketch", "content": "abc", "weight": 1},
        "response_format": {"type": "structural_tag", "structures": [], "json_schema": {"name": "n"}},
        "web_search_options": {"depth": 2},
    })));
}

#[test]
fn unknown_fields_keep_their_order() {
    let raw = r#"{"model":"m","messages":[],"zeta":1,"alpha":{"y":1,"x":2},"mid":[]}"#;
    let request: ChatCompletionRequest = serde_json::from_str(raw).unwrap();
    assert_eq!(serde_json::to_string(&request).unwrap(), raw);
}

#[test]
fn every_choice_of_tools_survives_a_round_trip() {
    for choice in [
        json!("none"),
        json!("auto"),
        json!("any"),
        json!({"type": "function", "function": {"name": "f"}}),
        json!({"type": "custom", "custom": {"name": "c"}}),
        json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
            {"type": "function", "function": {"name": "f"}}, {"type": "mcp", "server_label": "s"},
        ]}}),
        json!({"type": "mcp", "server_label": "s", "function": {"name": "f"}}),
    ] {
        assert_round_trip::<ChatCompletionRequest>(&request(&json!({"tool_choice": choice})));
    }
    for choice in [json!("none"), json!({"name": "f", "extra": 1})] {
        assert_round_trip::<ChatCompletionRequest>(&request(&json!({"function_call": choice})));
    }
    for format in [
        json!({"type": "text"}),
        json!({"type": "json_object", "schema": {"type": "object"}}),
    ] {
        assert_round_trip::<ChatCompletionRequest>(&request(&json!({"response_format": format})));
    }
}

#[test]
fn null_and_absent_are_the_same() {
    let mut nulls = json!({"model": "m", "messages": [{"role": "assistant", "content": null, "tool_calls": null}]});
    let schema = schemars::schema_for!(ChatCompletionRequest);
    for name in schema.get("properties").unwrap().as_object().unwrap().keys() {
        nulls.as_object_mut().unwrap().entry(name).or_insert(Value::Null);
    }
    assert!(nulls.as_object().unwrap().len() > 30, "the schema names the fields");
    let request = read::<ChatCompletionRequest>(&nulls);
    assert_eq!(
        request,
        ChatCompletionRequest::new("m", vec![ChatMessage::Assistant(Box::default())])
    );
    assert_eq!(
        serde_json::to_value(&request).unwrap(),
        json!({"model": "m", "messages": [{"role": "assistant"}]}),
    );
}

#[test]
fn the_tag_may_come_last() {
    let message = read::<ChatMessage>(&json!({"content": [{"text": "hi", "type": "text"}], "role": "user"}));
    assert_eq!(message.role(), "user");
    assert_eq!(message.content().unwrap().as_text().unwrap(), "hi");
}

#[test]
fn fields_of_other_roles_and_types_are_kept() {
    let raw = json!({"role": "user", "content": "hi", "tool_call_id": "c", "tool_calls": [], "refusal": "r"});
    assert_round_trip::<ChatMessage>(&raw);
    let ChatMessage::User(message) = read(&raw) else {
        panic!("not of a user")
    };
    assert_eq!(
        message.extra.keys().collect::<Vec<_>>(),
        ["refusal", "tool_calls", "tool_call_id"]
    );
    assert_round_trip::<ContentPart>(&json!({"type": "text", "text": "hi", "image_url": {"url": "u"}, "refusal": "r"}));
}

#[test]
fn a_tool_call_may_lack_its_type() {
    let call = read::<ToolCall>(&json!({"id": "c", "function": {"name": "f", "arguments": "{}"}}));
    assert_eq!(call, ToolCall::function("c", "f", "{}"));
    assert_eq!(serde_json::to_value(&call).unwrap()["type"], "function");
    assert_round_trip::<ToolCall>(&json!({
        "type": "builtin_function", "id": "c", "function": {"name": "$web_search", "arguments": "{}"},
    }));
}

#[test]
fn values_are_read_as_what_they_are() {
    let request = read::<ChatCompletionRequest>(&request(&json!({
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
        "reasoning_effort": "minimal", "verbosity": "high", "stop": "END", "max_tokens": 5, "temperature": 1,
        "stream_options": {"include_usage": true},
    })));
    let Some(ToolChoice::Tool(choice)) = &request.tool_choice else {
        panic!("{:?}", request.tool_choice)
    };
    let NamedToolChoice::AllowedTools(choice) = &**choice else {
        panic!("{choice:?}")
    };
    assert_eq!(choice.allowed_tools.mode, ToolChoiceMode::Auto);
    assert_eq!(request.reasoning_effort, Some(ReasoningEffort::Minimal));
    assert_eq!(request.verbosity, Some(Verbosity::High));
    assert_eq!(request.stop.as_ref().unwrap().as_slice(), ["END"]);
    assert_eq!(request.token_limit(), Some(5));
    assert_eq!(request.temperature, Some(1.0));
    assert!(request.includes_usage());
}

#[test]
fn the_newer_token_limit_wins() {
    let request = ChatCompletionRequest {
        max_tokens: Some(1),
        max_completion_tokens: Some(2),
        ..Default::default()
    };
    assert_eq!(request.token_limit(), Some(2));
}

#[test]
fn text_of_a_message_is_joined_unless_a_part_is_not_text() {
    let parts = |parts: Value| read::<MessageContent>(&parts);
    assert_eq!(parts(json!("a")).as_text().unwrap(), "a");
    assert_eq!(parts(json!([])).as_text().unwrap(), "");
    let two = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    assert_eq!(parts(two).as_text().unwrap(), "ab");
    let image = json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]);
    assert_eq!(parts(image).as_text(), None);
}

#[test]
fn messages_are_made_as_they_are_read() {
    for (message, value) in [
        (ChatMessage::system("a"), json!({"role": "system", "content": "a"})),
        (ChatMessage::user("a"), json!({"role": "user", "content": "a"})),
        (
            ChatMessage::assistant("a"),
            json!({"role": "assistant", "content": "a"}),
        ),
        (
            ChatMessage::tool("c", "a"),
            json!({"role": "tool", "content": "a", "tool_call_id": "c"}),
        ),
    ] {
        assert_eq!(serde_json::to_value(&message).unwrap(), value);
        assert_eq!(read::<ChatMessage>(&value), message);
    }
}

#[test]
fn faults_in_messages_name_the_place() {
    let part = |part: Value| conversation(&json!({"role": "user", "content": [{"type": "text", "text": ""}, part]}));
    let call = |call: Value| conversation(&json!({"role": "assistant", "tool_calls": [call]}));
    let cases = [
        (
            conversation(&json!({"role": "user", "content": 5})),
            "messages[0].content",
            "expected a string or an array of content parts",
        ),
        (
            conversation(&json!({"content": 5, "role": "user"})),
            "messages[0].content",
            "expected a string or an array of content parts",
        ),
        (
            conversation(&json!({"role": "user"})),
            "messages[0]",
            "a message of the role `user` needs `content`",
        ),
        (
            conversation(&json!({"role": "system", "content": null})),
            "messages[0]",
            "a message of the role `system` needs `content`",
        ),
        (
            conversation(&json!({"content": "hi"})),
            "messages[0]",
            "missing field `role`",
        ),
        (
            conversation(&json!({"role": 1, "content": "hi"})),
            "messages[0].role",
            "expected a string",
        ),
        (
            conversation(&json!({"role": "tool", "content": "hi"})),
            "messages[0]",
            "missing field `tool_call_id`",
        ),
        (
            conversation(&json!({"role": "function", "content": "hi"})),
            "messages[0]",
            "missing field `name`",
        ),
        (
            conversation(&json!("hi")),
            "messages[0]",
            "expected a message: an object with a `role`",
        ),
        (
            part(json!("hi")),
            "messages[0].content[1]",
            "expected a content part: an object with a `type`",
        ),
        (
            part(json!({"text": "hi"})),
            "messages[0].content[1]",
            "missing field `type`",
        ),
        (
            part(json!({"type": "text", "text": 5})),
            "messages[0].content[1].text",
            "expected a string",
        ),
        (
            part(json!({"type": "text"})),
            "messages[0].content[1]",
            "missing field `text`",
        ),
        (
            part(json!({"type": "image_url", "image_url": "u"})),
            "messages[0].content[1].image_url",
            "expected an object with a `url`",
        ),
        (
            part(json!({"type": "image_url", "image_url": {}})),
            "messages[0].content[1].image_url",
            "missing field `url`",
        ),
        (
            part(json!({"type": "image_url"})),
            "messages[0].content[1]",
            "missing field `image_url`",
        ),
        (
            part(json!({"type": "input_audio", "input_audio": {"data": "", "format": 1}})),
            "messages[0].content[1].input_audio.format",
            "expected a string such as `wav`, `mp3`",
        ),
        (
            call(json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": {}}})),
            "messages[0].tool_calls[0].function.arguments",
            "expected a string",
        ),
        (
            call(json!({"type": "function", "function": {"name": "f", "arguments": ""}})),
            "messages[0].tool_calls[0]",
            "missing field `id`",
        ),
        (
            call(json!({"id": "c", "type": "custom"})),
            "messages[0].tool_calls[0]",
            "missing field `custom`",
        ),
        (
            call(json!({"id": "c"})),
            "messages[0].tool_calls[0]",
            "missing field `type`",
        ),
    ];
    for (value, path, message) in cases {
        let fault = fault::<ChatCompletionRequest>(&value);
        assert_eq!(fault.path, path, "{value}: {fault}");
        assert!(fault.message.contains(message), "{value}: {fault}");
    }
}

#[test]
fn faults_in_options_name_the_place() {
    let cases = [
        (json!({"messages": "hi"}), "messages", "expected a sequence"),
        (json!({"temperature": "hot"}), "temperature", "expected f64"),
        (json!({"max_tokens": -1}), "max_tokens", "invalid value: integer `-1`"),
        (
            json!({"stop": {"a": 1}}),
            "stop",
            "expected a string or an array of strings",
        ),
        (json!({"stop": ["a", null]}), "stop[1]", "expected a string"),
        (
            json!({"reasoning_effort": 3}),
            "reasoning_effort",
            "expected a string such as `none`, `minimal`",
        ),
        (
            json!({"modalities": ["text", 1]}),
            "modalities[1]",
            "expected a string such as `text`, `audio`",
        ),
        (json!({"stream_options": true}), "stream_options", "expected an object"),
        (
            json!({"stream_options": {"include_usage": "yes"}}),
            "stream_options.include_usage",
            "expected a boolean",
        ),
        (
            json!({"tool_choice": 1}),
            "tool_choice",
            "expected `none`, `auto`, `required` or an object that names a tool",
        ),
        (
            json!({"tool_choice": ["auto"]}),
            "tool_choice",
            "expected `none`, `auto`, `required` or an object",
        ),
        (json!({"tool_choice": {}}), "tool_choice", "missing field `type`"),
        (
            json!({"tool_choice": {"type": "function"}}),
            "tool_choice",
            "missing field `function`",
        ),
        (
            json!({"tool_choice": {"type": "function", "function": {"name": 1}}}),
            "tool_choice.function.name",
            "expected a string",
        ),
        (
            json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [1]}}}),
            "tool_choice.allowed_tools.tools[0]",
            "expected a map",
        ),
        (
            json!({"function_call": 1}),
            "function_call",
            "expected `none`, `auto` or an object with a `name`",
        ),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0]",
            "missing field `function`",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
            "tools[0].function.parameters",
            "expected a map",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]}),
            "tools[0].function.strict",
            "expected a boolean",
        ),
        (
            json!({"response_format": "json"}),
            "response_format",
            "expected an object with a `type`",
        ),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "response_format",
            "missing field `json_schema`",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": 1}}}),
            "response_format.json_schema.schema",
            "expected a map",
        ),
        (
            json!({"audio": {"voice": 1, "format": "wav"}}),
            "audio.voice",
            "expected the name of a voice or an object with an `id`",
        ),
        (
            json!({"audio": {"voice": {}, "format": "wav"}}),
            "audio.voice",
            "missing field `id`",
        ),
        (
            json!({"prediction": {"type": "content", "content": 1}}),
            "prediction.content",
            "expected a string or an array",
        ),
        (json!({"metadata": {"a": 1}}), "metadata.a", "expected a string"),
        (
            json!({"web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": 1}}}}),
            "web_search_options.user_location.approximate.city",
            "expected a string",
        ),
    ];
    for (fields, path, message) in cases {
        let fault = fault::<ChatCompletionRequest>(&request(&fields));
        assert_eq!(fault.path, path, "{fields}: {fault}");
        assert!(fault.message.contains(message), "{fields}: {fault}");
    }
    let fault = fault::<ChatCompletionRequest>(&json!({"model": "m"}));
    assert!(fault.message.contains("missing field `messages`"), "{fault}");
}
