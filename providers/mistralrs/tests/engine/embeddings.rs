//! Vectors of texts.

use puna_api::{EmbeddingVector, EmbeddingsResponse, ErrorKind, Result};
use puna_provider_mistralrs::DEMO_MODEL;
use puna_testkit::context;
use serde_json::{Value, json};

use crate::local::{Local, body};

async fn start() -> (Local, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write_qwen3_embedding(folder.path()).unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL}, {"path": folder.path(), "id": "embedding"}]});
    let mut local = Local::start(config).await.unwrap();
    local.model = "embedding";
    (local, folder)
}

async fn embed(local: &Local, fields: Value) -> Result<EmbeddingsResponse> {
    let mut body = json!({"model": "local/model"});
    crate::local::extend(&mut body, fields);
    let response = local.inference().embeddings(&context(), local.request(&body)).await?;
    Ok(response.into_value().unwrap())
}

fn vectors(response: &EmbeddingsResponse) -> Vec<&[f32]> {
    let vectors = response.data.iter().map(|entry| match &entry.embedding {
        EmbeddingVector::Float(numbers) => numbers.as_slice(),
        EmbeddingVector::Base64(text) => panic!("{text}"),
    });
    vectors.collect()
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let dot = |left: &[f32], right: &[f32]| left.iter().zip(right).map(|(left, right)| left * right).sum::<f32>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

#[tokio::test]
async fn texts_of_the_same_words_point_the_same_way() {
    let (local, _folder) = start().await;
    let texts = [
        "llamas eat grass on the puna",
        "the puna has grass that llamas eat",
        "rust compiles quickly",
    ];
    let response = embed(&local, json!({"input": texts})).await.unwrap();
    let all = vectors(&response);
    assert_eq!(all.len(), 3);
    assert!(
        all.iter()
            .all(|vector| vector.len() == 96 && (cosine(vector, vector) - 1.0).abs() < 1e-4)
    );
    assert!(cosine(all[0], all[1]) > cosine(all[0], all[2]) + 0.1);
    assert_eq!(response.usage.prompt_tokens, response.usage.total_tokens);
    // A text among others is what it is alone.
    for (text, vector) in texts.iter().zip(all) {
        let alone = embed(&local, json!({"input": text})).await.unwrap();
        assert_eq!(vectors(&alone), [vector]);
    }
}

#[tokio::test]
async fn vectors_can_be_shorter_and_written_otherwise() {
    let (local, _folder) = start().await;
    let whole = embed(&local, json!({"input": "llama"})).await.unwrap();
    let short = embed(&local, json!({"input": "llama", "dimensions": 8})).await.unwrap();
    let (whole, short) = (vectors(&whole)[0], vectors(&short)[0]);
    assert_eq!(short.len(), 8);
    let length: f32 = short.iter().map(|number| number * number).sum();
    assert!((length - 1.0).abs() < 1e-4 && (cosine(short, &whole[..8]) - 1.0).abs() < 1e-4);
    let written = embed(&local, json!({"input": "llama", "encoding_format": "base64"}))
        .await
        .unwrap();
    assert!(matches!(written.data[0].embedding, EmbeddingVector::Base64(_)));
}

#[tokio::test]
async fn what_cannot_be_embedded_is_named() {
    let (mut local, _folder) = start().await;
    for (fields, param, code) in [
        (
            json!({"input": "llama ".repeat(5_000)}),
            "input",
            Some("context_length_exceeded"),
        ),
        (json!({"input": []}), "input", None),
        (json!({"input": [[5, 6], []]}), "input", None),
        (json!({"input": [5]}), "input", None),
        (json!({"input": ""}), "input", None),
        (json!({"input": [1, 1_000_000]}), "input", None),
        (json!({"input": "x", "dimensions": 97}), "dimensions", None),
        (json!({"input": "x", "dimensions": 0}), "dimensions", None),
        (json!({"input": "x", "encoding_format": "hex"}), "encoding_format", None),
    ] {
        let error = embed(&local, fields).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param(), error.code()),
            (ErrorKind::InvalidRequest, Some(param), code),
            "{}",
            error.message()
        );
    }
    let error = embed(&local, json!({"input": "x", "truncate_prompt_tokens": 5}))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::Unsupported, Some("truncate_prompt_tokens"))
    );
    // Neither kind of model does the other's work.
    let error = local.chat(&body("Hello!", json!({}))).await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::Unsupported, Some("model")));
    local.model = DEMO_MODEL;
    let error = embed(&local, json!({"input": "x"})).await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::Unsupported, Some("model")));
}

#[tokio::test]
async fn an_embedding_model_is_listed_as_one() {
    let (local, _folder) = start().await;
    let models = local
        .services
        .models
        .as_ref()
        .unwrap()
        .list_models(&context())
        .await
        .unwrap();
    let listed = models
        .iter()
        .find(|model| model.provider_model_id == "embedding")
        .unwrap();
    assert_eq!(listed.model_type, puna_api::ModelType::Embedding);
    assert_eq!(listed.metadata["embedding_dimension"], 96);
    assert_eq!(
        listed.metadata["context_length"],
        puna_tiny_model::ENCODER_CONTEXT_LENGTH as u64
    );
}

/// Bidirectional attention near and far, mean pooling and two matrices, as sentence-transformers computes them.
#[tokio::test]
async fn embedding_gemma_makes_the_vectors_of_the_reference() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("embedding-gemma");
    puna_tiny_model::write_embedding_gemma(&folder).unwrap();
    let config = json!({"models": [{"path": folder, "id": "gemma"}]});
    let mut local = Local::start(config).await.unwrap();
    local.model = "gemma";
    let fixture: Value = serde_json::from_str(include_str!("../reference/embedding_gemma.json")).unwrap();
    let response = embed(&local, json!({"input": fixture["texts"]})).await.unwrap();
    let expected: Vec<Vec<f32>> = serde_json::from_value(fixture["vectors"].clone()).unwrap();
    let made = vectors(&response);
    assert_eq!(made.len(), expected.len());
    for ((made, expected), text) in made.iter().zip(&expected).zip(fixture["texts"].as_array().unwrap()) {
        let furthest = made
            .iter()
            .zip(expected)
            .map(|(left, right)| (left - right).abs())
            .fold(0.0, f32::max);
        assert!(made.len() == expected.len() && furthest < 1e-4, "{text}: {furthest}");
    }
}
