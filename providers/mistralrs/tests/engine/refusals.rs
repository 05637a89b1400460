//! What is refused, and what is taken.

use puna_api::ErrorKind;
use puna_provider_mistralrs::DEMO_MODEL;
use puna_testkit::context;
use serde_json::json;

use crate::local::{Local, body, prompt};

#[tokio::test]
async fn what_is_not_honoured_is_refused_by_name() {
    let local = Local::demo().await;
    let cases = [
        ("audio", json!({"voice": "alloy", "format": "wav"})),
        ("modalities", json!(["text", "audio"])),
        ("prediction", json!({"type": "content", "content": "x"})),
        ("web_search_options", json!({})),
        ("store", json!(true)),
        ("verbosity", json!("low")),
        ("reasoning_effort", json!("low")),
        ("service_tier", json!("flex")),
        ("guided_whitespace_pattern", json!(" *")),
        ("guided_decoding_backend", json!("outlines")),
        ("functions", json!([{"name": "f"}])),
    ];
    for (field, value) in cases {
        let error = local.chat(&body("Hello!", json!({field: value}))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::Unsupported, Some(field)),
            "{}",
            error.message()
        );
        assert!(error.message().contains(field), "{}", error.message());
    }
    for (field, value) in [("suffix", json!("x")), ("best_of", json!(2))] {
        let error = local
            .complete(&prompt("Hello!", json!({field: value})))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::Unsupported, Some(field)),
            "{}",
            error.message()
        );
    }
    let accepted = json!({
        "user": "u", "metadata": {"a": "b"}, "store": false, "service_tier": "auto", "modalities": ["text"], "top_k": 5,
        "min_p": 0.1, "repetition_penalty": 1.1, "safety_identifier": "s", "prompt_cache_key": "k", "logprobs": false,
    });
    local.chat(&body("Hello!", accepted)).await.unwrap();
}

#[tokio::test]
async fn an_unknown_model_and_embeddings_are_refused() {
    let mut local = Local::demo().await;
    let request = local.request(&json!({"model": "local/model", "input": "x"}));
    let error = local.inference().embeddings(&context(), request).await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::Unsupported, Some("model")));
    local.model = "other";
    let error = local.chat(&body("Hello!", json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains(DEMO_MODEL), "{}", error.message());
}
