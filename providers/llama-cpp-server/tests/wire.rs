//! What reaches the upstream, word for word.

use puna_api::{Json, ModelType, RerankTask};
use puna_provider_llama_cpp_server::PROVIDER;
use puna_testkit::wire::{Subject, model, request, with_data};
use puna_testkit::{StubUpstream, context};
use serde_json::json;

const CHAT: &str = StubUpstream::CHAT_MODEL;

#[tokio::test]
async fn a_chat_reaches_the_server() {
    for suffix in ["", "/v1"] {
        let subject = Subject::new(
            PROVIDER,
            |url| json!({ "base_url": format!("{url}{suffix}"), "api_key": "k" }),
        )
        .await;
        let body = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}],"max_completion_tokens":5,"grammar":"root ::= [a-z]"}"#;
        subject
            .inference()
            .chat_completion(&context(), request(CHAT, body))
            .await
            .unwrap();
        insta::assert_json_snapshot!("chat", subject.last());
    }
}

#[tokio::test]
async fn reranking_is_below_the_version() {
    let subject = Subject::new(PROVIDER, |url| json!({ "base_url": url })).await;
    let task = RerankTask {
        model: model(StubUpstream::RERANK_MODEL, ModelType::Rerank),
        body: Json::from_bytes(r#"{"model":"mine","query":"q","items":["a"]}"#),
    };
    subject
        .services
        .rerank
        .as_ref()
        .unwrap()
        .rerank(&with_data(&json!({})), task)
        .await
        .unwrap();
    insta::assert_json_snapshot!("rerank", subject.last());
}

#[test]
fn configurations_are_checked() {
    assert!(PROVIDER.check(PROVIDER.sample().unwrap()).is_ok());
    assert!(PROVIDER.check(json!({})).is_ok());
    assert_eq!(PROVIDER.check(json!({ "base_url": "x" })).unwrap_err().path, "base_url");
}
