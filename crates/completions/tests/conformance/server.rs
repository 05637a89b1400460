//! A server over a place, with nothing but stored completions.

use std::sync::Arc;

use bytes::Bytes;
use puna_api::{ChatCompletion, Json, RequestContext, Result};
use puna_completions::{
    CompletionQuery, CompletionsSettings, Metadata, Recording, StoredCompletion, StoredCompletions,
};
use puna_storage::Storage;
use puna_testkit::databases::{Place, TrialTasks};
use serde_json::{Value, json};

pub(crate) struct Server {
    pub(crate) store: Arc<StoredCompletions>,
    tasks: TrialTasks,
    storage: Arc<Storage>,
}

/// A completion to keep.
pub(crate) struct Asked {
    pub(crate) model: &'static str,
    pub(crate) content: String,
    pub(crate) metadata: Value,
    pub(crate) is_asked: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            model: "m",
            content: "hi".to_owned(),
            metadata: json!({}),
            is_asked: true,
        }
    }
}

impl Server {
    /// A server that keeps what is asked for.
    pub(crate) fn over(place: &Place) -> Self {
        let storage = Arc::new(place.storage());
        let store = Arc::new(StoredCompletions::new(CompletionsSettings {
            storage: Arc::clone(&storage),
            store: place.table("completions"),
            keeps_all: false,
            max_write_queue_size: 1000,
            num_writers: 2,
        }));
        let tasks = TrialTasks::default();
        store.keep_written(&tasks);
        Self { store, tasks, storage }
    }

    pub(crate) fn record(&self, asked: &Asked) -> Recording {
        let request =
            json!({ "model": asked.model, "messages": [{ "role": "user", "content": asked.content }], "store": true });
        self.store.record(
            &RequestContext::new("req_1"),
            asked.model,
            Bytes::from(request.to_string()),
            Metadata::parse(&asked.metadata.to_string()).unwrap(),
            asked.is_asked,
        )
    }

    /// Keeps a completion, and answers its id.
    pub(crate) async fn keep(&self, asked: &Asked) -> Result<String> {
        let answer = json!({ "id": "chatcmpl-7", "object": "chat.completion", "created": 1, "model": asked.model, "choices": [
            { "index": 0, "message": { "role": "assistant", "content": asked.content }, "finish_reason": "stop" },
        ] });
        let answer = Json::<ChatCompletion>::from_bytes(answer.to_string());
        let kept = self.record(asked).keep(&answer).await?;
        Ok(kept.get().unwrap().id.clone())
    }

    /// The ids of a list, and whether there are more.
    pub(crate) async fn ids(&self, query: &CompletionQuery) -> (Vec<String>, bool) {
        let list = self.store.list(query).await.unwrap();
        (
            list.completions.into_iter().map(|listed| listed.id).collect(),
            list.has_more,
        )
    }

    /// Ends as a server does that is told to.
    pub(crate) async fn stop(self) {
        self.tasks.stop().await;
        self.storage.close().await;
    }
}

pub(crate) fn read(stored: &StoredCompletion) -> Value {
    serde_json::from_slice(&stored.document).unwrap()
}
