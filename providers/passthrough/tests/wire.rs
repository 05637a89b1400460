//! What reaches the upstream, word for word.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::sync::Arc;

use puna_api::{
    ErrorKind, Inference, InferenceRequest, Json, Model, ModelType, ProviderData, RequestContext, Services,
};
use puna_http::EgressPolicy;
use puna_provider_passthrough::PROVIDER;
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
        // The stub listens on the loopback address, which a caller may not choose unless the operator allows it.
        let address = stub.url().strip_prefix("http://").unwrap().to_owned();
        let policy = Arc::new(EgressPolicy::allowing([address.as_str()]).unwrap());
        let host = TestHost::with(|builder| builder.resource(policy)).unwrap();
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

const HELLO: &str = r#"{"model":"mine","messages":[{"role":"user","content":"hi"}]}"#;

#[tokio::test]
async fn the_operators_server_gets_the_operators_key_and_what_is_forwarded() {
    let subject = Subject::new(|url| {
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
    let subject = Subject::new(|_| {
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
    let subject = Subject::new(|_| json!({})).await;
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
