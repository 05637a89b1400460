//! A built provider with what a trial needs around it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use puna_api::{
    BoxStream, ChatCompletionChunk, ChatCompletionRequest, Completion, CompletionRequest, EmbeddingsRequest, Error,
    Inference, InferenceRequest, Json, Model, ModelType, RequestContext, Rerank, RerankRequest, RerankTask, Result,
    Services,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::outcome::Failure;
use super::target::{Place, Serves};
use crate::host::{TestHost, context};
use crate::stub::StubUpstream;

/// A built provider. Every trial has its own, and a remote one its own stub.
pub(super) struct Subject {
    pub(super) services: Services,
    inference: Arc<dyn Inference>,
    pub(super) host: TestHost,
    stub: Option<StubUpstream>,
    models: [Option<String>; 3],
    rerank_model: Option<String>,
    capabilities: puna_api::Capabilities,
    place: Arc<Place>,
    pub(super) serves: Serves,
    pub(super) serves_rerank: bool,
    pub(super) patience: Duration,
    pub(super) echoes: bool,
}

/// The model id that the trials use as a client would; answers must show it.
pub(super) const REQUESTED_MODEL: &str = "team-a/the-model:latest";

/// A text of a few words, the first thing that trials say.
pub(super) const HELLO: &str = "The puna is the high grassland where llamas live.";

impl Subject {
    pub(super) async fn build(place: &Arc<Place>) -> Result<Self, Failure> {
        let stub = if place.has_stub() {
            Some(StubUpstream::start()?)
        } else {
            None
        };
        let host = place.test_host()?;
        let services = place
            .build(stub.as_ref().map(StubUpstream::url).as_deref(), host.host())
            .await?;
        Ok(Self {
            inference: services.inference.clone().ok_or("the provider serves no inference")?,
            services,
            host,
            stub,
            models: [
                place.chat_model().map(str::to_owned),
                place.embedding_model().map(str::to_owned),
                place.vision_model().map(str::to_owned),
            ],
            rerank_model: place.rerank_model().map(str::to_owned),
            capabilities: place.capabilities(),
            place: Arc::clone(place),
            serves: place.serves(),
            serves_rerank: place.serves_rerank(),
            patience: place.patience(),
            echoes: place.echoes(),
        })
    }

    /// Builds the provider once more, for another upstream.
    pub(super) async fn rebuild(&self, upstream_url: &str) -> Result<Services> {
        self.place.build(Some(upstream_url), self.host.host()).await
    }

    /// The provider's record.
    pub(super) fn provider(&self) -> Result<&puna_api::ProviderSpec, Failure> {
        self.place
            .provider()
            .ok_or_else(|| "the target was not made from a provider's record".into())
    }

    /// Whether the provider calls a stub.
    pub(super) fn has_stub(&self) -> bool {
        self.stub.is_some()
    }

    /// The provider's inference.
    pub(super) fn inference(&self) -> &Arc<dyn Inference> {
        &self.inference
    }

    /// What the target states.
    pub(super) fn stated_capabilities(&self) -> puna_api::Capabilities {
        self.capabilities
    }

    /// The stub that the provider calls.
    pub(super) fn stub(&self) -> Result<&StubUpstream, Failure> {
        self.stub.as_ref().ok_or_else(|| "the trial has no stub".into())
    }

    /// The chat model, as the registry would hold it.
    pub(super) fn chat_model(&self) -> Arc<Model> {
        model(self.models[0].as_deref().unwrap_or("absent"), ModelType::Llm)
    }

    /// The embedding model, as the registry would hold it.
    pub(super) fn embedding_model(&self) -> Arc<Model> {
        model(self.models[1].as_deref().unwrap_or("absent"), ModelType::Embedding)
    }

    /// The rerank model, as the registry would hold it.
    pub(super) fn rerank_model(&self) -> Arc<Model> {
        model(self.rerank_model.as_deref().unwrap_or("absent"), ModelType::Rerank)
    }

    /// The provider's ids of the models that the target names.
    pub(super) fn named_models(&self) -> impl Iterator<Item = &str> {
        self.models
            .iter()
            .chain([&self.rerank_model])
            .filter_map(Option::as_deref)
    }

    /// Asks the model that looks at images for a whole chat completion.
    pub(super) async fn chat_about_images(&self, body: &Value) -> Result<Value> {
        let model = model(self.models[2].as_deref().unwrap_or("absent"), ModelType::Llm);
        shown(
            &self
                .inference
                .chat_completion(&context(), request(model, body.to_string()))
                .await?,
        )
    }

    /// Asks for a whole chat completion.
    pub(super) async fn chat(&self, body: &Value) -> Result<Value> {
        self.chat_in(&context(), body).await
    }

    /// Asks for a whole chat completion in this context.
    pub(super) async fn chat_in(&self, context: &RequestContext, body: &Value) -> Result<Value> {
        shown(
            &self
                .inference
                .chat_completion(context, self.chat_request(body.to_string()))
                .await?,
        )
    }

    /// Opens a stream of chat completion chunks.
    pub(super) async fn open_chat_stream(&self, body: &Value) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        self.inference
            .chat_completion_stream(&context(), self.chat_request(body.to_string()))
            .await
    }

    /// Asks for a stream of chat completion chunks and reads it to its end.
    pub(super) async fn chat_chunks(&self, body: &Value) -> Result<Vec<Value>> {
        let (chunks, fault) = read(self.open_chat_stream(body).await?).await;
        fault.map_or(Ok(chunks), Err)
    }

    /// Asks for a whole completion.
    pub(super) async fn complete(&self, body: &Value) -> Result<Value> {
        shown(
            &self
                .inference
                .completion(&context(), self.completion_request(body.to_string()))
                .await?,
        )
    }

    /// Asks for a streamed completion and reads it to its end.
    pub(super) async fn completion_chunks(&self, body: &Value) -> Result<Vec<Value>> {
        let stream = self
            .inference
            .completion_stream(&context(), self.completion_request(body.to_string()))
            .await?;
        let (chunks, fault) = read::<Completion>(stream).await;
        fault.map_or(Ok(chunks), Err)
    }

    /// Asks for embeddings.
    pub(super) async fn embed(&self, body: &Value) -> Result<Value> {
        let request: InferenceRequest<EmbeddingsRequest> = request(self.embedding_model(), body.to_string());
        shown(&self.inference.embeddings(&context(), request).await?)
    }

    /// Asks for a ranking.
    pub(super) async fn rerank(&self, model: Arc<Model>, body: &Value) -> Result<Value> {
        let rerank: &Arc<dyn Rerank> = self
            .services
            .rerank
            .as_ref()
            .ok_or_else(|| Error::internal("the provider serves no reranking"))?;
        let body = Json::<RerankRequest>::from_bytes(body.to_string());
        let response = rerank.rerank(&context(), RerankTask { model, body }).await?;
        serde_json::to_value(response).map_err(|error| Error::internal(error.to_string()))
    }

    /// A chat request of this JSON text to the chat model.
    pub(super) fn chat_request(&self, body: String) -> InferenceRequest<ChatCompletionRequest> {
        request(self.chat_model(), body)
    }

    /// A completion request of this JSON text to the chat model.
    pub(super) fn completion_request(&self, body: String) -> InferenceRequest<CompletionRequest> {
        request(self.chat_model(), body)
    }
}

/// A request of this JSON text to a model.
pub(super) fn request<T>(model: Arc<Model>, body: String) -> InferenceRequest<T> {
    InferenceRequest {
        model,
        requested_model: REQUESTED_MODEL.into(),
        body: Json::from_bytes(body),
    }
}

/// A model of the provider under test.
pub(super) fn model(provider_model_id: &str, model_type: ModelType) -> Arc<Model> {
    Arc::new(Model {
        id: REQUESTED_MODEL.to_owned(),
        provider_id: "under-test".to_owned(),
        provider_model_id: provider_model_id.to_owned(),
        model_type,
        metadata: Map::new(),
    })
}

/// Reads a stream to its end, or to its fault.
pub(super) async fn read<T: Serialize + DeserializeOwned>(
    mut stream: BoxStream<Result<Json<T>>>,
) -> (Vec<Value>, Option<Error>) {
    let mut chunks = Vec::new();
    while let Some(item) = stream.next().await {
        match item.and_then(|chunk| shown(&chunk)) {
            Ok(chunk) => chunks.push(chunk),
            Err(error) => return (chunks, Some(error)),
        }
    }
    (chunks, None)
}

/// The JSON of an answer, which must be what its type says.
fn shown<T: Serialize + DeserializeOwned>(answer: &Json<T>) -> Result<Value> {
    let bytes = answer.bytes()?;
    let undecodable = |error: &dyn std::fmt::Display| {
        let kind = std::any::type_name::<T>();
        Error::internal(format!(
            "the answer is no {kind}: {error}: {}",
            String::from_utf8_lossy(bytes)
        ))
    };
    answer.get().map_err(|error| undecodable(&error))?;
    serde_json::from_slice(bytes).map_err(|error| undecodable(&error))
}

/// A chat request with one message of this text, as repeatable as it can be, and with these fields besides.
pub(super) fn chat_body(text: &str, fields: Value) -> Value {
    with(
        json!({ "model": REQUESTED_MODEL, "messages": [{ "role": "user", "content": text }], "temperature": 0, "max_tokens": 64 }),
        fields,
    )
}

/// A completion request of this prompt, as repeatable as it can be, and with these fields besides.
pub(super) fn completion_body(prompt: Value, fields: Value) -> Value {
    let mut body = json!({ "model": REQUESTED_MODEL, "temperature": 0, "max_tokens": 64 });
    body["prompt"] = prompt;
    with(body, fields)
}

/// An embeddings request of this input, with these fields besides.
pub(super) fn embeddings_body(input: Value, fields: Value) -> Value {
    let mut body = json!({ "model": REQUESTED_MODEL });
    body["input"] = input;
    with(body, fields)
}

/// The body with the fields of `fields` set; those that are null there are taken out.
fn with(mut body: Value, fields: Value) -> Value {
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        for (name, value) in fields {
            match value {
                Value::Null => drop(body.shift_remove(&name)),
                value => drop(body.insert(name, value)),
            }
        }
    }
    body
}
