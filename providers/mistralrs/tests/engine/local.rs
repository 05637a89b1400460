//! A provider to try things on, and requests to try.

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use puna_api::{
    BoxStream, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion, CompletionRequest, Error,
    Inference, InferenceRequest, Json, Model, ModelType, Result, Services,
};
use puna_http::EgressPolicy;
use puna_hub::Cache;
use puna_provider_mistralrs::{DEMO_MODEL, PROVIDER};
use puna_testkit::{TestHost, context};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Tokens that the demo model's context holds.
pub(crate) const CONTEXT: u64 = puna_tiny_model::CONTEXT_LENGTH as u64;

/// A running provider, and the model that requests go to.
pub(crate) struct Local {
    pub(crate) services: Services,
    pub(crate) model: &'static str,
    _host: TestHost,
}

impl Local {
    pub(crate) async fn start(config: Value) -> Result<Self> {
        Self::start_in(TestHost::new()?, config).await
    }

    /// A server whose models of the hub are in this folder.
    pub(crate) async fn with_cache(config: Value, cache: &Path) -> Result<Self> {
        let host = TestHost::with(|builder| builder.resource(Arc::new(Cache::new(cache))))?;
        Self::start_in(host, config).await
    }

    /// A server that may fetch from these addresses.
    pub(crate) async fn with_egress(config: Value, policy: EgressPolicy) -> Result<Self> {
        let host = TestHost::with(|builder| builder.resource(Arc::new(policy)))?;
        Self::start_in(host, config).await
    }

    async fn start_in(host: TestHost, config: Value) -> Result<Self> {
        let config = PROVIDER
            .check(config)
            .map_err(|problem| Error::configuration(problem.message))?;
        let services = PROVIDER.build(config, host.host()).await?;
        Ok(Self {
            services,
            model: DEMO_MODEL,
            _host: host,
        })
    }

    pub(crate) async fn demo() -> Self {
        Self::start(json!({})).await.unwrap()
    }

    pub(crate) fn inference(&self) -> &Arc<dyn Inference> {
        self.services.inference.as_ref().unwrap()
    }

    pub(crate) fn request<T>(&self, body: &Value) -> InferenceRequest<T> {
        let model = Model {
            id: "local/model".to_owned(),
            provider_id: "local".to_owned(),
            provider_model_id: self.model.to_owned(),
            model_type: ModelType::Llm,
            metadata: Map::new(),
        };
        InferenceRequest {
            model: Arc::new(model),
            requested_model: "local/model".into(),
            body: Json::from_bytes(body.to_string()),
        }
    }

    pub(crate) async fn chat(&self, body: &Value) -> Result<ChatCompletion> {
        let request = self.request::<ChatCompletionRequest>(body);
        Ok(self
            .inference()
            .chat_completion(&context(), request)
            .await?
            .into_value()
            .unwrap())
    }

    pub(crate) async fn open(&self, body: &Value) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        let request = self.request::<ChatCompletionRequest>(body);
        self.inference().chat_completion_stream(&context(), request).await
    }

    pub(crate) async fn chunks(&self, body: &Value) -> Result<Vec<ChatCompletionChunk>> {
        read(self.open(body).await?).await
    }

    pub(crate) async fn complete(&self, body: &Value) -> Result<Completion> {
        let request = self.request::<CompletionRequest>(body);
        Ok(self
            .inference()
            .completion(&context(), request)
            .await?
            .into_value()
            .unwrap())
    }

    pub(crate) async fn pieces(&self, body: &Value) -> Result<Vec<Completion>> {
        let request = self.request::<CompletionRequest>(body);
        read(self.inference().completion_stream(&context(), request).await?).await
    }
}

pub(crate) async fn read<T: DeserializeOwned + Send>(stream: BoxStream<Result<Json<T>>>) -> Result<Vec<T>> {
    stream
        .map(|chunk| Ok(chunk?.into_value().unwrap()))
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect()
}

/// A chat of one message, always answered alike, with these fields besides.
pub(crate) fn body(text: &str, fields: Value) -> Value {
    let mut body = json!({
        "model": "local/model",
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": 40,
    });
    extend(&mut body, fields);
    body
}

/// A completion of one prompt, always answered alike, with these fields besides.
pub(crate) fn prompt(text: &str, fields: Value) -> Value {
    let mut body = json!({"model": "local/model", "prompt": text, "temperature": 0, "max_tokens": 40});
    extend(&mut body, fields);
    body
}

pub(crate) fn extend(body: &mut Value, fields: Value) {
    let (Value::Object(body), Value::Object(fields)) = (body, fields) else {
        panic!("fields are an object")
    };
    body.extend(fields);
}

pub(crate) fn said(answer: &ChatCompletion) -> &str {
    answer.choices[0].message.content.as_deref().unwrap()
}

pub(crate) fn joined(chunks: &[ChatCompletionChunk]) -> String {
    chunks
        .iter()
        .flat_map(|chunk| &chunk.choices)
        .filter_map(|choice| choice.delta.content.as_deref())
        .collect()
}

/// Makes the end of an answer unlikely, so that it is as long as it may be, and the same each time.
pub(crate) fn long(text: &str, max_tokens: u64) -> Value {
    let vocabulary = puna_tiny_model::VOCABULARY_SIZE;
    let ends = [vocabulary - 1, vocabulary - 4].map(|token| (token.to_string(), json!(-100)));
    let bias: Map<String, Value> = ends.into_iter().collect();
    body(
        text,
        json!({"max_tokens": max_tokens, "logit_bias": bias, "temperature": 1, "seed": 11}),
    )
}
