//! The list of models of an upstream.

use puna_api::{Error, ModelList, ModelObject, ModelType, ProviderModel, Result};
use serde_json::{Map, Value};

use crate::settings::KnownModel;

/// Reads an upstream's answer to `GET /models`.
pub(crate) fn read_list(provider: &str, body: &[u8], known: &[KnownModel]) -> Result<Vec<ProviderModel>> {
    let list: ModelList = serde_json::from_slice(body).map_err(|error| {
        Error::unavailable(format!(
            "provider `{provider}` answered with something that is not a list of models"
        ))
        .with_source(error)
    })?;
    let mut models: Vec<ProviderModel> = Vec::with_capacity(list.data.len());
    for object in list.data {
        if !object.id.is_empty() && !models.iter().any(|model| model.provider_model_id == object.id) {
            models.push(describe(object, known));
        }
    }
    Ok(models)
}

fn describe(object: ModelObject, known: &[KnownModel]) -> ProviderModel {
    let ModelObject {
        id,
        custom_metadata,
        extra,
        ..
    } = object;
    let known = known.iter().find(|known| known.id == id);
    let mut metadata = Map::new();
    if let Some(known) = known {
        for (name, value) in [
            ("embedding_dimension", known.embedding_dimension),
            ("context_length", known.context_length),
        ] {
            if let Some(value) = value {
                metadata.insert(name.to_owned(), value.into());
            }
        }
    }
    // vLLM tells the context length on the model, llama.cpp's server below `meta`.
    for (name, value) in [
        ("context_length", extra.get("max_model_len")),
        (
            "context_length",
            extra.get("meta").and_then(|meta| meta.get("n_ctx_train")),
        ),
        ("max_model_len", extra.get("max_model_len")),
    ] {
        if let Some(value @ Value::Number(_)) = value {
            metadata.insert(name.to_owned(), value.clone());
        }
    }
    // Another stack tells all that it knows, in its own terms for provider and model.
    let custom = custom_metadata.unwrap_or_default();
    let told = custom.get("model_type").and_then(Value::as_str).and_then(model_type);
    let model_type = told
        .or_else(|| known.map(|known| known.model_type))
        .unwrap_or_else(|| guess(&id));
    if model_type == ModelType::Embedding
        && let Some(dimension @ Value::Number(_)) = extra.get("meta").and_then(|meta| meta.get("n_embd"))
    {
        metadata.insert("embedding_dimension".to_owned(), dimension.clone());
    }
    for (name, value) in custom {
        if !matches!(name.as_str(), "model_type" | "provider_id" | "provider_resource_id") {
            metadata.insert(name, value);
        }
    }
    ProviderModel {
        provider_model_id: id,
        model_type,
        metadata,
    }
}

fn model_type(name: &str) -> Option<ModelType> {
    [ModelType::Llm, ModelType::Embedding, ModelType::Rerank]
        .into_iter()
        .find(|model_type| model_type.name() == name)
}

/// What a model is for, by its name: OpenAI's list does not tell.
fn guess(id: &str) -> ModelType {
    let id = id.to_ascii_lowercase();
    if id.contains("rerank") {
        ModelType::Rerank
    } else if id.contains("embed") || id.contains("minilm") {
        ModelType::Embedding
    } else {
        ModelType::Llm
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: &[KnownModel] = &[KnownModel {
        id: "known",
        model_type: ModelType::Embedding,
        embedding_dimension: Some(8),
        context_length: Some(512),
    }];

    fn read(models: &Value) -> Vec<(String, ModelType, Value)> {
        let body = json!({ "object": "list", "data": models }).to_string();
        let models = read_list("up", body.as_bytes(), KNOWN).unwrap();
        models
            .into_iter()
            .map(|model| (model.provider_model_id, model.model_type, model.metadata.into()))
            .collect()
    }

    #[test]
    fn what_servers_tell_of_their_models_is_kept() {
        let found = read(&json!([
            { "id": "a", "object": "model", "created": 1, "owned_by": "vllm", "max_model_len": 4096, "permission": [] },
            { "id": "b", "meta": { "n_ctx_train": 512, "n_embd": 64 } },
            { "id": "b" },
            { "id": "nomic-embed-text", "meta": { "n_embd": 64 } },
            { "id": "BAAI/bge-reranker" },
            { "id": "known" },
            { "id": "p/x", "custom_metadata": { "model_type": "embedding", "provider_id": "p", "provider_resource_id": "x", "embedding_dimension": 3 } },
        ]));
        let expected = [
            (
                "a",
                ModelType::Llm,
                json!({ "context_length": 4096, "max_model_len": 4096 }),
            ),
            ("b", ModelType::Llm, json!({ "context_length": 512 })),
            (
                "nomic-embed-text",
                ModelType::Embedding,
                json!({ "embedding_dimension": 64 }),
            ),
            ("BAAI/bge-reranker", ModelType::Rerank, json!({})),
            (
                "known",
                ModelType::Embedding,
                json!({ "embedding_dimension": 8, "context_length": 512 }),
            ),
            ("p/x", ModelType::Embedding, json!({ "embedding_dimension": 3 })),
        ];
        assert_eq!(
            found,
            expected.map(|(id, model_type, metadata)| (id.to_owned(), model_type, metadata))
        );
    }

    #[test]
    fn what_is_no_list_is_unavailable() {
        for body in ["<html>", "{}", "[]", r#"{"data":[{"object":"model"}]}"#] {
            let error = read_list("up", body.as_bytes(), KNOWN).unwrap_err();
            assert_eq!(error.kind(), puna_api::ErrorKind::Unavailable, "{body}");
        }
    }
}
