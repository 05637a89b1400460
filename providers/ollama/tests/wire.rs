//! What reaches the upstream, word for word.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use puna_api::ErrorKind;
use puna_provider_ollama::PROVIDER;
use puna_testkit::wire::{Subject, request};
use puna_testkit::{StubUpstream, context};
use serde_json::{Value, json};

const CHAT: &str = StubUpstream::CHAT_MODEL;

async fn chat(subject: &Subject, body: &str) -> Value {
    subject
        .inference()
        .chat_completion(&context(), request(CHAT, body))
        .await
        .unwrap();
    subject.last()
}

#[tokio::test]
async fn the_url_may_leave_out_the_version() {
    for suffix in ["", "/", "/v1"] {
        let subject = Subject::new(PROVIDER, |url| json!({ "url": format!("{url}{suffix}") })).await;
        let sent = chat(
            &subject,
            r#"{"model":"mine","messages":[{"role":"user","content":"hi"}]}"#,
        )
        .await;
        insta::assert_json_snapshot!("chat", sent);
    }
}

#[tokio::test]
async fn what_the_server_would_pass_over_is_put_in_its_terms() {
    let subject = Subject::new(PROVIDER, |url| json!({ "base_url": url })).await;
    let body = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":9,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none"}"#;
    insta::assert_json_snapshot!("chat_in_other_terms", chat(&subject, body).await);
    let image = r#"{"model":"mine","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]}"#;
    insta::assert_json_snapshot!("image", chat(&subject, image).await);
}

#[tokio::test]
async fn what_the_server_would_pass_over_otherwise_is_refused() {
    let subject = Subject::new(PROVIDER, |url| json!({ "base_url": url })).await;
    for (fields, param) in [
        (r#""logit_bias":{"5":1}"#, "logit_bias"),
        (r#""functions":[{"name":"f"}]"#, "functions"),
        (r#""n":2"#, "n"),
    ] {
        let body = format!(r#"{{"model":"mine","messages":[{{"role":"user","content":"hi"}}],{fields}}}"#);
        let error = subject
            .inference()
            .chat_completion(&context(), request(CHAT, &body))
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::Unsupported, Some(param)));
    }
    assert!(subject.stub.requests().is_empty());
}

#[tokio::test]
async fn images_inside_the_servers_network_are_not_fetched() {
    let subject = Subject::new(PROVIDER, |url| json!({ "base_url": url })).await;
    let url = format!("{}/health", subject.stub.url());
    let body = json!({ "model": "mine", "messages": [
        { "role": "user", "content": "hi" },
        { "role": "user", "content": [{ "type": "text", "text": "x" }, { "type": "image_url", "image_url": { "url": url } }] },
    ] });
    let error = subject
        .inference()
        .chat_completion(&context(), request(CHAT, &body.to_string()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::PermissionDenied, Some("messages[1].content[1].image_url"))
    );
    assert!(subject.stub.requests().is_empty());
}

#[test]
fn configurations_are_checked() {
    assert!(PROVIDER.check(PROVIDER.sample().unwrap()).is_ok());
    assert!(PROVIDER.check(json!({})).is_ok());
    assert!(PROVIDER.check(json!({ "url": "http://localhost:11434" })).is_ok());
    assert_eq!(
        PROVIDER.check(json!({ "url": "localhost:11434" })).unwrap_err().path,
        "base_url"
    );
    assert!(
        PROVIDER
            .check(json!({ "api_kee": "x" }))
            .unwrap_err()
            .message
            .contains("unknown field `api_kee`")
    );
}
