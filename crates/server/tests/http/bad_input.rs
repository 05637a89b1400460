//! What must not be taken, or must be taken without harm. After each, the server still serves.

use std::io::Write;

use axum::body::Body;
use http::{Method, Request};
use puna_server::Limits;

use crate::client::{Client, chat_body, request};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn wrong_bodies_are_named() {
    let client = Client::new().await;
    let message = r#""messages":[{"role":"user","content":"hi"}]"#;
    let model = r#""model":"scripted/echo""#;
    for (body, param, code) in [
        (String::new(), None, "invalid_json"),
        ("not json".to_owned(), None, "invalid_json"),
        (format!("{{{model},{message}"), None, "invalid_json"),
        (format!("{{{model},{message}}}}}"), None, "invalid_json"),
        (format!("[{{{model},{message}}}]"), None, "invalid_json"),
        (
            format!("{{{model},{message},\"temperature\":NaN}}"),
            Some("temperature"),
            "invalid_json",
        ),
        (
            format!("{{{model},{message},\"temperature\":Infinity}}"),
            Some("temperature"),
            "invalid_json",
        ),
        (format!("{{{model}}}"), Some("messages"), "missing_required_parameter"),
        (format!("{{{message}}}"), Some("model"), "missing_required_parameter"),
        (format!("{{{model},\"messages\":[]}}"), Some("messages"), "empty_array"),
        (
            format!("{{{model},\"messages\":\"hi\"}}"),
            Some("messages"),
            "invalid_type",
        ),
        (
            format!("{{{model},{message},{model}}}"),
            Some("model"),
            "duplicate_parameter",
        ),
        (
            format!("{{{model},{message},{message}}}"),
            Some("messages"),
            "duplicate_parameter",
        ),
        (
            format!("{{{model},{message},\"max_tokens\":-1}}"),
            Some("max_tokens"),
            "integer_below_min_value",
        ),
        (
            format!("{{{model},{message},\"max_tokens\":0}}"),
            Some("max_tokens"),
            "integer_below_min_value",
        ),
        (
            format!("{{{model},{message},\"max_tokens\":1e100}}"),
            Some("max_tokens"),
            "invalid_type",
        ),
        (
            format!("{{{model},{message},\"max_tokens\":{}}}", "9".repeat(400)),
            Some("max_tokens"),
            "integer_above_max_value",
        ),
        (
            format!("{{{model},{message},\"max_completion_tokens\":4294967296}}"),
            Some("max_completion_tokens"),
            "integer_above_max_value",
        ),
        (
            format!("{{{model},{message},\"temperature\":\"hot\"}}"),
            Some("temperature"),
            "invalid_type",
        ),
        (
            format!("{{{model},{message},\"temperature\":2.5}}"),
            Some("temperature"),
            "decimal_above_max_value",
        ),
        (
            format!("{{{model},{message},\"top_p\":-0.5}}"),
            Some("top_p"),
            "decimal_below_min_value",
        ),
        (
            format!("{{{model},{message},\"n\":0}}"),
            Some("n"),
            "integer_below_min_value",
        ),
        (
            format!("{{{model},{message},\"stream\":\"yes\"}}"),
            Some("stream"),
            "invalid_type",
        ),
        (
            format!("{{{model},{message},\"stop\":[1]}}"),
            Some("stop"),
            "invalid_type",
        ),
        (
            format!("{{{model},{message},\"stream_options\":true}}"),
            Some("stream_options"),
            "invalid_type",
        ),
        (
            "{\"model\":5,\"messages\":[1]}".to_owned(),
            Some("model"),
            "invalid_type",
        ),
        (
            format!("{{{model},\"messages\":{}}}", "[".repeat(1000)),
            None,
            "json_too_deep",
        ),
    ] {
        let (status, got_param, got_code, text) = client.post(CHAT, body.clone()).await.error();
        assert_eq!(
            (status, got_param.as_deref(), got_code.as_deref()),
            (400, param, Some(code)),
            "{body}: {text}"
        );
        assert!(text.len() < 250, "{text}");
    }
    client.chat("echo").await.content();
}

#[tokio::test]
async fn stream_options_are_for_streams() {
    let client = Client::new().await;
    for (path, content) in [
        (CHAT, r#""messages":[{"role":"user","content":"hi"}]"#),
        ("/v1/completions", r#""prompt":"hi""#),
    ] {
        for stream in ["", r#","stream":false"#, r#","stream":null"#] {
            let body =
                |options: &str| format!(r#"{{"model":"scripted/echo",{content}{stream},"stream_options":{options}}}"#);
            let (status, param, _, message) = client.post(path, body(r#"{"include_usage":true}"#)).await.error();
            assert_eq!(
                (status, param.as_deref()),
                (400, Some("stream_options")),
                "{path} {stream}: {message}"
            );
            assert_eq!(client.post(path, body("null")).await.status, 200, "{path} {stream}");
        }
    }
}

#[tokio::test]
async fn wrong_prompts_and_inputs_are_named() {
    let client = Client::new().await;
    for (path, body, param) in [
        ("/v1/completions", r#"{"model":"scripted/echo"}"#, "prompt"),
        ("/v1/completions", r#"{"model":"scripted/echo","prompt":{}}"#, "prompt"),
        (
            "/v1/completions",
            r#"{"model":"scripted/echo","prompt":"x","max_tokens":-1}"#,
            "max_tokens",
        ),
        ("/v1/embeddings", r#"{"model":"scripted/vectors","input":""}"#, "input"),
        ("/v1/embeddings", r#"{"model":"scripted/vectors","input":[]}"#, "input"),
        (
            "/v1/embeddings",
            r#"{"model":"scripted/vectors","input":"x","dimensions":0}"#,
            "dimensions",
        ),
        ("/v1/embeddings", r#"{"input":"x"}"#, "model"),
    ] {
        let (status, got, _, message) = client.post(path, body).await.error();
        assert_eq!((status, got.as_deref()), (400, Some(param)), "{body}: {message}");
    }
}

#[tokio::test]
async fn invalid_utf8_is_told() {
    let client = Client::new().await;
    let mut body = chat_body("echo", "").into_bytes();
    let place = body.windows(2).position(|two| two == b"hi").unwrap();
    body[place] = 0xff;
    let (status, _, code, message) = client.post(CHAT, body).await.error();
    assert_eq!((status, code.as_deref()), (400, Some("invalid_json")));
    assert!(
        message.contains("UTF-8") && message.contains(&place.to_string()),
        "{message}"
    );
}

#[tokio::test]
async fn ten_megabytes_of_one_character() {
    let client = Client::new().await;
    let many = "a".repeat(10_000_000);
    assert_eq!(client.post(CHAT, many.clone()).await.error().0, 400);
    assert_eq!(client.post(CHAT, "[".repeat(10_000_000)).await.error().0, 400);
    let deep = format!("{{\"messages\":{}", "[".repeat(10_000_000));
    assert_eq!(
        client.post(CHAT, deep).await.error().2.as_deref(),
        Some("json_too_deep")
    );
    assert_eq!(client.post(CHAT, "\"".repeat(10_000_000)).await.error().0, 400);
    // As a prompt it is a request like any other; what is too long for a model, its provider says.
    let body = chat_body("size", "").replace("hi", &many);
    let length = body.len();
    assert_eq!(client.post(CHAT, body).await.content(), length.to_string());
}

#[tokio::test]
async fn a_hundred_thousand_messages() {
    let client = Client::new().await;
    let messages = vec![r#"{"role":"user","content":"hi"}"#; 100_000].join(",");
    let body = format!(r#"{{"model":"scripted/size","messages":[{messages}]}}"#);
    let length = body.len();
    assert_eq!(client.post(CHAT, body).await.content(), length.to_string());
}

#[tokio::test]
async fn a_body_beyond_the_bound_names_it() {
    let client = Client::with_limits(Limits {
        max_body_bytes: 100,
        ..Limits::default()
    })
    .await;
    for body in [
        Body::from(vec![b' '; 101]),
        Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>("  "))),
    ] {
        let (status, _, code, message) = client.post(CHAT, body).await.error();
        assert_eq!((status, code.as_deref()), (413, Some("request_too_large")));
        assert!(
            message.contains("100 bytes") && message.contains("max_body_bytes"),
            "{message}"
        );
    }
    client.chat("echo").await.content();
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn packed(encoding: &str, body: Vec<u8>) -> Request<Body> {
    let mut request = request(Method::POST, CHAT, Body::from(body));
    request
        .headers_mut()
        .insert("content-encoding", encoding.parse().unwrap());
    request
}

#[tokio::test]
async fn compressed_bodies_are_unpacked() {
    let client = Client::new().await;
    let body = chat_body("echo", "");
    for (encoding, packed_body) in [
        ("gzip", gzip(body.as_bytes())),
        ("zstd", zstd::encode_all(body.as_bytes(), 1).unwrap()),
        ("identity", body.clone().into()),
    ] {
        assert_eq!(
            client.answer(packed(encoding, packed_body)).await.content(),
            body,
            "{encoding}"
        );
    }
    let (status, _, code, message) = client.answer(packed("br", body.clone().into())).await.error();
    assert_eq!((status, code.as_deref()), (415, Some("unsupported_content_encoding")));
    assert!(message.contains("zstd"), "{message}");
    assert_eq!(
        client.answer(packed("gzip", body.into())).await.error().2.as_deref(),
        Some("invalid_content_encoding")
    );
}

#[tokio::test]
async fn bombs_are_stopped_at_the_bound() {
    let client = Client::with_limits(Limits {
        max_decompressed_bytes: 1 << 20,
        ..Limits::default()
    })
    .await;
    let zeros = vec![b' '; 100 << 20];
    for (encoding, bomb) in [
        ("gzip", gzip(&zeros)),
        ("zstd", zstd::encode_all(&zeros[..], 1).unwrap()),
    ] {
        assert!(bomb.len() < 1 << 20);
        let (status, _, code, message) = client.answer(packed(encoding, bomb)).await.error();
        assert_eq!(
            (status, code.as_deref()),
            (413, Some("request_too_large")),
            "{encoding}"
        );
        assert!(
            message.contains("1048576 bytes") && message.contains("max_decompressed_bytes"),
            "{message}"
        );
    }
    client.chat("echo").await.content();
}

#[tokio::test]
async fn the_content_type_matters_only_where_the_body_is_no_json() {
    let client = Client::new().await;
    let typed = |content_type: Option<&str>, body: &str| {
        let mut request = Request::post(CHAT);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        request.body(Body::from(body.to_owned())).unwrap()
    };
    let json = chat_body("echo", "");
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        assert_eq!(client.answer(typed(content_type, &json)).await.content(), json);
    }
    for content_type in [
        "application/x-www-form-urlencoded; charset=utf-8",
        "Multipart/Form-Data; boundary=x",
    ] {
        let (status, _, code, message) = client.answer(typed(Some(content_type), "model=a&n=1")).await.error();
        assert_eq!((status, code.as_deref()), (415, Some("unsupported_content_type")));
        assert!(message.contains("application/json"), "{message}");
    }
    assert_eq!(
        client.answer(typed(Some("text/plain"), "model=a&n=1")).await.error().0,
        400
    );
}

#[tokio::test]
async fn odd_paths_are_answered() {
    let client = Client::new().await;
    let long = format!("/{}", "x".repeat(5000));
    let (status, _, _, message) = client.get(&long).await.error();
    assert_eq!(status, 404);
    assert!(message.len() < 300);
    assert_eq!(client.get("/v1/models/%ff%fe").await.error().0, 400);
    assert_eq!(client.get("/v1/inspect/routes?api_filter=%ff").await.error().0, 400);
}
