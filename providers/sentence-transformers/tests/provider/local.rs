//! A provider to send requests to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use puna_api::{
    EmbeddingVector, EmbeddingsRequest, EmbeddingsResponse, Error, InferenceRequest, Json, Model, ModelType,
    RerankRequest, RerankResponse, RerankTask, Result, Services,
};
use puna_hub::Cache;
use puna_provider_sentence_transformers::PROVIDER;
use puna_testkit::{TestHost, context};
use serde_json::{Map, Value};

pub(crate) struct Local {
    services: Services,
    _host: TestHost,
}

impl Local {
    pub(crate) async fn start(config: Value) -> Result<Self> {
        Self::start_in(TestHost::new()?, config).await
    }

    /// A provider in a server that has this cache of models of the hub.
    pub(crate) async fn with_cache(config: Value, cache: &Path) -> Result<Self> {
        let host = TestHost::with(|builder| builder.resource(Arc::new(Cache::new(cache))))?;
        Self::start_in(host, config).await
    }

    async fn start_in(host: TestHost, config: Value) -> Result<Self> {
        let config = PROVIDER
            .check(config)
            .map_err(|problem| Error::configuration(problem.message))?;
        let services = PROVIDER.build(config, host.host()).await?;
        Ok(Self { services, _host: host })
    }

    /// The future of an answer, which has not begun.
    pub(crate) fn embed(&self, model: &str, body: &Value) -> impl Future<Output = Result<EmbeddingsResponse>> + use<> {
        let inference = Arc::clone(self.services.inference.as_ref().unwrap());
        let request = InferenceRequest::<EmbeddingsRequest> {
            model: known(model, ModelType::Embedding),
            requested_model: "local/model".into(),
            body: with_model(body),
        };
        async move { Ok(inference.embeddings(&context(), request).await?.into_value()?) }.boxed()
    }

    /// The vectors of an input.
    pub(crate) async fn vectors(&self, model: &str, body: &Value) -> Result<Vec<Vec<f32>>> {
        let answer = self.embed(model, body).await?;
        Ok(answer.data.into_iter().map(|item| floats(item.embedding)).collect())
    }

    pub(crate) async fn rerank(&self, model: &str, body: &Value) -> Result<RerankResponse> {
        let request = RerankTask {
            model: known(model, ModelType::Rerank),
            body: with_model::<RerankRequest>(body),
        };
        self.services.rerank.as_ref().unwrap().rerank(&context(), request).await
    }

    /// What is known of a model that may be registered.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<puna_api::ProviderModel>> {
        self.services.models.as_ref().unwrap().find_model(id).await
    }

    pub(crate) fn release(&self, id: &str) {
        self.services.models.as_ref().unwrap().release_model(id);
    }

    pub(crate) async fn models(&self) -> Vec<puna_api::ProviderModel> {
        let models = self.services.models.as_ref().unwrap();
        models.list_models(&context()).await.unwrap()
    }
}

pub(crate) fn floats(vector: EmbeddingVector) -> Vec<f32> {
    match vector {
        EmbeddingVector::Float(numbers) => numbers,
        EmbeddingVector::Base64(text) => panic!("base64 that was not asked for: {text}"),
    }
}

/// Where the models are that the reference was run with.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn known(model: &str, model_type: ModelType) -> Arc<Model> {
    Arc::new(Model {
        id: format!("local/{model}"),
        provider_id: "local".to_owned(),
        provider_model_id: model.to_owned(),
        model_type,
        metadata: Map::new(),
    })
}

fn with_model<T>(body: &Value) -> Json<T> {
    let mut body = body.clone();
    body["model"] = "local/model".into();
    Json::from_bytes(body.to_string())
}
