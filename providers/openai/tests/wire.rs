//! What reaches the upstream, word for word.

use puna_api::{Api, ErrorKind, HostBuilder};
use puna_provider_openai::PROVIDER;
use puna_testkit::wire::{Subject, request, with_data};
use puna_testkit::{StubUpstream, context};
use serde_json::json;

const CHAT: &str = StubUpstream::CHAT_MODEL;

async fn subject() -> Subject {
    Subject::with_host(
        PROVIDER,
        |url| json!({ "base_url": format!("{url}/v1"), "api_key": "sk-config" }),
        inference_alone,
    )
    .await
}

fn inference_alone(_: &str, host: HostBuilder) -> HostBuilder {
    host.apis([Api::Inference])
}

#[tokio::test]
async fn requests_keep_their_words() {
    let subject = subject().await;
    let body = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}],"temperature":1.50,"x":1}"#;
    subject
        .inference()
        .chat_completion(&context(), request(CHAT, body))
        .await
        .unwrap();
    insta::assert_json_snapshot!("chat", subject.last());
    let body = r#"{"messages":[{"role":"user","content":"hi"}],"model":"mine","stream":true,"stream_options":{"include_usage":true}}"#;
    drop(
        subject
            .inference()
            .chat_completion_stream(&context(), request(CHAT, body))
            .await
            .unwrap(),
    );
    insta::assert_json_snapshot!("chat_stream", subject.last());
    let body = r#"{"model":"mine","prompt":["a","b"],"max_tokens":3}"#;
    subject
        .inference()
        .completion(&context(), request(CHAT, body))
        .await
        .unwrap();
    insta::assert_json_snapshot!("completion", subject.last());
    let body = r#"{"input":"a","model":"mine","encoding_format":"base64"}"#;
    let embedding = StubUpstream::EMBEDDING_MODEL;
    subject
        .inference()
        .embeddings(&context(), request(embedding, body))
        .await
        .unwrap();
    insta::assert_json_snapshot!("embeddings", subject.last());
    subject
        .services
        .models
        .as_ref()
        .unwrap()
        .list_models(&context())
        .await
        .unwrap();
    insta::assert_json_snapshot!("models", subject.last());
}

#[tokio::test]
async fn a_callers_key_goes_first() {
    let subject = subject().await;
    let body = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}]}"#;
    let context = with_data(&json!({ "openai_api_key": "sk-caller" }));
    subject
        .inference()
        .chat_completion(&context, request(CHAT, body))
        .await
        .unwrap();
    assert_eq!(subject.last()["headers"]["authorization"], "Bearer sk-caller");
}

#[tokio::test]
async fn without_a_key_nobody_is_called() {
    // An empty variable is no key.
    let config = |url: &str| json!({ "url": format!("{url}/v1"), "api_token": "" });
    let subject = Subject::with_host(PROVIDER, config, inference_alone).await;
    let body = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}]}"#;
    let error = subject
        .inference()
        .chat_completion(&context(), request(CHAT, body))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(
        error
            .message()
            .contains("`openai_api_key` in the header X-OGX-Provider-Data"),
        "{error}"
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
    assert!(subject.services.health.is_none());
    assert!(subject.stub.requests().is_empty());
}

#[test]
fn configurations_are_checked() {
    assert!(PROVIDER.check(PROVIDER.sample().unwrap()).is_ok());
    assert!(
        PROVIDER
            .check(json!({ "base_url": null, "api_key": null, "network": null }))
            .is_ok()
    );
    for (config, path) in [
        (json!({ "base_url": "api.openai.com" }), "base_url"),
        (json!({ "network": { "timeout": -1 } }), "network.timeout"),
        (json!({ "storage_dir": "" }), "storage_dir"),
        (
            json!({ "metadata_store": { "table_name": "a b" } }),
            "metadata_store.table_name",
        ),
    ] {
        assert_eq!(PROVIDER.check(config).unwrap_err().path, path);
    }
    assert!(
        PROVIDER
            .check(json!({ "base_ur": "x" }))
            .unwrap_err()
            .message
            .contains("unknown field `base_ur`")
    );
}
