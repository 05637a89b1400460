//! Who is let in, and what travels along: keys, ids, provider data, deadlines, web pages.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use puna_api::Secret;
use puna_server::{ApiKey, CorsRules, CorsSettings, Limits, ServerSettings};

use crate::client::{Answer, Client, chat_body, request};

async fn guarded() -> Client {
    let key = |name: Option<&str>, key: &str| ApiKey {
        name: name.map(str::to_owned),
        key: Secret::new(key.to_owned()),
    };
    Client::with(ServerSettings {
        api_keys: vec![key(Some("alice"), "sk-1"), key(None, "sk-2")],
        ..ServerSettings::default()
    })
    .await
}

fn chat(model: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut sent = request(Method::POST, "/v1/chat/completions", Body::from(chat_body(model, "")));
    for (name, value) in headers {
        sent.headers_mut().insert(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    sent
}

fn context(answer: &Answer) -> serde_json::Value {
    serde_json::from_str(&answer.content()).unwrap()
}

#[tokio::test]
async fn a_key_lets_in_and_names_the_caller() {
    let client = guarded().await;
    for (authorization, principal) in [("Bearer sk-1", "alice"), ("Bearer sk-2", "api-key-2")] {
        let answer = client
            .answer(chat("context", &[("authorization", authorization)]))
            .await;
        assert_eq!(context(&answer)["principal"], principal);
    }
}

#[tokio::test]
async fn without_a_key_only_public_paths_answer() {
    let client = guarded().await;
    for path in ["/v1/health", "/v1/version", "/openapi.json", "/docs"] {
        assert_eq!(client.get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in [
        "/v1/models",
        "/v1/providers",
        "/v1/inspect/routes",
        "/v1/nothing",
        "/v1/chat/completions",
    ] {
        let answer = client.get(path).await;
        assert_eq!(
            (answer.error().0, answer.header("www-authenticate")),
            (401, Some("Bearer")),
            "{path}"
        );
    }
    for (headers, code, part) in [
        (&[][..], None, "no API key"),
        (
            &[("authorization", "Bearer wrong")],
            Some("invalid_api_key"),
            "not one of this server's",
        ),
        (&[("authorization", "Basic c2stMQ==")], None, "no bearer token"),
    ] {
        let (status, _, got, message) = client.answer(chat("context", headers)).await.error();
        assert_eq!((status, got.as_deref()), (401, code));
        assert!(message.contains(part) && !message.contains("wrong"), "{message}");
    }
}

#[tokio::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let client = Client::new().await;
    let given = client.answer(chat("context", &[("x-request-id", "my-id-1")])).await;
    assert_eq!(given.header("x-request-id"), Some("my-id-1"));
    assert_eq!(context(&given)["request_id"], "my-id-1");
    for headers in [&[][..], &[("x-request-id", "no good")]] {
        let made = client.answer(chat("context", headers)).await;
        let id = made.header("x-request-id").unwrap();
        assert!(id.starts_with("req_"));
        assert_eq!(context(&made)["request_id"], id);
    }
    // Whatever fails has one too, and so has a stream.
    for answer in [
        client.get("/v1/nothing").await,
        client.chat("panics").await,
        client.chat_stream("echo").await,
    ] {
        assert!(answer.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn provider_data_reaches_the_provider() {
    let client = Client::new().await;
    for name in ["X-OGX-Provider-Data", "x-llamastack-provider-data"] {
        let name = name.to_lowercase();
        let answer = client
            .answer(chat("context", &[(&name, r#"{"scripted_token":"t-1"}"#)]))
            .await;
        assert_eq!(context(&answer)["token"], "t-1");
        for wrong in ["[]", "{", "token"] {
            let (status, _, code, _) = client.answer(chat("context", &[(&name, wrong)])).await.error();
            assert_eq!((status, code.as_deref()), (400, Some("invalid_provider_data")));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_start_in_time_is_given_up() {
    let client = Client::with_limits(Limits {
        request_timeout: Some(Duration::from_secs(9)),
        ..Limits::default()
    })
    .await;
    assert_eq!(context(&client.chat("context").await)["deadline"], true);
    let (status, _, _, message) = client.chat("hangs").await.error();
    assert_eq!(status, 504);
    assert!(message.contains("request_timeout"), "{message}");
    assert_eq!(client.probe.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn pages_of_listed_origins_may_call() {
    let rules = CorsRules {
        allow_origins: vec!["https://a.example".to_owned()],
        allow_origin_regex: Some("https://[a-z]+\\.b\\.example".to_owned()),
        allow_methods: vec!["GET".to_owned(), "POST".to_owned()],
        allow_headers: vec!["authorization".to_owned()],
        max_age: Duration::from_secs(60),
        ..CorsRules::default()
    };
    let cors = Some(CorsSettings::new(&rules).unwrap());
    let client = Client::with(ServerSettings {
        cors,
        ..ServerSettings::default()
    })
    .await;
    for (origin, allowed) in [
        ("https://a.example", true),
        ("https://x.b.example", true),
        ("https://x.b.example.evil.example", false),
        ("https://c.example", false),
    ] {
        let answer = client.answer(chat("echo", &[("origin", origin)])).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            allowed.then_some(origin),
            "{origin}"
        );
        let mut preflight = request(Method::OPTIONS, "/v1/chat/completions", Body::empty());
        preflight.headers_mut().insert("origin", origin.parse().unwrap());
        preflight
            .headers_mut()
            .insert("access-control-request-method", "POST".parse().unwrap());
        let answer = client.answer(preflight).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin));
        assert_eq!(answer.header("access-control-max-age"), Some("60"));
    }
}

#[tokio::test]
async fn without_rules_no_page_may_call() {
    let answer = Client::new()
        .await
        .answer(chat("echo", &[("origin", "https://a.example")]))
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}
