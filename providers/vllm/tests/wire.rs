//! What reaches the upstream, word for word.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::sync::Arc;

use puna_api::{
    Inference, InferenceRequest, Json, Model, ModelType, ProviderData, RequestContext, RerankTask, Services,
};
use puna_provider_vllm::PROVIDER;
use puna_testkit::{Fault, StubUpstream, TestHost, context};
use serde_json::{Map, Value, json};

struct Subject {
    stub: StubUpstream,
    services: Services,
    _host: TestHost,
}

impl Subject {
    async fn new(config: impl FnOnce(&str) -> Value) -> Self {
        let stub = StubUpstream::start().unwrap();
        let host = TestHost::new().unwrap();
        let config = PROVIDER.check(config(&stub.url())).unwrap();
        let services = PROVIDER.build(config, host.host()).await.unwrap();
        Self {
            stub,
            services,
            _host: host,
        }
    }

    fn inference(&self) -> &dyn Inference {
        self.services.inference.as_deref().unwrap()
    }

    /// The last request, for a golden file.
    fn last(&self) -> Value {
        self.stub.requests().last().unwrap().golden()
    }
}

fn model(id: &str, model_type: ModelType) -> Arc<Model> {
    let (id, provider_id) = (id.to_owned(), "up".to_owned());
    Arc::new(Model {
        provider_model_id: id.clone(),
        id,
        provider_id,
        model_type,
        metadata: Map::new(),
    })
}

fn request<T>(id: &str, body: &str) -> InferenceRequest<T> {
    InferenceRequest {
        model: model(id, ModelType::Llm),
        requested_model: "mine".into(),
        body: Json::from_bytes(body.to_owned()),
    }
}

fn with_data(data: &Value) -> RequestContext {
    RequestContext::builder("test-request")
        .provider_data(ProviderData::parse(data.to_string().as_bytes()).unwrap())
        .build()
}

const CHAT: &str = StubUpstream::CHAT_MODEL;

async fn subject() -> Subject {
    Subject::new(|url| json!({ "base_url": format!("{url}/v1"), "max_tokens": 128, "api_token": "fake" })).await
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
