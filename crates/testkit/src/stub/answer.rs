//! Which path answers what.

use bytes::Bytes;
use serde_json::{Value, json};

use super::check::{Fields, Refusal};
use super::{StubSettings, chat, completion, embeddings, rerank};

/// A well-behaved answer.
pub(crate) enum Answer {
    /// 200 with a JSON body.
    Whole(Value),
    /// 200 with server-sent events, then `[DONE]`.
    Stream(Box<dyn Iterator<Item = Value> + Send>),
    /// 200 without a body.
    Empty,
    /// Bytes.
    Bytes {
        status: u16,
        headers: Vec<(String, String)>,
        body: Bytes,
    },
    /// A status with a JSON body.
    Refused(u16, Value),
}

/// What a request to this path is answered with.
pub(crate) fn answer(method: &str, path: &str, body: &[u8], settings: &StubSettings) -> Answer {
    let answer = match (method, path) {
        ("GET", "/health") => Ok(Answer::Empty),
        ("GET", "/version") => Ok(Answer::Whole(json!({ "version": "0.11.0" }))),
        ("GET", "/v1/models") => Ok(Answer::Whole(models(settings))),
        ("POST", "/v1/chat/completions") => chat::answer(body, settings),
        ("POST", "/v1/completions") => completion::answer(body, settings),
        ("POST", "/v1/embeddings") => embeddings::answer(body, settings),
        ("POST", "/rerank" | "/v1/rerank" | "/v2/rerank") => rerank::answer(body, settings),
        ("POST", "/tokenize") => tokenize(body, settings),
        // As FastAPI answers them.
        (_, "/v1/models" | "/v1/chat/completions" | "/v1/completions" | "/v1/embeddings" | "/rerank" | "/health") => {
            Ok(Answer::Refused(405, json!({ "detail": "Method Not Allowed" })))
        }
        _ => Ok(Answer::Refused(404, json!({ "detail": "Not Found" }))),
    };
    answer.unwrap_or_else(|refusal: Refusal| Answer::Refused(refusal.status, refusal.body()))
}

fn models(settings: &StubSettings) -> Value {
    let StubSettings {
        chat_models,
        embedding_models,
        rerank_models,
        ..
    } = settings;
    let data: Value = chat_models
        .iter()
        .chain(embedding_models)
        .chain(rerank_models)
        .map(|id| {
            json!({
                "id": id,
                "object": "model",
                "created": 1_760_000_000_u64,
                "owned_by": "vllm",
                "root": id,
                "parent": null,
                "max_model_len": 4096,
            })
        })
        .collect();
    json!({ "object": "list", "data": data })
}

fn tokenize(body: &[u8], settings: &StubSettings) -> Result<Answer, Refusal> {
    let fields = Fields::parse(body)?;
    fields.model(&settings.chat_models)?;
    let count = super::words::count(fields.text("prompt")?.unwrap_or_default());
    Ok(Answer::Whole(
        json!({ "count": count, "max_model_len": 4096, "tokens": (0..count).collect::<Vec<_>>() }),
    ))
}
