//! Server-sent events.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use insta::assert_snapshot;

use crate::client::{Client, chat_body, request};

#[tokio::test]
async fn a_stream_is_events_and_done() {
    let client = Client::new().await;
    let answer = client.chat_stream("echo").await;
    assert_eq!(answer.status, StatusCode::OK);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    // The provider wrote its first chunk over several lines; an event is one.
    assert!(!answer.text().contains('\r'));
    let lines: Vec<_> = answer.text().lines().collect();
    assert_eq!(lines.len(), 6);
    let first: serde_json::Value = serde_json::from_str(lines[0].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(first["choices"][0]["delta"]["content"], "a\nb");
    assert_snapshot!(lines[1..].join("\n"), @r#"

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"scripted/echo","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]
"#);
}

#[tokio::test]
async fn each_event_is_one_frame() {
    let client = Client::new().await;
    let sent = request(
        Method::POST,
        "/v1/chat/completions",
        Body::from(chat_body("echo", r#","stream":true"#)),
    );
    let mut body = client.send(sent).await.into_body();
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(frame.unwrap().into_data().unwrap());
    }
    assert_eq!(frames.len(), 3);
    assert!(
        frames
            .iter()
            .all(|frame| frame.starts_with(b"data: ") && frame.ends_with(b"\n\n"))
    );
}

#[tokio::test]
async fn completions_stream_too() {
    let client = Client::new().await;
    let answer = client
        .post(
            "/v1/completions",
            r#"{"model":"scripted/echo","prompt":"x","stream":true}"#,
        )
        .await;
    assert_snapshot!(answer.text(), @r#"
data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"scripted/echo","choices":[{"index":0,"text":"one ","finish_reason":null,"logprobs":null}]}

data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"scripted/echo","choices":[{"index":0,"text":"two","finish_reason":null,"logprobs":null}]}

data: [DONE]
"#);
}

#[tokio::test]
async fn an_empty_stream_is_done() {
    assert_eq!(
        Client::new().await.chat_stream("empty").await.text(),
        "data: [DONE]\n\n"
    );
}

#[tokio::test]
async fn what_fails_before_the_first_chunk_is_an_ordinary_error() {
    let client = Client::new().await;
    for (model, expected) in [("limited", 429), ("refused", 422), ("broken", 500), ("nothing", 404)] {
        assert_eq!(client.chat_stream(model).await.error().0, expected, "{model}");
    }
}

#[tokio::test]
async fn what_fails_midway_ends_the_stream_with_an_error_event() {
    let client = Client::new().await;
    for (model, message) in [
        ("breaks", "the upstream closed the stream"),
        ("panics", "an internal error occurred"),
    ] {
        let answer = client.chat_stream(model).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!answer.text().contains("[DONE]"));
        let last = answer.text().trim_end().lines().last().unwrap();
        let event: serde_json::Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
        assert!(
            event["error"]["message"].as_str().unwrap().starts_with(message),
            "{event}"
        );
        assert_eq!(event["error"]["type"], "server_error");
        assert!(answer.text().ends_with("\n\n"));
    }
}

#[tokio::test]
async fn dropping_the_answer_cancels_the_work() {
    let client = Client::new().await;
    let sent = request(
        Method::POST,
        "/v1/chat/completions",
        Body::from(chat_body("hangs", r#","stream":true"#)),
    );
    let mut body = client.send(sent).await.into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(client.probe.dropped.load(Ordering::SeqCst), 0);
    drop(body);
    assert_eq!(client.probe.dropped.load(Ordering::SeqCst), 1);
}
