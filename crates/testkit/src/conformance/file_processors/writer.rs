//! A model that writes what it is told to, for the contexts of chunks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use puna_api::{
    BoxStream, Capabilities, Capability, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion,
    CompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, Inference, InferenceRequest, Json, RequestContext,
    Result,
};
use serde_json::{Value, json};

/// The model that answers; any other one is not found.
pub(super) const WRITER: &str = "writer";
/// A model that fails.
pub(super) const FAILING: &str = "failing-writer";
/// A model that never answers.
pub(super) const SILENT: &str = "silent-writer";
/// A model that says nothing.
pub(super) const WORDLESS: &str = "wordless-writer";

/// Keeps what it was asked, and answers with how many times it was.
#[derive(Debug, Default)]
pub(super) struct Writer {
    asked: Mutex<Vec<String>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

impl Writer {
    /// The requests so far, as JSON.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests were answered at the same time, at most.
    pub(super) fn most_running(&self) -> usize {
        self.most_running.load(Ordering::SeqCst)
    }

    async fn write(&self, model: &str, body: String) -> Result<Value> {
        let number = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(body);
            asked.len()
        };
        let content = match model {
            WRITER => {
                let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
                self.most_running.fetch_max(running, Ordering::SeqCst);
                // Long enough for others to begin.
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                self.running.fetch_sub(1, Ordering::SeqCst);
                format!("context number {number}")
            }
            WORDLESS => String::new(),
            SILENT => std::future::pending().await,
            FAILING => return Err(Error::unavailable("the writer is out")),
            _ => return Err(Error::not_found(format!("the model `{model}` does not exist")).with_param("model")),
        };
        Ok(json!({
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [{ "index": 0, "message": { "role": "assistant", "content": content, "refusal": null }, "finish_reason": "stop", "logprobs": null }],
        }))
    }
}

fn not_asked_for<T>() -> Result<T> {
    Err(Error::unsupported("the writer answers chat completions alone"))
}

#[async_trait]
impl Inference for Writer {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(&[Capability::Chat])
    }

    async fn chat_completion(
        &self,
        _: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>> {
        let body = String::from_utf8_lossy(request.body.bytes()?).into_owned();
        let answer = self.write(&request.requested_model, body).await?;
        Ok(Json::from_bytes(answer.to_string()))
    }

    async fn chat_completion_stream(
        &self,
        _: &RequestContext,
        _: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        not_asked_for()
    }

    async fn completion(&self, _: &RequestContext, _: InferenceRequest<CompletionRequest>) -> Result<Json<Completion>> {
        not_asked_for()
    }

    async fn completion_stream(
        &self,
        _: &RequestContext,
        _: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>> {
        not_asked_for()
    }

    async fn embeddings(
        &self,
        _: &RequestContext,
        _: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>> {
        not_asked_for()
    }
}
