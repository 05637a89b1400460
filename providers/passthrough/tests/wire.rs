//! What reaches the upstream, word for word.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::sync::Arc;

use puna_api::ErrorKind;
use puna_http::EgressPolicy;
use puna_provider_passthrough::PROVIDER;
use puna_testkit::wire::{Subject, request, with_data};
use puna_testkit::{StubUpstream, context};
use serde_json::{Value, json};

const CHAT: &str = StubUpstream::CHAT_MODEL;

const HELLO: &str = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}]}"#;

/// The stub listens on the loopback address, which a caller may not choose unless the operator allows it.
async fn allowed(config: impl FnOnce(&str) -> Value) -> Subject {
    Subject::with_host(PROVIDER, config, |url, builder| {
        let policy = EgressPolicy::allowing([url.trim_start_matches("http://")]).unwrap();
        builder.resource(Arc::new(policy))
    })
    .await
}

#[tokio::test]
async fn the_operators_server_gets_the_operators_key_and_what_is_forwarded() {
    let subject = allowed(|url| {
        json!({
            "base_url": url, "api_key": "operator", "network": { "headers": { "x-operator": "1" } },
            "forward_headers": { "tenant_id": "X-Tenant-ID", "other": "Authorization" },
        })
    })
    .await;
    let data = json!({
        "tenant_id": "t", "other": "Basic x", "passthrough_api_key": "caller", "passthrough_url": "http://10.0.0.1/", "secret": "s",
    });
    subject
        .inference()
        .chat_completion(&with_data(&data), request(CHAT, HELLO))
        .await
        .unwrap();
    insta::assert_json_snapshot!("operators_server", subject.last());
}

#[tokio::test]
async fn a_callers_server_gets_nothing_of_the_operators() {
    let subject = allowed(|_| {
        json!({
            "api_key": "operator", "network": { "headers": { "x-operator": "1" } }, "forward_headers": { "tenant_id": "X-Tenant-ID" },
        })
    })
    .await;
    let data = json!({ "passthrough_url": subject.stub.url(), "tenant_id": "t" });
    subject
        .inference()
        .chat_completion(&with_data(&data), request(CHAT, HELLO))
        .await
        .unwrap();
    insta::assert_json_snapshot!("callers_server_without_key", subject.last());
    let mut data = data;
    data["passthrough_api_key"] = json!("caller");
    subject
        .inference()
        .chat_completion(&with_data(&data), request(CHAT, HELLO))
        .await
        .unwrap();
    insta::assert_json_snapshot!("callers_server_with_key", subject.last());
    assert!(
        !subject
            .services
            .models
            .as_ref()
            .unwrap()
            .list_models(&with_data(&data))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(subject.services.health.is_none());
}

#[tokio::test]
async fn a_callers_server_must_be_named_and_outside() {
    let subject = allowed(|_| json!({})).await;
    let inference = subject.inference();
    let error = inference
        .chat_completion(&context(), request(CHAT, HELLO))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::InvalidRequest, Some("missing_provider_data"))
    );
    assert!(
        subject
            .services
            .models
            .as_ref()
            .unwrap()
            .list_models(&context())
            .await
            .unwrap()
            .is_empty()
    );
    for (url, kind) in [
        ("http://127.0.0.1:1/", ErrorKind::PermissionDenied),
        ("http://localhost:1/v1", ErrorKind::PermissionDenied),
        ("http://169.254.169.254/latest", ErrorKind::PermissionDenied),
        ("http://[::1]:1/", ErrorKind::PermissionDenied),
        ("file:///etc/passwd", ErrorKind::InvalidRequest),
        ("http://u:p@example.com/", ErrorKind::InvalidRequest),
    ] {
        let context = with_data(&json!({ "passthrough_url": url }));
        let error = inference
            .chat_completion(&context, request(CHAT, HELLO))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
    }
    for data in [
        json!({ "passthrough_url": 5 }),
        json!({ "passthrough_url": subject.stub.url(), "passthrough_api_key": "a\nb" }),
    ] {
        let error = inference
            .chat_completion(&with_data(&data), request(CHAT, HELLO))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some("invalid_provider_data"));
    }
}

#[test]
fn headers_that_a_caller_must_not_set_are_refused() {
    assert!(PROVIDER.check(PROVIDER.sample().unwrap()).is_ok());
    for (config, path) in [
        (json!({ "forward_headers": { "k": "Host" } }), "forward_headers.k"),
        (
            json!({ "forward_headers": { "k": "Transfer-Encoding" } }),
            "forward_headers.k",
        ),
        (
            json!({ "forward_headers": { "k": "X-Forwarded-For" } }),
            "forward_headers.k",
        ),
        (json!({ "forward_headers": { "k": "Cookie" } }), "forward_headers.k"),
        (json!({ "forward_headers": { "k": "X Tenant" } }), "forward_headers.k"),
        (
            json!({ "forward_headers": { "__k": "X-Tenant" } }),
            "forward_headers.__k",
        ),
        (
            json!({ "forward_headers": { "a": "X-T", "b": "x-t" } }),
            "forward_headers.b",
        ),
        (
            json!({ "forward_headers": { "k": "X-Debug" }, "extra_blocked_headers": ["x-debug"] }),
            "forward_headers.k",
        ),
        (json!({ "extra_blocked_headers": [" "] }), "extra_blocked_headers[0]"),
        (json!({ "base_url": "x" }), "base_url"),
    ] {
        assert_eq!(PROVIDER.check(config.clone()).unwrap_err().path, path, "{config}");
    }
}
