//! What the provider makes of a request before the stub answers it.

use std::sync::atomic::Ordering;

use puna_api::{Error, InferenceRequest, ModelType, Result};
use serde_json::{Map, Value, json};

use super::{Defect, Provider};
use crate::stub::{StubSettings, StubUpstream};

impl Provider {
    /// The request's body with what the defect takes out of it.
    pub(super) fn body<T>(&self, request: &InferenceRequest<T>) -> Vec<u8> {
        let raw = request.body.raw().cloned().unwrap_or_default();
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&raw) else {
            return if self.has(Defect::TakesBrokenJson) {
                sound_body().into()
            } else {
                raw.to_vec()
            };
        };
        let unknown = !self.knows(&request.model.provider_model_id);
        let model = if unknown && self.has(Defect::IgnoresUnknownModels) {
            match request.model.model_type {
                ModelType::Embedding => StubUpstream::EMBEDDING_MODEL,
                _ => StubUpstream::CHAT_MODEL,
            }
        } else {
            &request.model.provider_model_id
        };
        body.insert("model".to_owned(), json!(model));
        for field in self.ignored() {
            body.remove(*field);
        }
        self.repair(&mut body);
        self.calls.fetch_add(1, Ordering::Relaxed);
        serde_json::to_vec(&body).unwrap()
    }

    fn knows(&self, id: &str) -> bool {
        let StubSettings {
            chat_models,
            embedding_models,
            rerank_models,
            ..
        } = &self.settings;
        chat_models
            .iter()
            .chain(embedding_models)
            .chain(rerank_models)
            .any(|known| known == id)
    }

    fn ignored(&self) -> &[&str] {
        match self.defect {
            Some(Defect::IgnoresStop) => &["stop"],
            Some(Defect::IgnoresN) => &["n"],
            Some(Defect::IgnoresTokenLimits) => &["max_tokens", "max_completion_tokens"],
            Some(Defect::IgnoresTools) => &["tools"],
            Some(Defect::IgnoresToolChoice) => &["tool_choice"],
            Some(Defect::IgnoresResponseFormat) => &["response_format"],
            Some(Defect::IgnoresLogprobs) => &["logprobs", "top_logprobs"],
            Some(Defect::IgnoresDimensions) => &["dimensions"],
            Some(Defect::IgnoresBase64) => &["encoding_format"],
            Some(Defect::UsageNever) => &["stream_options"],
            _ => &[],
        }
    }

    /// Makes right what a lax provider would take.
    fn repair(&self, body: &mut Map<String, Value>) {
        match self.defect {
            Some(Defect::UsageAlways) if body.get("stream") == Some(&json!(true)) => {
                body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
            }
            Some(Defect::TakesEmptyMessages) if body.get("messages") == Some(&json!([])) => {
                body.insert("messages".to_owned(), json!([{ "role": "user", "content": "hi" }]));
            }
            Some(Defect::TakesEmptyTexts) if body.contains_key("input") => {
                body.insert("input".to_owned(), json!("hi"));
            }
            Some(Defect::TakesWrongTypes) => {
                body.retain(|name, value| match name.as_str() {
                    "temperature" | "top_p" | "n" | "seed" => value.is_number(),
                    "max_tokens" => value.is_i64(),
                    "stop" => value.is_string(),
                    _ => true,
                });
                for field in ["messages", "prompt"] {
                    if body
                        .get(field)
                        .is_some_and(|value| !value.is_array() && field == "messages" || value.is_object())
                    {
                        let sound: Value = serde_json::from_str(sound_body()).unwrap();
                        body.insert(field.to_owned(), sound[field].clone());
                    }
                }
            }
            Some(Defect::TakesWrongValues) => body.retain(|name, value| match name.as_str() {
                "temperature" | "top_p" => value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)),
                "n" | "max_tokens" | "max_completion_tokens" => value.as_i64() > Some(0),
                _ => true,
            }),
            _ => {}
        }
    }
}

/// The stub looks past what it does not know, as most servers do; a provider in this process must not.
pub(super) fn known(raw: Option<&bytes::Bytes>) -> Result<()> {
    let Some(Ok(Value::Object(body))) = raw.map(|raw| serde_json::from_slice(raw)) else {
        return Ok(());
    };
    let unknown = body
        .keys()
        .find(|name| name.starts_with("x_") || ["audio", "functions"].contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(Error::unsupported("not supported").with_param(name));
    }
    if body
        .get("messages")
        .is_some_and(|messages| messages[0]["content"][1]["type"] == "x_smell")
    {
        return Err(Error::unsupported("not supported").with_param("messages[0].content[1]"));
    }
    Ok(())
}

fn sound_body() -> &'static str {
    r#"{"model": "stub/llm", "messages": [{"role": "user", "content": "hi"}], "prompt": "hi"}"#
}
