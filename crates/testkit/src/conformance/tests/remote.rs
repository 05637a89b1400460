//! A small client of the OpenAI dialect, and the ways in which it can be broken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use puna_api::{
    BoxStream, Capabilities, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion, CompletionRequest,
    EmbeddingsRequest, EmbeddingsResponse, Error, ErrorKind, Health, Inference, InferenceRequest, Json, ModelType,
    Models, ProviderModel, RequestContext, Result, Services,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::conformance::Endpoint;

mod defect;
mod reader;

pub(super) use defect::Defect;
use reader::Reader;

/// The services of a client with this defect.
pub(super) fn services(defect: Option<Defect>, endpoint: Endpoint) -> Services {
    let client = Arc::new(Client { defect, endpoint });
    Services::default()
        .with_inference(Arc::clone(&client) as Arc<dyn Inference>)
        .with_models(Arc::clone(&client) as Arc<dyn Models>)
        .with_health(client)
}

struct Client {
    defect: Option<Defect>,
    endpoint: Endpoint,
}

/// A response with the task that drives its connection, which ends with it.
struct Answer {
    response: Response<Incoming>,
    connection: JoinSet<()>,
}

impl Client {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn fault(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        let message = message.into();
        if self.has(Defect::CallsEverythingInternal) {
            return Error::internal(message);
        }
        let error = Error::new(
            kind,
            if self.has(Defect::HidesMessages) {
                "the upstream failed".to_owned()
            } else {
                message
            },
        );
        if self.has(Defect::ShowsTheKey) {
            return error.with_context(format!("the key was {:?}", self.endpoint.api_key));
        }
        error
    }

    fn unavailable(&self, problem: impl std::fmt::Display) -> Error {
        self.fault(ErrorKind::Unavailable, format!("the upstream failed: {problem}"))
    }

    /// The body with the upstream's model and all else as it was written.
    fn body<T>(&self, request: &InferenceRequest<T>) -> Result<Bytes> {
        let raw = request.body.raw().cloned().unwrap_or_default();
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&raw)
            .map_err(|error| Error::invalid_request(format!("the body is no JSON object: {error}")))?;
        if !self.has(Defect::KeepsTheClientsModel) {
            let model = json!(request.model.provider_model_id).to_string();
            fields.insert("model".to_owned(), RawValue::from_string(model).unwrap());
        }
        if self.has(Defect::DropsUnknownFields) {
            fields.retain(|name, _| !name.starts_with("guided") && !name.starts_with("x_"));
        }
        let bytes = serde_json::to_vec(&fields).unwrap();
        if self.has(Defect::WritesNumbersAnew) {
            let value: Value = serde_json::from_slice(&bytes).unwrap();
            return Ok(value.to_string().into());
        }
        Ok(bytes.into())
    }

    async fn send(&self, method: &str, path: &str, body: Bytes) -> Result<Answer> {
        let origin = self.endpoint.base_url.trim_end_matches("/v1");
        let authority = origin.trim_start_matches("http://");
        let socket = TcpStream::connect(authority)
            .await
            .map_err(|error| self.unavailable(error))?;
        let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .map_err(|error| self.unavailable(error))?;
        let mut connection = JoinSet::new();
        connection.spawn(async move {
            let _ = driver.await;
        });
        if self.has(Defect::NeverHangsUp) {
            connection.detach_all();
        }
        let mut request = Request::builder().method(method).uri(path).header("host", authority);
        if let Some(key) = self.endpoint.api_key.as_ref().filter(|_| !self.has(Defect::SendsNoKey)) {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request = request.header(
            "content-type",
            if self.has(Defect::SendsText) {
                "text/plain"
            } else {
                "application/json"
            },
        );
        let request = request.body(Full::new(body)).unwrap();
        let response = if self.has(Defect::NeverHangsUp) {
            // The request outlives whoever asked.
            let (answer, answered) = tokio::sync::oneshot::channel();
            let mut keeper = JoinSet::new();
            keeper.spawn(async move {
                let _ = answer.send(sender.send_request(request).await);
                std::future::pending::<()>().await;
            });
            keeper.detach_all();
            answered.await.unwrap()
        } else {
            sender.send_request(request).await
        };
        let answer = Answer {
            response: response.map_err(|error| self.unavailable(error))?,
            connection,
        };
        if answer.response.status().is_success() {
            Ok(answer)
        } else {
            Err(self.refusal(answer).await)
        }
    }

    async fn refusal(&self, answer: Answer) -> Error {
        let status = answer.response.status().as_u16();
        let retry_after = answer
            .response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let body = answer
            .response
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let kind = match status {
            400 | 422 => ErrorKind::InvalidRequest,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            404 => ErrorKind::NotFound,
            429 => ErrorKind::RateLimited,
            _ => ErrorKind::Unavailable,
        };
        let body = match serde_json::from_slice::<Value>(&body) {
            Ok(body) => body,
            Err(_) if self.has(Defect::ShowsPages) => json!({ "message": String::from_utf8_lossy(&body) }),
            Err(_) => json!({ "message": format!("the upstream answered with status {status}") }),
        };
        let inner = if body["error"].is_object() {
            &body["error"]
        } else {
            &body
        };
        let message = [
            &inner["message"],
            &body["error"],
            &body["detail"],
            &body["detail"][0]["msg"],
        ];
        let message = message
            .iter()
            .find_map(|message| message.as_str())
            .unwrap_or("the upstream failed");
        let mut error = self.fault(kind, message).with_upstream_status(status);
        if let Some(seconds) = retry_after.filter(|_| !self.has(Defect::ForgetsRetryAfter)) {
            error = error.with_retry_after(Duration::from_secs(seconds));
        }
        if let Some(code) = inner["code"].as_str().filter(|_| !self.has(Defect::ForgetsCodes)) {
            error = error.with_code(code);
        }
        if let Some(error_type) = inner["type"].as_str() {
            error = error.with_type(error_type);
        }
        if let Some(param) = inner["param"].as_str() {
            error = error.with_param(param);
        }
        error
    }

    async fn whole<T, R>(&self, context: &RequestContext, path: &str, request: InferenceRequest<T>) -> Result<Json<R>> {
        let asking = async {
            let answer = self.send("POST", path, self.body(&request)?).await?;
            let Answer { response, connection } = answer;
            let bytes = response
                .into_body()
                .collect()
                .await
                .map_err(|error| self.unavailable(error))?
                .to_bytes();
            drop(connection);
            let mut answer = match serde_json::from_slice::<Value>(&bytes) {
                Ok(answer) if answer["choices"].is_array() || answer["data"].is_array() => answer,
                _ if self.has(Defect::TakesHtml) => json!({ "choices": [] }),
                _ => return Err(self.unavailable("it answered nonsense")),
            };
            answer["model"] = json!(&*request.requested_model);
            if self.has(Defect::DropsVendorsAnswers) {
                answer["choices"][0].as_object_mut().unwrap().remove("stop_reason");
            }
            Ok(Json::from_bytes(answer.to_string()))
        };
        match context.remaining().filter(|_| !self.has(Defect::IgnoresTheDeadline)) {
            None => asking.await,
            Some(remaining) => tokio::time::timeout(remaining, asking)
                .await
                .unwrap_or_else(|_| Err(self.fault(ErrorKind::Timeout, "the upstream is too slow"))),
        }
    }

    async fn stream<T, R: Send + 'static>(
        self: &Arc<Self>,
        path: &str,
        request: InferenceRequest<T>,
    ) -> Result<BoxStream<Result<Json<R>>>> {
        let answer = self.send("POST", path, self.body(&request)?).await?;
        let kind = answer
            .response
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(self.unavailable("it answered no stream"));
        }
        let reader = Reader {
            client: Arc::clone(self),
            body: Some(answer),
            buffer: Vec::new(),
            finished: false,
            model: request.requested_model,
        };
        Ok(stream::unfold(reader, |mut reader| async {
            let item = reader.next().await?;
            if item.is_err() {
                reader.body = None;
            }
            Some((item.map(|chunk| Json::from_bytes(chunk.to_string())), reader))
        })
        .boxed())
    }
}

#[async_trait]
impl Inference for Client {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    async fn chat_completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        self.whole(context, "/v1/chat/completions", request).await
    }

    async fn chat_completion_stream(
        &self,
        _: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        self.shared().stream("/v1/chat/completions", request).await
    }

    async fn completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>> {
        self.whole(context, "/v1/completions", request).await
    }

    async fn completion_stream(
        &self,
        _: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        self.shared().stream("/v1/completions", request).await
    }

    async fn embeddings(
        &self,
        context: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        self.whole(context, "/v1/embeddings", request).await
    }
}

impl Client {
    fn shared(&self) -> Arc<Self> {
        Arc::new(Self {
            defect: self.defect,
            endpoint: self.endpoint.clone(),
        })
    }
}

#[async_trait]
impl Models for Client {
    async fn list_models(&self, _: &RequestContext) -> Result<Vec<ProviderModel>> {
        let list = async {
            let answer = self.send("GET", "/v1/models", Bytes::new()).await?;
            let body = answer
                .response
                .into_body()
                .collect()
                .await
                .map_err(|error| self.unavailable(error))?
                .to_bytes();
            serde_json::from_slice::<Value>(&body).map_err(|error| self.unavailable(error))
        };
        let list = match list.await {
            Err(_) if self.has(Defect::ListsNothingWhenRefused) => json!({ "data": [] }),
            list => list?,
        };
        let ids = list["data"]
            .as_array()
            .ok_or_else(|| self.unavailable("it answered no list"))?;
        Ok(ids
            .iter()
            .filter_map(|model| model["id"].as_str())
            .map(|id| ProviderModel {
                provider_model_id: id.to_owned(),
                model_type: ModelType::Llm,
                metadata: Map::new(),
            })
            .collect())
    }

    fn changes(&self) -> bool {
        true
    }
}

#[async_trait]
impl Health for Client {
    async fn check(&self) -> Result<()> {
        match self.send("GET", "/health", Bytes::new()).await {
            Err(_) if self.has(Defect::IsAlwaysWell) => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}
