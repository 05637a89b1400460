//! Providers that vector stores live on, and a server over them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use puna_api::*;
use puna_config::{Environment, Overrides, Source};
use puna_router::{Resources, Stack};
use puna_server::ServerSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};

use crate::client::Client;
use crate::index::Index;
use crate::model;
use crate::reader::Reader;
use crate::scripted::{Probe, Stored};

/// A server with files, vector stores, and the models `words/embedder`, `words/writer` and `words/ranker`.
pub(crate) async fn client() -> Client {
    let home = tempfile::tempdir().unwrap();
    let stack = stack_in(home.path()).await;
    client_of(stack, home)
}

/// A server over a stack.
pub(crate) fn client_of(stack: Stack, home: TempDir) -> Client {
    Client {
        router: puna_server::app(stack, &ServerSettings::default()),
        probe: Arc::new(Probe {
            home,
            begun: Notify::new(),
            dropped: AtomicUsize::new(0),
            drop: Notify::new(),
        }),
    }
}

/// The stack of such a server, which keeps its state in a folder.
pub(crate) async fn stack_in(home: &Path) -> Stack {
    let text = "
version: 2
image_name: test
providers:
  files:
    - { provider_id: stored, provider_type: 'inline::stored', config: {} }
  file_processors:
    - { provider_id: reader, provider_type: 'inline::reader', config: {} }
  inference:
    - { provider_id: words, provider_type: 'inline::words', config: {} }
  vector_io:
    - { provider_id: rows, provider_type: 'inline::rows', config: {} }
vector_stores:
  rewrite_query_params:
    model: { provider_id: words, model_id: writer }
";
    let source = Source::Text {
        name: "test.yaml".to_owned(),
        text: text.to_owned(),
    };
    let environment = Environment::from_iter([("HOME", home.to_str().unwrap())]);
    let linked = [
        ProviderSpec::of::<Stored>().from_crate("stored", "0.0.0"),
        ProviderSpec::of::<Reading>().from_crate("reader", "0.0.0"),
        ProviderSpec::of::<Words>().from_crate("words", "0.0.0"),
        ProviderSpec::of::<Rows>().from_crate("rows", "0.0.0"),
    ];
    let plan = puna_config::load(&source, &linked, &environment, &Overrides::default()).unwrap();
    Stack::build(plan, Resources::default()).await.unwrap()
}

/// None of them has settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoConfig {}

struct Reading;

impl Provider for Reading {
    const TYPE: &'static str = "inline::reader";
    const SUMMARY: &'static str = "reads paragraphs";
    const APIS: &'static [Api] = &[Api::FileProcessors];
    type Config = NoConfig;

    fn sample() -> NoConfig {
        NoConfig {}
    }

    async fn build(_: NoConfig, _: Host) -> Result<Services> {
        let reader = Reader {
            gate: Semaphore::new(0),
        };
        Ok(Services::default().with_file_processors(Arc::new(reader)))
    }
}

struct Rows;

impl Provider for Rows {
    const TYPE: &'static str = "inline::rows";
    const SUMMARY: &'static str = "keeps chunks as rows";
    const APIS: &'static [Api] = &[Api::VectorIo];
    type Config = NoConfig;

    fn sample() -> NoConfig {
        NoConfig {}
    }

    async fn build(_: NoConfig, host: Host) -> Result<Services> {
        let index = Index::open(host.data_dir().unwrap()).await;
        Ok(Services::default().with_vector_io(Arc::new(index)))
    }
}

struct Words;

impl Provider for Words {
    const TYPE: &'static str = "inline::words";
    const SUMMARY: &'static str = "makes vectors of words";
    const APIS: &'static [Api] = &[Api::Inference];
    type Config = NoConfig;

    fn sample() -> NoConfig {
        NoConfig {}
    }

    async fn build(_: NoConfig, _: Host) -> Result<Services> {
        let words = Arc::new(Self);
        Ok(Services::default()
            .with_inference(Arc::clone(&words) as _)
            .with_models(Arc::clone(&words) as _)
            .with_rerank(words))
    }
}

#[async_trait]
impl Models for Words {
    async fn list_models(&self, _: &RequestContext) -> Result<Vec<ProviderModel>> {
        let model = |id: &str, model_type, metadata: Map<String, Value>| ProviderModel {
            provider_model_id: id.to_owned(),
            model_type,
            metadata,
        };
        let dimension = Map::from_iter([("embedding_dimension".to_owned(), model::DIMENSION.into())]);
        Ok(vec![
            model("embedder", ModelType::Embedding, dimension),
            model("writer", ModelType::Llm, Map::new()),
            model("ranker", ModelType::Rerank, Map::new()),
        ])
    }

    fn changes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Inference for Words {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn chat_completion(
        &self,
        _: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        Ok(Json::new(model::chat(request.body.get()?)))
    }

    async fn chat_completion_stream(
        &self,
        _: &RequestContext,
        _: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        Err(Error::unsupported("no test asks for it"))
    }

    async fn completion(&self, _: &RequestContext, _: InferenceRequest<CompletionRequest>) -> Result<Json<Completion>> {
        Err(Error::unsupported("no test asks for it"))
    }

    async fn completion_stream(
        &self,
        _: &RequestContext,
        _: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        Err(Error::unsupported("no test asks for it"))
    }

    async fn embeddings(
        &self,
        _: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        Ok(Json::new(model::embeddings(request.body.get()?, model::DIMENSION)))
    }
}

#[async_trait]
impl Rerank for Words {
    async fn rerank(&self, _: &RequestContext, request: RerankTask) -> Result<RerankResponse> {
        Ok(model::rerank(request.body.get()?))
    }
}
