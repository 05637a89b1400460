//! Answers that come in chunks.

use futures::{StreamExt, stream};
use puna_api::{BoxStream, ChatCompletionChunk, Error, Json, Result, SortOrder};
use puna_completions::CompletionQuery;
use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::{Value, json};

use crate::server::{Asked, Server, read};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_stream_is_kept_when_it_ends,
        a_stream_that_fails_is_not_kept,
        a_stream_whose_client_goes_is_kept_when_it_is_whole,
        an_empty_stream_is_not_kept,
    ]
}

type Chunks = BoxStream<Result<Json<ChatCompletionChunk>>>;

fn chunk(delta: &Value, finish_reason: &Value) -> Result<Json<ChatCompletionChunk>> {
    let chunk = json!({ "id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        { "index": 0, "delta": delta, "finish_reason": finish_reason },
    ] });
    Ok(Json::from_bytes(serde_json::to_vec_pretty(&chunk).unwrap()))
}

fn chunks() -> Vec<Result<Json<ChatCompletionChunk>>> {
    let usage = json!({ "id": "chatcmpl-7", "created": 1, "model": "m", "choices": [], "usage": {
        "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
    } });
    vec![
        chunk(&json!({ "role": "assistant", "content": "Hel" }), &Value::Null),
        chunk(&json!({ "content": "lo" }), &Value::Null),
        chunk(&json!({}), &json!("stop")),
        Ok(Json::from_bytes(usage.to_string())),
    ]
}

fn recorded(server: &Server, is_asked: bool, chunks: Vec<Result<Json<ChatCompletionChunk>>>) -> Chunks {
    let asked = Asked {
        is_asked,
        ..Asked::default()
    };
    server.record(&asked).stream(stream::iter(chunks).boxed())
}

async fn all(server: &Server) -> Vec<Value> {
    let query = CompletionQuery {
        limit: 10,
        order: SortOrder::Asc,
        ..CompletionQuery::default()
    };
    server
        .store
        .list(&query)
        .await
        .unwrap()
        .completions
        .iter()
        .map(read)
        .collect()
}

async fn a_stream_is_kept_when_it_ends(place: Place) {
    let server = Server::over(&place);
    for is_asked in [true, false] {
        let told: Vec<_> = recorded(&server, is_asked, chunks()).collect().await;
        let told: Vec<_> = told
            .into_iter()
            .map(|chunk| chunk.unwrap().into_value().unwrap())
            .collect();
        assert_eq!(told.len(), 4);
        let kept = read(&server.store.get(&told[0].id).await.unwrap());
        assert!(told.iter().all(|chunk| chunk.id == kept["id"].as_str().unwrap()));
        assert_eq!(kept["object"], "chat.completion");
        let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "Hello", "refusal": null }, "logprobs": null,
            "finish_reason": "stop" });
        assert_eq!(kept["choices"], json!([choice]));
        assert_eq!(kept["usage"]["total_tokens"], 3);
    }
}

async fn a_stream_that_fails_is_not_kept(place: Place) {
    let server = Server::over(&place);
    let mut broken = chunks();
    broken.push(Err(Error::unavailable("the upstream is gone")));
    let told: Vec<_> = recorded(&server, true, broken).collect().await;
    assert_eq!(
        told.last().unwrap().as_ref().unwrap_err().message(),
        "the upstream is gone"
    );
    assert_eq!(all(&server).await, Vec::<Value>::new());
}

async fn a_stream_whose_client_goes_is_kept_when_it_is_whole(place: Place) {
    let server = Server::over(&place);
    for read in 1..=4 {
        let mut stream = recorded(&server, true, chunks());
        for _ in 0..read {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        // From the reason on why its one choice ended.
        assert_eq!(all(&server).await.len(), (read as usize).saturating_sub(2), "{read}");
    }
}

async fn an_empty_stream_is_not_kept(place: Place) {
    let server = Server::over(&place);
    assert!(recorded(&server, true, Vec::new()).next().await.is_none());
    assert_eq!(all(&server).await, Vec::<Value>::new());
}
