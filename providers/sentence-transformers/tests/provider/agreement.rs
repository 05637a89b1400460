//! The numbers are those of sentence-transformers; see `tests/reference.py`.

use std::collections::BTreeMap;

use puna_provider_sentence_transformers::{DEMO_EMBEDDING_MODEL, DEMO_RERANK_MODEL};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::local::{Local, fixture};

/// The reference adds up in another order.
const TOLERANCE: f32 = 2e-5;

#[derive(Deserialize)]
struct Reference {
    texts: Vec<String>,
    query: String,
    embeddings: BTreeMap<String, Vec<Vec<f32>>>,
    scores: BTreeMap<String, Vec<f32>>,
}

fn reference() -> Reference {
    let text = std::fs::read(fixture("reference.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The id of a model of the reference, and its place in a configuration.
fn model(name: &str, demo: &str) -> (String, Value) {
    let path = match name {
        "demo" => demo.into(),
        name => fixture("models").join(name),
    };
    (
        name.to_owned(),
        json!({"path": path, "id": name, "too_long": "truncate"}),
    )
}

async fn start(models: &[(String, Value)], settings: &Value) -> Local {
    let mut config = json!({"models": models.iter().map(|(_, model)| model).collect::<Vec<_>>()});
    config
        .as_object_mut()
        .unwrap()
        .extend(settings.as_object().unwrap().clone());
    Local::start(config).await.unwrap()
}

fn assert_close(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (place, (a, b)) in actual.iter().zip(expected).enumerate() {
        // Vectors that are not normalised have larger numbers.
        let tolerance = TOLERANCE * (1.0 + b.abs());
        assert!((a - b).abs() <= tolerance, "{what}: number {place} is {a}, not {b}");
    }
}

#[tokio::test]
async fn embeddings_are_those_of_the_reference() {
    let reference = reference();
    // The engine for language models serves this one.
    let expected = reference.embeddings.iter().filter(|(name, _)| *name != "demo-qwen3");
    let expected: Vec<_> = expected.collect();
    assert_eq!(expected.len(), 8);
    let models: Vec<_> = expected
        .iter()
        .map(|(name, _)| model(name, DEMO_EMBEDDING_MODEL))
        .collect();
    // All texts in one batch with filling, and each by itself.
    for most in [100_000, 1] {
        let local = start(&models, &json!({"max_batch_tokens": most})).await;
        for (name, expected) in &expected {
            let vectors = local.vectors(name, &json!({"input": reference.texts})).await.unwrap();
            assert_eq!(vectors.len(), reference.texts.len());
            for ((vector, expected), text) in vectors.iter().zip(*expected).zip(&reference.texts) {
                assert_close(vector, expected, &format!("{name} of {text:?}"));
            }
        }
    }
}

#[tokio::test]
async fn scores_are_those_of_the_reference() {
    let reference = reference();
    assert_eq!(reference.scores.len(), 4);
    let models: Vec<_> = reference
        .scores
        .keys()
        .map(|name| model(name, DEMO_RERANK_MODEL))
        .collect();
    let local = start(&models, &json!({})).await;
    for (name, expected) in &reference.scores {
        let request = json!({"query": reference.query, "items": reference.texts});
        let answer = local.rerank(name, &request).await.unwrap();
        assert_eq!(answer.data.len(), expected.len());
        for result in answer.data {
            let (score, expected) = (result.relevance_score as f32, expected[result.index as usize]);
            assert_close(&[score], &[expected], &format!("{name} of item {}", result.index));
        }
    }
}

#[tokio::test]
async fn half_the_bits_are_close() {
    let reference = reference();
    let (name, mut entry) = model("demo", DEMO_EMBEDDING_MODEL);
    entry["dtype"] = json!("f16");
    let local = start(&[(name, entry)], &json!({})).await;
    let vectors = local.vectors("demo", &json!({"input": reference.texts})).await.unwrap();
    for (vector, expected) in vectors.iter().zip(&reference.embeddings["demo"]) {
        let cosine: f32 = vector.iter().zip(expected).map(|(a, b)| a * b).sum();
        assert!(cosine > 0.9999, "{cosine}");
    }
}

#[tokio::test]
async fn the_demo_models_go_by_the_words_that_texts_share() {
    let reference = reference();
    let texts = &reference.texts[..4];
    let local = Local::start(json!({})).await.unwrap();
    let vectors = local
        .vectors(DEMO_EMBEDDING_MODEL, &json!({"input": texts}))
        .await
        .unwrap();
    let cosine = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum::<f32>();
    // Both are about where llamas live; the others are about something else.
    assert!(cosine(1, 2) > 0.4, "{}", cosine(1, 2));
    assert!(cosine(1, 3) < 0.3, "{}", cosine(1, 3));
    let request = json!({"query": reference.query, "items": texts});
    let answer = local.rerank(DEMO_RERANK_MODEL, &request).await.unwrap();
    for result in answer.data {
        let is_about_it = matches!(result.index, 1 | 2);
        let fits = if is_about_it {
            result.relevance_score > 0.9
        } else {
            result.relevance_score < 0.3
        };
        assert!(fits, "{result:?}");
    }
}
