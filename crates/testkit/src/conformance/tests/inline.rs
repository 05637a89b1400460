//! A provider that answers in this process as the stub does, and the ways in which it can be broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use puna_api::{
    BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, ErrorKind, Health, Host, Inference,
    InferenceRequest, Json, ModelType, Models, ProviderModel, RequestContext, Rerank, RerankResponse, RerankResult,
    RerankTask, Result, Services,
};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::stub::{Answer, StubSettings, StubUpstream, answer};

mod defect;
mod request;
mod spoil;

pub(super) use defect::Defect;
use request::known;

/// The services of a provider with this defect.
pub(super) fn services(defect: Option<Defect>, host: &Host) -> Services {
    if defect == Some(Defect::LeavesATask) {
        host.spawn(std::future::pending());
    }
    let provider = Arc::new(Provider {
        defect,
        settings: StubSettings::default(),
        calls: AtomicU64::new(0),
        dead: AtomicU64::new(0),
        turn: Arc::new(Mutex::new(())),
        previous: Mutex::new(None),
    });
    let mut services = Services::default()
        .with_inference(Arc::clone(&provider) as Arc<dyn Inference>)
        .with_rerank(Arc::clone(&provider) as Arc<dyn Rerank>)
        .with_models(Arc::clone(&provider) as Arc<dyn Models>)
        .with_health(provider);
    match defect {
        Some(Defect::ServesNoModels) => services.models = None,
        Some(Defect::ServesNoHealth) => services.health = None,
        _ => {}
    }
    services
}

struct Provider {
    defect: Option<Defect>,
    settings: StubSettings,
    calls: AtomicU64,
    dead: AtomicU64,
    turn: Arc<Mutex<()>>,
    previous: Mutex<Option<Value>>,
}

impl Provider {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// What the stub answers, or why it does not.
    async fn ask<T>(&self, path: &str, request: &InferenceRequest<T>) -> Result<Answer> {
        if self.has(Defect::Hangs) {
            std::future::pending::<()>().await;
        }
        if !self.has(Defect::TakesUnknownFields) {
            known(request.body.raw())?;
        }
        if self.dead.load(Ordering::Relaxed) > 0 {
            return Err(Error::internal("the provider is dead"));
        }
        match answer("POST", path, &self.body(request), &self.settings) {
            Answer::Refused(status, body) => {
                if self.has(Defect::DiesOfAMistake) {
                    self.dead.store(1, Ordering::Relaxed);
                }
                Err(self.error(status, &body["error"]))
            }
            answer => Ok(answer),
        }
    }

    fn error(&self, status: u16, error: &Value) -> Error {
        let kind = match status {
            _ if self.has(Defect::BlamesItself) => ErrorKind::Internal,
            404 => ErrorKind::NotFound,
            _ => ErrorKind::InvalidRequest,
        };
        if self.has(Defect::NamesNoField) {
            return Error::new(kind, "something is wrong");
        }
        let made = Error::new(kind, error["message"].as_str().unwrap_or_default());
        match error["param"].as_str() {
            Some(param) => made.with_param(param),
            None => made,
        }
    }

    async fn whole<T, R>(&self, path: &str, request: InferenceRequest<T>) -> Result<Json<R>> {
        let Answer::Whole(answer) = self.ask(path, &request).await? else {
            return Err(Error::internal("not a whole answer"));
        };
        let _turn = if self.has(Defect::ServesOneAtATime) {
            Some(self.turn.lock().await)
        } else {
            None
        };
        let mut answer = self.spoil(answer, &request.requested_model);
        if self.has(Defect::MixesUpRequests) {
            // Whoever comes while another is at work gets what that one was to have.
            let mut previous = self.previous.lock().await;
            let mine = previous.replace(answer.clone());
            drop(previous);
            tokio::task::yield_now().await;
            if self.calls.load(Ordering::Relaxed) > 1 {
                answer = mine.unwrap_or(answer);
            }
        }
        Ok(Json::from_bytes(answer.to_string()))
    }

    async fn stream<T, R: Send + 'static>(
        &self,
        path: &str,
        request: InferenceRequest<T>,
    ) -> Result<BoxStream<Result<Json<R>>>> {
        let Answer::Stream(chunks) = self.ask(path, &request).await? else {
            return Err(Error::internal("not a stream"));
        };
        let turn = if self.has(Defect::ServesOneAtATime) {
            Some(Arc::clone(&self.turn).lock_owned().await)
        } else {
            None
        };
        if self.has(Defect::RemembersDroppedStreams) && self.calls.load(Ordering::Relaxed) > 8 {
            self.dead.store(1, Ordering::Relaxed);
        }
        let chunks: Box<dyn Iterator<Item = Value> + Send> = match self.defect {
            None => {
                let model = request.requested_model;
                Box::new(chunks.map(move |mut chunk| {
                    chunk["model"] = json!(&*model);
                    chunk
                }))
            }
            Some(_) => Box::new(
                self.spoil_chunks(chunks.collect(), &request.requested_model)
                    .into_iter(),
            ),
        };
        let chunks = stream::iter(chunks).map(move |chunk| {
            let _turn = &turn;
            Ok(Json::from_bytes(chunk.to_string()))
        });
        Ok(chunks.boxed())
    }
}

#[async_trait]
impl Inference for Provider {
    fn capabilities(&self) -> Capabilities {
        if self.has(Defect::DeclaresLess) {
            Capabilities::of(&[Capability::Chat])
        } else {
            Capabilities::all()
        }
    }

    async fn chat_completion(
        &self,
        _: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        self.whole("/v1/chat/completions", request).await
    }

    async fn chat_completion_stream(
        &self,
        _: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        self.stream("/v1/chat/completions", request).await
    }

    async fn completion(
        &self,
        _: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        self.whole("/v1/completions", request).await
    }

    async fn completion_stream(
        &self,
        _: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        self.stream("/v1/completions", request).await
    }

    async fn embeddings(
        &self,
        _: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        self.whole("/v1/embeddings", request).await
    }
}

#[async_trait]
impl Rerank for Provider {
    async fn rerank(&self, _: &RequestContext, request: RerankTask) -> Result<RerankResponse> {
        if !self.has(Defect::TakesUnknownFields) {
            known(request.body.raw())?;
        }
        let body: Value = serde_json::from_slice(request.body.raw().unwrap()).unwrap();
        let text = |input: &Value| input["text"].as_str().or(input.as_str()).map(str::to_owned);
        let items = body["items"].as_array().unwrap();
        if let Some(at) = items.iter().position(|item| text(item).is_none()) {
            return Err(Error::unsupported("no images").with_param(format!("items[{at}]")));
        }
        let most = &body["max_num_results"];
        if *most == 0 && !self.has(Defect::RanksTooMany) {
            return Err(Error::invalid_request("0 is below 1").with_param("max_num_results"));
        }
        if items.is_empty() {
            return Err(Error::invalid_request("nothing to rank").with_param("items"));
        }
        let documents: Vec<_> = items.iter().map(text).collect();
        let query = if self.has(Defect::RanksNothing) && body["query"].is_string() {
            Some("sea".to_owned())
        } else {
            text(&body["query"])
        };
        let model = if self.has(Defect::RanksWithAnyModel) {
            StubUpstream::RERANK_MODEL
        } else {
            &request.model.provider_model_id
        };
        let sent = json!({ "model": model, "query": query, "documents": documents, "top_n": most });
        match answer("POST", "/rerank", sent.to_string().as_bytes(), &self.settings) {
            Answer::Whole(answer) => {
                let mut data: Vec<RerankResult> = serde_json::from_value(answer["results"].clone()).unwrap();
                if self.has(Defect::RanksBackwards) {
                    data.reverse();
                }
                if self.has(Defect::RanksTooMany) {
                    data.push(data[0].clone());
                }
                Ok(RerankResponse { data })
            }
            Answer::Refused(status, body) => Err(self.error(status, &body["error"])),
            _ => Err(Error::internal("not a ranking")),
        }
    }
}

#[async_trait]
impl Models for Provider {
    async fn list_models(&self, _: &RequestContext) -> Result<Vec<ProviderModel>> {
        let model = |id: &str, model_type| ProviderModel {
            provider_model_id: id.to_owned(),
            model_type,
            metadata: Map::new(),
        };
        let embedding = if self.has(Defect::TellsTheWrongType) {
            ModelType::Llm
        } else {
            ModelType::Embedding
        };
        let mut listed = vec![
            model(StubUpstream::CHAT_MODEL, ModelType::Llm),
            model(StubUpstream::EMBEDDING_MODEL, embedding),
            model(StubUpstream::RERANK_MODEL, ModelType::Rerank),
        ];
        if self.has(Defect::ListsTwice) {
            listed.push(listed[0].clone());
        }
        if self.has(Defect::ListsNothing) {
            listed.clear();
        }
        Ok(listed)
    }

    fn changes(&self) -> bool {
        false
    }
}

#[async_trait]
impl Health for Provider {
    async fn check(&self) -> Result<()> {
        tokio::time::timeout(Duration::from_secs(1), async {})
            .await
            .map_err(|_| Error::timeout("no time"))?;
        if self.has(Defect::IsIll) {
            Err(Error::unavailable("a cold"))
        } else {
            Ok(())
        }
    }
}
