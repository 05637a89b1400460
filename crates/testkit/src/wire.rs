//! A provider before the stub upstream, to see what it sends word for word.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::sync::Arc;

use puna_api::{
    HostBuilder, Inference, InferenceRequest, Json, Model, ModelType, ProviderData, ProviderSpec, RequestContext,
    Services,
};
use serde_json::{Map, Value};

use crate::{StubUpstream, TestHost};

/// A provider that calls a stub upstream of its own.
#[derive(Debug)]
pub struct Subject {
    /// The upstream.
    pub stub: StubUpstream,
    /// What the provider serves.
    pub services: Services,
    _host: TestHost,
}

impl Subject {
    /// The provider with the configuration that `config` makes of the stub's address, such as `http://127.0.0.1:40123`.
    pub async fn new(provider: ProviderSpec, config: impl FnOnce(&str) -> Value) -> Self {
        Self::with_host(provider, config, |_, builder| builder).await
    }

    /// As [`Subject::new`]; `extend` is given the stub's address and adds to the host, such as shared resources.
    pub async fn with_host(
        provider: ProviderSpec,
        config: impl FnOnce(&str) -> Value,
        extend: impl FnOnce(&str, HostBuilder) -> HostBuilder,
    ) -> Self {
        let stub = StubUpstream::start().unwrap();
        let url = stub.url();
        let host = TestHost::with(|builder| extend(&url, builder)).unwrap();
        let config = provider.check(config(&url)).unwrap();
        let services = provider.build(config, host.host()).await.unwrap();
        Self {
            stub,
            services,
            _host: host,
        }
    }

    /// The provider's inference.
    pub fn inference(&self) -> &dyn Inference {
        self.services.inference.as_deref().unwrap()
    }

    /// The last request, for a golden file.
    pub fn last(&self) -> Value {
        self.stub.requests().last().unwrap().golden()
    }
}

/// A model that the stub upstream knows by this id.
pub fn model(id: &str, model_type: ModelType) -> Arc<Model> {
    Arc::new(Model {
        id: id.to_owned(),
        provider_id: "up".to_owned(),
        provider_model_id: id.to_owned(),
        model_type,
        metadata: Map::new(),
    })
}

/// A request that was routed to the model `id`, which its client calls `mine`.
pub fn request<T>(id: &str, body: &str) -> InferenceRequest<T> {
    InferenceRequest {
        model: model(id, ModelType::Llm),
        requested_model: "mine".into(),
        body: Json::from_bytes(body.to_owned()),
    }
}

/// A context with what a caller sends in the provider data header.
pub fn with_data(data: &Value) -> RequestContext {
    RequestContext::builder("test-request")
        .provider_data(ProviderData::parse(data.to_string().as_bytes()).unwrap())
        .build()
}
