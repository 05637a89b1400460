//! A provider whose models each do one thing, and a Stack over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use puna_api::*;
use puna_config::{Environment, Overrides, Source};
use puna_files::{StoredFiles, StoredFilesSettings};
use puna_router::{Resources, Stack};
use puna_storage::{BlobStore, LocalBlobs, Storage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::file_processors::Reader;

/// What a test sees of the provider from outside.
#[derive(Debug)]
pub(crate) struct Probe {
    /// The home of the server's state.
    pub(crate) home: TempDir,
    /// How many answers have begun that never end by themselves.
    pub(crate) begun: Notify,
    /// How many of those were dropped.
    pub(crate) dropped: AtomicUsize,
    /// Wakes who waits for a drop.
    pub(crate) drop: Notify,
}

struct Dropped(Arc<Probe>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
        self.0.drop.notify_one();
    }
}

/// One provider of each API, and the alias `alias` for the model `echo` of `scripted`.
pub(crate) const CONFIG: &str = "
version: 2
image_name: test
providers:
  file_processors:
    - provider_id: reader
      provider_type: inline::reader
  files:
    - provider_id: stored
      provider_type: inline::stored
  inference:
    - provider_id: scripted
      provider_type: inline::scripted
      config: { token: s3cret }
registered_resources:
  models:
    - { model_id: alias, provider_id: scripted, provider_model_id: echo, model_type: llm, metadata: { context_length: 99 } }
";

/// A Stack of a configuration.
pub(crate) async fn stack(config: &str) -> (Stack, Arc<Probe>) {
    let source = Source::Text {
        name: "test.yaml".to_owned(),
        text: config.to_owned(),
    };
    let home = tempfile::tempdir().unwrap();
    let environment = Environment::from_iter([("HOME", home.path().to_str().unwrap())]);
    let linked = [
        ProviderSpec::of::<Reader>().from_crate("reader", "0.0.0"),
        ProviderSpec::of::<Scripted>().from_crate("scripted", "0.0.0"),
        ProviderSpec::of::<Stored>().from_crate("stored", "0.0.0"),
    ];
    let plan = puna_config::load(&source, &linked, &environment, &Overrides::default()).unwrap();
    let probe = Arc::new(Probe {
        home,
        begun: Notify::new(),
        dropped: AtomicUsize::new(0),
        drop: Notify::new(),
    });
    let resources = Resources::default().with(Arc::clone(&probe));
    (Stack::build(plan, resources).await.unwrap(), probe)
}

/// Files in the folder of the server's state.
pub(crate) struct Stored;

/// It has no settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredConfig {}

impl Provider for Stored {
    const TYPE: &'static str = "inline::stored";
    const SUMMARY: &'static str = "keeps files";
    const APIS: &'static [Api] = &[Api::Files];
    type Config = StoredConfig;

    fn sample() -> StoredConfig {
        StoredConfig {}
    }

    async fn build(_: StoredConfig, host: Host) -> Result<Services> {
        let storage = host.resource::<Storage>().unwrap();
        let files = StoredFiles::new(StoredFilesSettings {
            storage,
            metadata: None,
            blobs: Box::new(move || {
                let folder = host.data_dir().unwrap().to_owned();
                Box::pin(async move { Ok(Arc::new(LocalBlobs::open(folder).await?) as Arc<dyn BlobStore>) })
            }),
            ttl: None,
        });
        Ok(Services::default().with_files(Arc::new(files)))
    }
}

struct Scripted {
    probe: Arc<Probe>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ScriptedConfig {
    /// A secret that must not be shown.
    #[serde(skip_serializing)]
    token: Secret<String>,
}

impl Provider for Scripted {
    const TYPE: &'static str = "inline::scripted";
    const SUMMARY: &'static str = "does what each test needs";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = ScriptedConfig;

    fn sample() -> ScriptedConfig {
        ScriptedConfig {
            token: Secret::new("token".to_owned()),
        }
    }

    async fn build(config: ScriptedConfig, host: Host) -> Result<Services> {
        assert_eq!(config.token.expose(), "s3cret");
        let scripted = Arc::new(Self {
            probe: host.resource::<Probe>().unwrap(),
        });
        Ok(Services::default()
            .with_inference(Arc::clone(&scripted) as _)
            .with_models(Arc::clone(&scripted) as _)
            .with_rerank(Arc::clone(&scripted) as _)
            .with_health(scripted))
    }
}

#[async_trait]
impl Models for Scripted {
    async fn list_models(&self, _: &RequestContext) -> Result<Vec<ProviderModel>> {
        let model = |id: &str, model_type| ProviderModel {
            provider_model_id: id.to_owned(),
            model_type,
            metadata: Map::new(),
        };
        let mut models: Vec<_> = [
            "breaks",
            "broken",
            "context",
            "counted",
            "echo",
            "empty",
            "hangs",
            "limited",
            "org/name with space",
            "panics",
            "refused",
            "size",
            "typed",
        ]
        .into_iter()
        .map(|id| model(id, ModelType::Llm))
        .collect();
        models.push(model("vectors", ModelType::Embedding));
        models.push(model("ranker", ModelType::Rerank));
        Ok(models)
    }

    fn changes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Health for Scripted {
    async fn check(&self) -> Result<()> {
        Err(Error::unavailable("the script says that it is ill").with_context("http://10.0.0.7"))
    }
}

impl Scripted {
    /// What each model does before it answers; the text of the answer.
    async fn act<T>(&self, context: &RequestContext, request: &InferenceRequest<T>) -> Result<String>
    where
        T: serde::de::DeserializeOwned + Serialize,
    {
        let sent = || String::from_utf8(request.body.raw().unwrap().to_vec()).unwrap();
        Ok(match request.model.provider_model_id.as_str() {
            "size" => request.body.raw().unwrap().len().to_string(),
            "typed" => request.body.get().map(|_| "it is well typed".to_owned())?,
            "context" => json!({
                "request_id": context.request_id(),
                "principal": context.principal().map(|principal| &principal.name),
                "token": context.provider_data().text("scripted_token")?,
                "deadline": context.remaining().map(|left| left > Duration::ZERO),
            })
            .to_string(),
            "limited" => {
                return Err(Error::rate_limited("too many requests").with_retry_after(Duration::from_millis(1500)));
            }
            "refused" => {
                return Err(Error::invalid_request("no such tool")
                    .with_upstream_status(422)
                    .with_type("tool_error")
                    .with_code("no_tool")
                    .with_param("tools[0]"));
            }
            "broken" => {
                return Err(Error::internal("the table `secret` is gone")
                    .with_context("while reading")
                    .with_source(std::io::Error::other("disk on fire")));
            }
            "panics" => panic!("the script says so"),
            "hangs" => {
                let _dropped = Dropped(Arc::clone(&self.probe));
                self.probe.begun.notify_one();
                std::future::pending().await
            }
            _ => sent(),
        })
    }

    /// The same for streams: what comes after the first document.
    fn then<T: Send + 'static>(&self, model: &str, first: Json<T>, last: Json<T>) -> BoxStream<Result<Json<T>>> {
        let first = stream::iter([Ok(first)]);
        match model {
            "breaks" => first
                .chain(stream::iter([Err(Error::unavailable(
                    "the upstream closed the stream",
                ))]))
                .boxed(),
            "panics" => first
                .chain(stream::once(async { panic!("the script says so") }))
                .boxed(),
            "hangs" => {
                let dropped = Dropped(Arc::clone(&self.probe));
                self.probe.begun.notify_one();
                let hangs = stream::once(async move {
                    let _dropped = dropped;
                    std::future::pending().await
                });
                first.chain(hangs).boxed()
            }
            "empty" => stream::empty().boxed(),
            _ => first.chain(stream::iter([Ok(last)])).boxed(),
        }
    }
}

/// What the model `counted` counts.
fn usage() -> Value {
    json!({ "prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16 })
}

fn document<T>(value: &Value) -> Json<T> {
    Json::from_bytes(Bytes::from(value.to_string()))
}

#[async_trait]
impl Inference for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn chat_completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        let text = self.act(context, &request).await?;
        let mut answer = json!({
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": &*request.requested_model,
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
        });
        if request.model.provider_model_id == "counted" {
            answer["usage"] = usage();
        }
        Ok(document(&answer))
    }

    async fn chat_completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        let model = request.model.provider_model_id.as_str();
        if model == "limited" {
            // This one fails where a stream usually fails: when it is first polled.
            return Ok(stream::iter([Err(Error::rate_limited("too many requests"))]).boxed());
        }
        if !["panics", "hangs"].contains(&model) {
            self.act(context, &request).await?;
        }
        let chunk = |delta: Value, finish_reason: Value| {
            json!({
                "id": "chatcmpl-1",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": &*request.requested_model,
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }],
            })
        };
        // An upstream may write its JSON over several lines.
        let first =
            serde_json::to_string_pretty(&chunk(json!({ "role": "assistant", "content": "a\nb" }), Value::Null));
        let first = Json::from_bytes(first.unwrap().replace('\n', "\r\n"));
        let mut last = chunk(json!({}), json!("stop"));
        if model == "counted" {
            last["usage"] = usage();
        }
        Ok(self.then(model, first, document(&last)))
    }

    async fn completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        let text = self.act(context, &request).await?;
        Ok(document(&json!({
            "id": "cmpl-1",
            "object": "text_completion",
            "created": 1,
            "model": &*request.requested_model,
            "choices": [{ "index": 0, "text": text, "finish_reason": "stop", "logprobs": null }],
        })))
    }

    async fn completion_stream(
        &self,
        _: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        let part = |text: &str| {
            document(&json!({
                "id": "cmpl-1",
                "object": "text_completion",
                "created": 1,
                "model": &*request.requested_model,
                "choices": [{ "index": 0, "text": text, "finish_reason": null, "logprobs": null }],
            }))
        };
        Ok(self.then(&request.model.provider_model_id, part("one "), part("two")))
    }

    async fn embeddings(
        &self,
        _: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        Ok(document(&json!({
            "object": "list",
            "model": &*request.requested_model,
            "data": [{ "object": "embedding", "index": 0, "embedding": [0.5, -0.25] }],
            "usage": { "prompt_tokens": 1, "total_tokens": 1 },
        })))
    }
}

#[async_trait]
impl Rerank for Scripted {
    async fn rerank(&self, _: &RequestContext, request: RerankTask) -> Result<RerankResponse> {
        let items = request.body.get()?.items.len() as u32;
        let data = (0..items)
            .rev()
            .map(|index| RerankResult {
                index,
                relevance_score: f64::from(index) / 4.0,
            })
            .collect();
        Ok(RerankResponse { data })
    }
}
