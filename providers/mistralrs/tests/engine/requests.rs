//! What the fields of a request do.

use std::fs;

use futures::future::join_all;
use puna_api::{ErrorKind, FinishReason};
use puna_provider_mistralrs::DEMO_MODEL;
use serde_json::{Value, json};

use crate::local::{CONTEXT, Local, body, extend, long, prompt, said};

/// Tokens that the context of [`short_model`] holds.
const SHORT_CONTEXT: u64 = 100;

#[tokio::test]
async fn a_chat_is_answered() {
    let local = Local::demo().await;
    let answer = local.chat(&body("What is a llama?", json!({}))).await.unwrap();
    assert!(answer.id.starts_with("chatcmpl-"), "{}", answer.id);
    assert_eq!((answer.model.as_str(), answer.choices.len()), ("local/model", 1));
    assert!(!said(&answer).is_empty());
    let usage = answer.usage.unwrap();
    assert!(
        usage.prompt_tokens > 5 && (1..=40).contains(&usage.completion_tokens),
        "{usage:?}"
    );
    println!("{:?}", answer.choices[0]);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_text_among_others_too() {
    let local = Local::demo().await;
    let seeded = |seed| body("Tell me a story.", json!({"temperature": 1, "seed": seed}));
    let alone = local.chat(&seeded(1)).await.unwrap();
    let bodies: Vec<Value> = (0..8).map(|number| seeded(number % 2 + 1)).collect();
    let together = join_all(bodies.iter().map(|body| local.chat(body))).await;
    let texts: Vec<String> = together
        .into_iter()
        .map(|answer| said(&answer.unwrap()).to_owned())
        .collect();
    for (number, text) in texts.iter().enumerate() {
        assert_eq!(text == said(&alone), number % 2 == 0, "{texts:#?}");
    }
    let several = local
        .chat(&body("Tell me a story.", json!({"temperature": 1, "seed": 1, "n": 3})))
        .await
        .unwrap();
    let texts: Vec<&str> = several
        .choices
        .iter()
        .map(|choice| choice.message.content.as_deref().unwrap())
        .collect();
    assert_eq!(texts[0], said(&alone));
    assert!(texts[0] != texts[1] && texts[1] != texts[2], "{texts:?}");
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_told_with_both_numbers() {
    let local = Local::demo().await;
    for text in ["llama ".repeat(6_000), "x".repeat(10_000_000)] {
        let error = local.chat(&body(&text, json!({}))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::InvalidRequest, Some("context_length_exceeded"))
        );
        assert!(error.message().contains(" 4096 tokens"), "{}", error.message());
        let tokens: u64 = error.message().split(' ').find_map(|word| word.parse().ok()).unwrap();
        assert!(tokens >= CONTEXT, "{}", error.message());
        assert_eq!(error.param(), Some("messages"));
        assert_eq!(
            local.complete(&prompt(&text, json!({}))).await.unwrap_err().param(),
            Some("prompt")
        );
    }
}

#[tokio::test]
async fn an_answer_is_cut_down_to_the_rest_of_the_context() {
    let local = Local::start(json!({"models": [{"path": DEMO_MODEL, "max_sequence_length": 64}]}))
        .await
        .unwrap();
    for max_tokens in [64, 4_000_000_000_u64] {
        let answer = local.chat(&long("Say much.", max_tokens)).await.unwrap();
        let usage = answer.usage.unwrap();
        assert_eq!(usage.total_tokens, 64, "{usage:?}");
        assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Length));
    }
    let full = local.chat(&body(&"llama ".repeat(80), json!({}))).await.unwrap_err();
    assert!(full.message().contains(" 64 tokens"), "{}", full.message());
}

/// A model like the demo model, but for its context, which a test can fill.
fn short_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write(folder.path()).unwrap();
    let file = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["max_position_embeddings"] = json!(SHORT_CONTEXT);
    fs::write(&file, config.to_string()).unwrap();
    folder
}

#[tokio::test]
async fn the_whole_context_can_be_used() {
    let folder = short_model();
    let config = json!({"models": [{"path": folder.path(), "id": DEMO_MODEL}], "turn": 0});
    let local = Local::start(config).await.unwrap();
    for prompt in [SHORT_CONTEXT - 1, SHORT_CONTEXT - 40] {
        let tokens: Vec<u64> = (0..prompt).map(|number| number % 1_000).collect();
        let mut body = long("", 1_000);
        extend(&mut body, json!({"prompt": tokens}));
        body.as_object_mut().unwrap().remove("messages");
        let answer = local.complete(&body).await.unwrap();
        assert_eq!(answer.usage.unwrap().total_tokens, SHORT_CONTEXT);
        assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Length));
    }
    // Several at once, so that they step aside for each other on their way to the end.
    let bodies = ["one", "two", "three"].map(|text| long(text, 1_000));
    for answer in join_all(bodies.iter().map(|body| local.chat(body))).await {
        assert_eq!(answer.unwrap().usage.unwrap().total_tokens, SHORT_CONTEXT);
    }
}

#[tokio::test]
async fn stop_sequences_end_answers_and_are_not_shown() {
    let local = Local::demo().await;
    let whole = local.complete(&prompt("The llama", json!({}))).await.unwrap();
    let text = &whole.choices[0].text;
    let characters: Vec<char> = text.chars().collect();
    assert!(characters.len() > 20, "{text:?}");
    for start in [3, 8, 13] {
        let stop: String = characters[start..start + 5].iter().collect();
        let answer = local
            .complete(&prompt("The llama", json!({"stop": ["never there", stop]})))
            .await
            .unwrap();
        let choice = &answer.choices[0];
        assert_eq!(choice.text, text[..text.find(&stop).unwrap()]);
        assert_eq!(choice.finish_reason, Some(FinishReason::Stop));
        let used = answer.usage.unwrap().completion_tokens;
        assert!(used <= whole.usage.as_ref().unwrap().completion_tokens, "{used} tokens");
    }
}

#[tokio::test]
async fn logits_can_be_biased() {
    let local = Local::demo().await;
    let answer = local
        .complete(&prompt("The", json!({"logit_bias": {"65": 100}, "max_tokens": 5})))
        .await
        .unwrap();
    assert_eq!(answer.choices[0].text, "AAAAA");
}
