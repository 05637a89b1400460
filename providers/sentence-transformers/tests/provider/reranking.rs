//! Rerank requests.

use puna_api::ErrorKind;
use puna_provider_sentence_transformers::DEMO_RERANK_MODEL as RERANK;
use serde_json::json;

use crate::local::Local;

#[tokio::test]
async fn the_document_that_answers_comes_first() {
    let local = Local::start(json!({})).await.unwrap();
    let items = [
        "Potatoes grow in the high grassland, and people have eaten them for thousands of years.",
        "The capital of Peru is Lima.",
        "Rust is a programming language that has no garbage collector.",
        "Llamas are animals of the mountains. They carry what people give them to carry.",
    ];
    for (query, best) in [
        ("what is the capital of Peru?", 1),
        ("programming languages without a garbage collector", 2),
        ("who eats potatoes", 0),
        ("which animals carry something", 3),
    ] {
        let answer = local
            .rerank(RERANK, &json!({"query": query, "items": items}))
            .await
            .unwrap();
        assert_eq!(answer.data[0].index, best, "{query}: {answer:?}");
        assert!(
            answer
                .data
                .iter()
                .all(|result| (0.0..=1.0).contains(&result.relevance_score))
        );
    }
}

#[tokio::test]
async fn long_documents_are_cut_or_refused() {
    let items = json!(["llama", "llama ".repeat(100)]);
    let request = json!({"query": "llama", "items": items});
    let start = |too_long: &str| {
        let model = json!({"path": RERANK, "max_sequence_length": 20, "too_long": too_long});
        Local::start(json!({"models": [model]}))
    };
    let cut = start("truncate").await.unwrap().rerank(RERANK, &request).await.unwrap();
    assert_eq!(cut.data.len(), 2);
    let error = start("refuse")
        .await
        .unwrap()
        .rerank(RERANK, &request)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("items[1]"))
    );
    // Three marks, and three tokens for each llama.
    assert!(
        error.message().contains("306 tokens") && error.message().contains("at most 20"),
        "{error}"
    );
}

#[tokio::test]
async fn a_field_that_is_not_known_is_refused_by_name() {
    let local = Local::start(json!({})).await.unwrap();
    let mut request = json!({"query": "llama", "items": ["llama"], "instruction": null});
    assert_eq!(local.rerank(RERANK, &request).await.unwrap().data.len(), 1);
    request["instruction"] = "find mountains".into();
    let error = local.rerank(RERANK, &request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::Unsupported, Some("instruction"))
    );
}
