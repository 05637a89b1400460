//! What reaches the upstream, word for word.

use puna_api::{Json, ModelType, RerankTask};
use puna_provider_vllm::PROVIDER;
use puna_testkit::wire::{Subject, model, request, with_data};
use puna_testkit::{Fault, StubUpstream, context};
use serde_json::json;

const CHAT: &str = StubUpstream::CHAT_MODEL;

async fn subject() -> Subject {
    Subject::new(
        PROVIDER,
        |url| json!({ "base_url": format!("{url}/v1"), "max_tokens": 128, "api_token": "fake" }),
    )
    .await
}

#[tokio::test]
async fn a_chat_without_a_limit_gets_the_configured_one() {
    let subject = subject().await;
    let body = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}],"guided_choice":["a"],"top_k":40}"#;
    subject
        .inference()
        .chat_completion(&context(), request(CHAT, body))
        .await
        .unwrap();
    insta::assert_json_snapshot!("chat", subject.last());
    let body = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":5}"#;
    subject
        .inference()
        .chat_completion(&context(), request(CHAT, body))
        .await
        .unwrap();
    insta::assert_json_snapshot!("chat_with_its_own_limit", subject.last());
}

#[tokio::test]
async fn reranking_is_the_servers_own() {
    let subject = subject().await;
    let body = r#"{"model":"mine","query":"q","items":["a",{"type":"text","text":"b"}],"max_num_results":1}"#;
    let task = RerankTask {
        model: model(StubUpstream::RERANK_MODEL, ModelType::Rerank),
        body: Json::from_bytes(body),
    };
    let answer = subject
        .services
        .rerank
        .as_ref()
        .unwrap()
        .rerank(&context(), task)
        .await
        .unwrap();
    assert_eq!(answer.data.len(), 1);
    insta::assert_json_snapshot!("rerank", subject.last());
}

#[tokio::test]
async fn health_is_asked_beside_the_version() {
    let subject = subject().await;
    subject.services.health.as_ref().unwrap().check().await.unwrap();
    insta::assert_json_snapshot!("health", subject.last());
    // A server that merely speaks the dialect lists its models instead.
    subject
        .stub
        .fail("/health", Fault::json(404, &json!({ "detail": "Not Found" })));
    subject.services.health.as_ref().unwrap().check().await.unwrap();
    assert_eq!(subject.last()["path"], "/v1/models");
}

#[tokio::test]
async fn a_callers_token_goes_first() {
    let subject = subject().await;
    let body = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}]}"#;
    let context = with_data(&json!({ "vllm_api_token": "caller", "openai_api_key": "other" }));
    subject
        .inference()
        .chat_completion(&context, request(CHAT, body))
        .await
        .unwrap();
    assert_eq!(subject.last()["headers"]["authorization"], "Bearer caller");
}

#[test]
fn configurations_of_every_generation_are_read() {
    assert!(PROVIDER.check(PROVIDER.sample().unwrap()).is_ok());
    for config in [
        json!({ "url": "http://h:8000/v1", "max_tokens": 4096, "api_token": "fake", "tls_verify": true }),
        json!({ "base_url": "http://h:8000/v1", "api_key": 123, "network": { "tls": { "verify": false } }, "allowed_models": ["a"] }),
        json!({ "base_url": "http://h:8000/v1", "max_tokens": null, "refresh_models": true }),
    ] {
        assert!(PROVIDER.check(config.clone()).is_ok(), "{config}");
    }
    for (config, path) in [
        (json!({}), "base_url"),
        (json!({ "base_url": null }), "base_url"),
        (json!({ "base_url": "h:8000" }), "base_url"),
        (json!({ "base_url": "http://h/v1", "max_tokens": 0 }), "max_tokens"),
        (
            json!({ "base_url": "http://h/v1", "tls_verify": true, "network": { "tls": { "verify": true } } }),
            "tls_verify",
        ),
        (
            json!({ "base_url": "http://h/v1", "network": { "tls": { "client_cert": "/c" } } }),
            "network.tls.client_cert",
        ),
    ] {
        assert_eq!(PROVIDER.check(config).unwrap_err().path, path);
    }
}
