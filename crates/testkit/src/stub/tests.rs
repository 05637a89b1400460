//! What goes over the wire, read by a client that knows nothing of the stub.

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::*;

/// An answer read to its end, and whether that was a proper one.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
    is_whole: bool,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The data of each event.
    fn events(&self) -> Vec<&str> {
        self.body
            .split("\n\n")
            .filter(|event| !event.is_empty())
            .map(|event| event.strip_prefix("data: ").unwrap())
            .collect()
    }
}

/// Sends a request on a connection of its own; none when there is no answer.
async fn send(upstream: &StubUpstream, request: Request<Full<Bytes>>) -> Option<Answer> {
    let socket = TcpStream::connect(upstream.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .unwrap();
    let mut connections = JoinSet::new();
    connections.spawn(connection.map(drop));
    let (head, mut incoming) = sender.send_request(request).await.ok()?.into_parts();
    let mut body = Vec::new();
    let mut is_whole = true;
    while let Some(frame) = incoming.frame().await {
        match frame {
            Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap()),
            Err(_) => is_whole = false,
        }
    }
    Some(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body).unwrap(),
        is_whole,
    })
}

async fn ask(upstream: &StubUpstream, method: &str, path: &str, body: &Value) -> Option<Answer> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "stub")
        .header("x-test", "1");
    send(upstream, request.body(Full::new(body.to_string().into())).unwrap()).await
}

fn chat(said: &str, fields: Value) -> Value {
    let mut body = json!({ "model": StubUpstream::CHAT_MODEL, "messages": [{ "role": "user", "content": said }] });
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields);
    }
    body
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_chat_is_whole() {
    let upstream = StubUpstream::start().unwrap();
    let answer = ask(
        &upstream,
        "POST",
        CHAT,
        &chat("hello there llama", json!({ "max_tokens": 2 })),
    )
    .await
    .unwrap();
    assert_eq!(
        (answer.status, answer.headers["content-type"].to_str().unwrap()),
        (200, "application/json")
    );
    assert_eq!(
        answer.json(),
        json!({
            "id": "chatcmpl-5b0d4ee1", "object": "chat.completion", "created": 1_760_000_000, "model": "stub/llm",
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": "hello there", "refusal": null },
                "logprobs": null, "finish_reason": "length", "stop_reason": null,
            }],
            "service_tier": null, "system_fingerprint": null,
            "usage": { "prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": null },
        })
    );
}

#[tokio::test]
async fn a_stream_has_role_words_end_usage_and_done() {
    let upstream = StubUpstream::start().unwrap();
    let body = chat(
        "hi llama",
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
    );
    let answer = ask(&upstream, "POST", CHAT, &body).await.unwrap();
    assert_eq!(answer.headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(answer.headers.contains_key("transfer-encoding") && answer.is_whole);
    let head = r#""id":"chatcmpl-5b0d4ee1","object":"chat.completion.chunk","created":1760000000,"model":"stub/llm""#;
    let choice = |delta: &str, reason: &str| {
        format!(r#"{{{head},"choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}]}}"#)
    };
    let usage = r#"{"prompt_tokens":2,"total_tokens":4,"completion_tokens":2,"prompt_tokens_details":null}"#;
    assert_eq!(
        answer.events(),
        [
            choice(r#"{"role":"assistant","content":""}"#, "null"),
            choice(r#"{"content":"hi"}"#, "null"),
            choice(r#"{"content":" llama"}"#, "null"),
            choice("{}", r#""stop""#),
            format!(r#"{{{head},"choices":[],"usage":{usage}}}"#),
            "[DONE]".to_owned(),
        ]
    );
}

#[tokio::test]
async fn framings_send_the_same_bytes_or_the_same_events() {
    let upstream = StubUpstream::start().unwrap();
    let body = chat("naïve 🦙", json!({ "stream": true }));
    let plain = ask(&upstream, "POST", CHAT, &body).await.unwrap().body;
    for framing in [Framing::Bytes, Framing::Whole] {
        upstream.set_framing(framing);
        assert_eq!(
            ask(&upstream, "POST", CHAT, &body).await.unwrap().body,
            plain,
            "{framing:?}"
        );
    }
    upstream.set_framing(Framing::Ornate);
    let ornate = ask(&upstream, "POST", CHAT, &body).await.unwrap().body;
    assert!(
        ornate.starts_with(": keep-alive\r\n\r\nid: 0\r\nevent: message\r\ndata:{"),
        "{ornate}"
    );
    assert!(ornate.ends_with("data:[DONE]\r\n\r\n"), "{ornate}");
}

#[tokio::test]
async fn a_line_of_the_text_calls_a_tool() {
    let upstream = StubUpstream::start().unwrap();
    let tools = json!([{ "type": "function", "function": { "name": "look", "parameters": {
        "type": "object", "properties": { "at": { "type": "string" }, "times": { "type": "integer" } } } } }]);
    for (said, choice, arguments) in [
        ("call look {\"at\": \"me\"}", json!("auto"), "{\"at\": \"me\"}"),
        ("hi", json!("required"), "{\"at\":\"hi\",\"times\":0}"),
        (
            "hi",
            json!({ "type": "function", "function": { "name": "look" } }),
            "{\"at\":\"hi\",\"times\":0}",
        ),
    ] {
        let answer = ask(
            &upstream,
            "POST",
            CHAT,
            &chat(said, json!({ "tools": tools, "tool_choice": choice })),
        )
        .await
        .unwrap();
        let choice = &answer.json()["choices"][0];
        assert_eq!(
            choice["message"]["tool_calls"][0]["function"],
            json!({ "name": "look", "arguments": arguments })
        );
        assert_eq!(choice["finish_reason"], "tool_calls");
    }
}

#[tokio::test]
async fn completions_embeddings_models_and_the_rest_answer() {
    let upstream = StubUpstream::start().unwrap();
    let body = json!({ "model": StubUpstream::CHAT_MODEL, "prompt": ["a b", [7, 8]], "echo": true, "logprobs": 1 });
    let answer = ask(&upstream, "POST", "/v1/completions", &body).await.unwrap().json();
    assert_eq!(
        (&answer["choices"][0]["text"], &answer["choices"][1]["text"]),
        (&json!("a ba b"), &json!("7 87 8"))
    );
    assert_eq!(answer["choices"][1]["logprobs"]["tokens"], json!(["7 8", "7", " 8"]));

    let body = json!({ "model": StubUpstream::EMBEDDING_MODEL, "input": ["a b", "b a"], "dimensions": 3 });
    let answer = ask(&upstream, "POST", "/v1/embeddings", &body).await.unwrap().json();
    assert_eq!(answer["data"][0]["embedding"].as_array().unwrap().len(), 3);

    let body =
        json!({ "model": StubUpstream::RERANK_MODEL, "query": "llama", "documents": ["sea", "a llama"], "top_n": 1 });
    let answer = ask(&upstream, "POST", "/rerank", &body).await.unwrap().json();
    assert_eq!(
        (
            answer["results"].as_array().unwrap().len(),
            &answer["results"][0]["index"]
        ),
        (1, &json!(1))
    );

    let answer = ask(&upstream, "GET", "/v1/models", &json!(null)).await.unwrap().json();
    assert_eq!(answer["data"][2]["id"], StubUpstream::RERANK_MODEL);
    let body = json!({ "model": StubUpstream::CHAT_MODEL, "prompt": "a b c" });
    assert_eq!(
        ask(&upstream, "POST", "/tokenize", &body).await.unwrap().json()["count"],
        3
    );
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("GET", "/version", 200),
        ("GET", CHAT, 405),
        ("GET", "/v1/nothing", 404),
    ] {
        assert_eq!(
            ask(&upstream, method, path, &json!(null)).await.unwrap().status,
            status,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn wrong_requests_are_named() {
    let upstream = StubUpstream::start().unwrap();
    for (fields, status, param) in [
        (json!({ "model": "x" }), 404, Value::Null),
        (json!({ "messages": [] }), 400, json!("messages")),
        (
            json!({ "messages": [{ "content": "a" }] }),
            400,
            json!("messages[0].role"),
        ),
        (
            json!({ "messages": [{ "role": "user" }] }),
            400,
            json!("messages[0].content"),
        ),
        (json!({ "temperature": "hot" }), 400, json!("temperature")),
        (json!({ "temperature": 3 }), 400, json!("temperature")),
        (json!({ "n": 0 }), 400, json!("n")),
        (json!({ "max_tokens": -1 }), 400, json!("max_tokens")),
        (json!({ "stop": [1] }), 400, json!("stop")),
        (json!({ "stream_options": {} }), 400, json!("stream_options")),
        (json!({ "top_logprobs": 1 }), 400, json!("top_logprobs")),
        (json!({ "tool_choice": "perhaps" }), 400, json!("tool_choice")),
        (
            json!({ "response_format": { "type": "xml" } }),
            400,
            json!("response_format.type"),
        ),
    ] {
        let answer = ask(&upstream, "POST", CHAT, &chat("hi", fields.clone())).await.unwrap();
        assert_eq!(
            (answer.status, &answer.json()["error"]["param"]),
            (status, &param),
            "{fields}"
        );
    }
}

#[tokio::test]
async fn a_key_can_be_demanded() {
    let settings = StubSettings {
        api_key: Some("sk-1".to_owned()),
        ..StubSettings::default()
    };
    let upstream = StubUpstream::with_settings(settings).unwrap();
    for (sent, status) in [(None, 401), (Some("Bearer sk-2"), 401), (Some("Bearer sk-1"), 200)] {
        let mut request = Request::get("/v1/models").header("host", "stub");
        if let Some(sent) = sent {
            request = request.header("authorization", sent);
        }
        let answer = send(&upstream, request.body(Full::default()).unwrap()).await.unwrap();
        assert_eq!(answer.status, status, "{sent:?}");
    }
}

#[tokio::test]
async fn faults_are_what_they_are_called() {
    let upstream = StubUpstream::start().unwrap();
    let whole = chat("one two three four", json!({}));
    let stream = chat("one two three four", json!({ "stream": true }));

    upstream.fail(CHAT, Fault::html(502));
    let answer = ask(&upstream, "POST", CHAT, &whole).await.unwrap();
    assert!(
        answer.status == 502 && answer.body.starts_with("<!DOCTYPE html>"),
        "{}",
        answer.body
    );

    upstream.fail(
        CHAT,
        Fault::error(429, "slow", "rate_limit_error", None).with_header("retry-after", "7"),
    );
    let answer = ask(&upstream, "POST", CHAT, &whole).await.unwrap();
    assert_eq!(
        (answer.status, &answer.headers["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(answer.json()["error"]["message"], "slow");

    upstream.fail(CHAT, Fault::Disconnect);
    assert!(ask(&upstream, "POST", CHAT, &whole).await.is_none());
    upstream.fail(CHAT, Fault::TruncatedBody);
    assert!(!ask(&upstream, "POST", CHAT, &whole).await.unwrap().is_whole);

    upstream.fail(CHAT, Fault::DisconnectAfter(2));
    let answer = ask(&upstream, "POST", CHAT, &stream).await.unwrap();
    assert_eq!((answer.events().len(), answer.is_whole), (2, false));
    upstream.fail(CHAT, Fault::EndAfter(2));
    let answer = ask(&upstream, "POST", CHAT, &stream).await.unwrap();
    assert_eq!((answer.events().len(), answer.is_whole), (2, true));
    upstream.fail(CHAT, Fault::MalformedChunkAfter(2));
    let answer = ask(&upstream, "POST", CHAT, &stream).await.unwrap();
    assert!(serde_json::from_str::<Value>(answer.events()[1]).is_ok());
    assert!(serde_json::from_str::<Value>(answer.events()[2]).is_err());
    upstream.fail(CHAT, Fault::ErrorAfter(2));
    let answer = ask(&upstream, "POST", CHAT, &stream).await.unwrap();
    let error: Value = serde_json::from_str(answer.events()[2]).unwrap();
    assert_eq!(error["error"]["message"], Fault::STREAM_ERROR_MESSAGE);

    upstream.heal();
    assert_eq!(ask(&upstream, "POST", CHAT, &whole).await.unwrap().status, 200);
}

#[tokio::test]
async fn who_hangs_up_is_seen() {
    let upstream = StubUpstream::start().unwrap();
    ask(&upstream, "POST", CHAT, &chat("hi", json!({}))).await.unwrap();
    assert_eq!(upstream.requests()[0].outcome().await, Outcome::Answered);
    for (fault, body) in [
        (Fault::Hang, chat("hi", json!({}))),
        (Fault::StallAfter(1), chat("hi", json!({ "stream": true }))),
    ] {
        let upstream = StubUpstream::start().unwrap();
        upstream.fail(CHAT, fault.clone());
        tokio::select! {
            _ = ask(&upstream, "POST", CHAT, &body) => panic!("{fault:?} came to an end"),
            () = upstream.received(CHAT) => {}
        }
        assert_eq!(
            upstream.requests_to(CHAT)[0].outcome().await,
            Outcome::Abandoned,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn requests_are_kept_as_they_came() {
    let upstream = StubUpstream::start().unwrap();
    let body = chat("hi", json!({ "x": 1 }));
    ask(&upstream, "POST", "/v1/chat/completions?a=b", &body).await.unwrap();
    let request = &upstream.requests_to(CHAT)[0];
    assert_eq!((request.header("X-Test"), request.json()), (Some("1"), body.clone()));
    let expected =
        json!({ "method": "POST", "path": CHAT, "query": "a=b", "headers": { "x-test": "1" }, "body": body });
    assert_eq!(request.golden(), expected);
}

#[tokio::test]
async fn a_refused_port_refuses() {
    let port = RefusedPort::take().unwrap();
    let error = TcpStream::connect(port.address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let upstream = StubUpstream::start().unwrap();
    let address = upstream.address;
    drop(upstream);
    assert!(TcpStream::connect(address).await.is_err());
}
