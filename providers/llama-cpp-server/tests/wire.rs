//! What reaches the upstream, word for word.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::sync::Arc;

use puna_api::{
    Inference, InferenceRequest, Json, Model, ModelType, ProviderData, RequestContext, RerankTask, Services,
};
use puna_provider_llama_cpp_server::PROVIDER;
use puna_testkit::{StubUpstream, TestHost, context};
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

#[tokio::test]
async fn a_chat_reaches_the_server() {
    for suffix in ["", "/v1"] {
        let subject = Subject::new(|url| json!({ "base_url": format!("{url}{suffix}"), "api_key": "k" })).await;
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
    let subject = Subject::new(|url| json!({ "base_url": url })).await;
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
