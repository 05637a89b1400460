//! Models that think aloud.

use std::fs;

use puna_api::FinishReason;
use puna_provider_mistralrs::DEMO_MODEL;
use serde_json::json;

use crate::local::{Local, extend, long, said};

/// The demo model with a template that ends so.
async fn thinking(end: &str) -> (Local, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.jinja");
    let source = "{# <think> #}{% for message in messages %}{{ message.content }}\n{% endfor %}".to_owned() + end;
    fs::write(&file, source).unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL, "chat_template": file}]});
    (Local::start(config).await.unwrap(), folder)
}

#[tokio::test]
async fn what_is_thought_has_a_field_of_its_own() {
    let (local, _folder) = thinking("<think>\n").await;
    let mut body = long("Why?", 12);
    let whole = local.chat(&body).await.unwrap();
    let message = &whole.choices[0].message;
    let thought = message.reasoning_content.clone().unwrap();
    assert!(message.content.is_none() && !thought.is_empty(), "{message:?}");
    assert_eq!(whole.choices[0].finish_reason, Some(FinishReason::Length));
    let usage = whole.usage.clone().unwrap();
    let details = usage.completion_tokens_details.unwrap();
    assert_eq!((usage.completion_tokens, details.reasoning_tokens), (12, Some(12)));

    extend(
        &mut body,
        json!({"stream": true, "stream_options": {"include_usage": true}}),
    );
    let chunks = local.chunks(&body).await.unwrap();
    let deltas = chunks
        .iter()
        .flat_map(|chunk| &chunk.choices)
        .map(|choice| &choice.delta);
    let streamed: String = deltas
        .clone()
        .filter_map(|delta| delta.reasoning_content.as_deref())
        .collect();
    let text: String = deltas.filter_map(|delta| delta.content.as_deref()).collect();
    assert_eq!((streamed, text), (thought, String::new()));
    assert_eq!(chunks.last().unwrap().usage, whole.usage);
}

#[tokio::test]
async fn an_answer_without_thinking_is_all_text() {
    for end in ["", "<think>\n\n</think>\n\n"] {
        let (local, _folder) = thinking(end).await;
        let whole = local.chat(&long("Why?", 12)).await.unwrap();
        assert!(!said(&whole).is_empty() && whole.choices[0].message.reasoning_content.is_none());
        let details = whole.usage.unwrap().completion_tokens_details.unwrap();
        assert_eq!(details.reasoning_tokens, Some(0));
    }
}

/// A form is that of what is said, whether or not the model thinks before.
#[tokio::test]
async fn a_form_waits_for_the_end_of_thinking() {
    let (local, _folder) = thinking("").await;
    let mut body = long("Why?", 40);
    extend(&mut body, json!({"guided_choice": ["because"]}));
    let whole = local.chat(&body).await.unwrap();
    let message = &whole.choices[0].message;
    match whole.choices[0].finish_reason {
        Some(FinishReason::Length) => assert!(message.reasoning_content.is_some(), "{message:?}"),
        _ => assert_eq!(message.content.as_deref(), Some("because")),
    }
}
