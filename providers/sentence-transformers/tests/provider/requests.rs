//! Embedding requests: what they may ask for, and what is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use puna_api::{EmbeddingVector, ErrorKind};
use puna_provider_sentence_transformers::{DEMO_EMBEDDING_MODEL as EMBED, DEMO_RERANK_MODEL as RERANK};
use serde_json::{Value, json};

use crate::local::{Local, floats};

/// Tokens that the demo models take.
const CONTEXT: usize = puna_tiny_model::ENCODER_CONTEXT_LENGTH;

async fn demo() -> Local {
    Local::start(json!({})).await.unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn usage_counts_tokens_without_filling() {
    let local = demo().await;
    // With the two marks: 5 and 3 + 2; a batch of both is filled up.
    let answer = local
        .embed(EMBED, &json!({"input": ["the llama", "a b c d e f"]}))
        .await
        .unwrap();
    let alone = local.embed(EMBED, &json!({"input": "the llama"})).await.unwrap();
    assert_eq!(alone.usage.prompt_tokens, 6);
    assert_eq!((answer.usage.prompt_tokens, answer.usage.total_tokens), (6 + 8, 6 + 8));
    assert_eq!((answer.model.as_str(), answer.object.as_str()), ("local/model", "list"));
}

#[tokio::test]
async fn many_texts_of_all_lengths_keep_their_order() {
    let local = Local::start(json!({"max_batch_tokens": 64})).await.unwrap();
    let texts: Vec<String> = (0..60)
        .map(|number| format!("{number} {}", "llama ".repeat(number * 7 % 23)))
        .collect();
    let together = local.vectors(EMBED, &json!({"input": texts})).await.unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, vector) in texts.iter().zip(&together) {
        let alone = local.vectors(EMBED, &json!({"input": text})).await.unwrap();
        assert!(cosine(&alone[0], vector) > 0.9999, "{text}");
    }
}

#[tokio::test]
async fn dimensions_shorten_and_renormalise() {
    let local = demo().await;
    let whole = local
        .vectors(EMBED, &json!({"input": "the llama"}))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(whole.len(), 384);
    for dimensions in [384, 32, 1] {
        let body = json!({"input": "the llama", "dimensions": dimensions});
        let short = local.vectors(EMBED, &body).await.unwrap().remove(0);
        let kept = &whole[..dimensions];
        let length = cosine(kept, kept).sqrt();
        assert_eq!(short.len(), dimensions);
        for (a, b) in short.iter().zip(kept) {
            assert!((a - b / length).abs() < 1e-5, "{a} {b}");
        }
    }
    for dimensions in [0, 385] {
        let body = json!({"input": "the llama", "dimensions": dimensions});
        let error = local.embed(EMBED, &body).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some("dimensions"))
        );
        assert!(
            error
                .message()
                .contains(&format!("{dimensions} is not between 1 and 384")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn base64_is_the_same_numbers() {
    let local = demo().await;
    let body = json!({"input": "the llama", "encoding_format": "base64"});
    let answer = local.embed(EMBED, &body).await.unwrap();
    let EmbeddingVector::Base64(text) = &answer.data[0].embedding else {
        panic!("{answer:?}");
    };
    let bytes = STANDARD.decode(text).unwrap();
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    assert!(rest.is_empty());
    assert_eq!(
        numbers,
        local.vectors(EMBED, &json!({"input": "the llama"})).await.unwrap()[0]
    );
}

#[tokio::test]
async fn token_ids_are_taken_as_they_are() {
    let local = demo().await;
    let text = local.embed(EMBED, &json!({"input": "the llama"})).await.unwrap();
    let tokenizer = tokenizers::Tokenizer::from_file(folder().path().join("tokenizer.json")).unwrap();
    let ids = tokenizer.encode("the llama", true).unwrap().get_ids().to_vec();
    for (input, count) in [(json!(ids), 1), (json!([ids, ids]), 2)] {
        let same = local.embed(EMBED, &json!({"input": input})).await.unwrap();
        assert_eq!(same.data.len(), count);
        assert_eq!(same.usage.prompt_tokens, 6 * count as u64);
        let (a, b) = (
            floats(same.data[count - 1].embedding.clone()),
            floats(text.data[0].embedding.clone()),
        );
        assert!(cosine(&a, &b) > 0.9999);
    }
}

/// The demo embedding model in a folder of its own.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write_embedding(folder.path()).unwrap();
    folder
}

#[tokio::test]
async fn a_long_text_is_refused_with_both_numbers_or_cut_as_asked() {
    let local = demo().await;
    let long = "x ".repeat(CONTEXT);
    let count = CONTEXT + 2;
    for (input, param) in [(json!(long), "input"), (json!(["short", long]), "input[1]")] {
        let error = local.embed(EMBED, &json!({"input": input})).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::InvalidRequest, Some(param)));
        assert_eq!(error.code(), Some("context_length_exceeded"));
        let message = error.message();
        assert!(
            message.contains(&count.to_string()) && message.contains(&CONTEXT.to_string()),
            "{message}"
        );
    }
    for (truncate, tokens) in [(-1, CONTEXT), (5, 5)] {
        let body = json!({"input": long, "truncate_prompt_tokens": truncate});
        let answer = local.embed(EMBED, &body).await.unwrap();
        assert_eq!(answer.usage.prompt_tokens, tokens as u64);
    }
    let cut = local
        .vectors(EMBED, &json!({"input": "llama grass", "truncate_prompt_tokens": 5}))
        .await
        .unwrap();
    let short = local.vectors(EMBED, &json!({"input": "llama"})).await.unwrap();
    assert!(cosine(&cut[0], &short[0]) > 0.9999);
    for truncate in [
        json!(0),
        json!(2),
        json!(CONTEXT + 1),
        json!(-2),
        json!("all"),
        json!(1.5),
    ] {
        let body = json!({"input": "a", "truncate_prompt_tokens": truncate});
        let error = local.embed(EMBED, &body).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some("truncate_prompt_tokens"))
        );
        assert!(
            error
                .message()
                .contains(&format!("{truncate} is not between 3 and {CONTEXT}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_configuration_says_what_becomes_of_long_texts() {
    let model = json!({"path": EMBED, "max_sequence_length": 8, "too_long": "truncate"});
    let local = Local::start(json!({"models": [model]})).await.unwrap();
    let answer = local.embed(EMBED, &json!({"input": "x ".repeat(100)})).await.unwrap();
    assert_eq!(answer.usage.prompt_tokens, 8);
    let ids = local.embed(EMBED, &json!({"input": [vec![7; 100]]})).await.unwrap();
    assert_eq!(ids.usage.prompt_tokens, 8);
    assert_eq!(local.models().await[0].metadata["context_length"], 8);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let local = demo().await;
    let vocabulary: Value =
        serde_json::from_slice(&std::fs::read(folder().path().join("config.json")).unwrap()).unwrap();
    let beyond = vocabulary["vocab_size"].as_u64().unwrap();
    for (body, param, message) in [
        (json!({"input": []}), "input", "one or more"),
        (json!({"input": ""}), "input", "is empty"),
        (json!({"input": ["a", ""]}), "input[1]", "is empty"),
        (json!({"input": [[1], []]}), "input[1]", "is empty"),
        (
            json!({"input": vec!["a"; 2049]}),
            "input",
            "2049 texts are more than 2048",
        ),
        (json!({"input": [[1], [5, beyond]]}), "input[1]", "token 1 is"),
        (
            json!({"input": "a", "encoding_format": "hex"}),
            "encoding_format",
            "`float` and `base64`",
        ),
    ] {
        let error = local.embed(EMBED, &body).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some(param)),
            "{error}"
        );
        assert!(error.message().contains(message), "{error}");
    }
    let error = local
        .embed(EMBED, &json!({"input": "a", "input_type": "query"}))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::Unsupported, Some("input_type"))
    );
    // White space is a text, if one without words.
    assert_eq!(
        local.vectors(EMBED, &json!({"input": " "})).await.unwrap()[0].len(),
        384
    );
}

#[tokio::test]
async fn a_model_does_what_it_is_for() {
    let local = demo().await;
    let error = local.embed(RERANK, &json!({"input": "a"})).await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::Unsupported, Some("model")));
    let error = local
        .rerank(EMBED, &json!({"query": "a", "items": ["b"]}))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::Unsupported, Some("model")));
    let error = local.embed("other", &json!({"input": "a"})).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::NotFound, Some("model_not_found"))
    );
    assert!(error.message().contains(&format!("{EMBED}, {RERANK}")), "{error}");
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_the_others_alone() {
    // One turn at a time, and a batch for each text.
    let config = json!({"max_running": 1, "max_batch_tokens": 1, "max_waiting": 1, "threads": 1});
    let local = Local::start(config).await.unwrap();
    let many = json!({"input": vec!["llama ".repeat(200); 200]});
    let mut long = Box::pin(local.embed(EMBED, &many));
    assert!(long.as_mut().now_or_never().is_none());
    let one = json!({"input": "llama"});
    let mut waiting = Box::pin(local.embed(EMBED, &one));
    assert!(waiting.as_mut().now_or_never().is_none());
    let refused = local.embed(EMBED, &one).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    // It waits for the turn of one batch, not for the whole of the other request.
    let first = tokio::select! {
        biased;
        _ = &mut long => "long",
        answer = &mut waiting => { answer.unwrap(); "waiting" }
    };
    assert_eq!(first, "waiting");
    drop(long);
    local.embed(EMBED, &one).await.unwrap();
}
