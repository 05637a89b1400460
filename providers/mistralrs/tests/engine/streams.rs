//! Streams, many at a time, read, unread and dropped.

use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use puna_api::{ErrorKind, FinishReason};
use serde_json::{Value, json};

use crate::local::{CONTEXT, Local, body, joined, long, read, said};

#[tokio::test]
async fn sixty_four_streams_finish_together() {
    let local = Local::demo().await;
    let bodies: Vec<Value> = (0..64)
        .map(|number| long(&format!("Tell me {number} stories."), 12))
        .collect();
    for chunks in join_all(bodies.iter().map(|body| local.chunks(body))).await {
        let chunks = chunks.unwrap();
        let reasons: Vec<_> = chunks
            .iter()
            .flat_map(|chunk| &chunk.choices)
            .filter_map(|choice| choice.finish_reason.clone())
            .collect();
        assert_eq!(reasons, [FinishReason::Length]);
    }
}

#[tokio::test]
async fn a_dropped_stream_frees_the_engine_and_disturbs_nobody() {
    let local = Local::start(json!({"turn": 0})).await.unwrap();
    let mut stream = local.open(&long("Count for ever.", CONTEXT)).await.unwrap();
    for _ in 0..4 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    // The engine works on one answer at a time, and nobody waits that the first one would step aside for.
    let soon = tokio::time::timeout(Duration::from_secs(20), local.chat(&body("Hello!", json!({})))).await;
    soon.expect("the dropped answer goes on").unwrap();

    let alone = local.chat(&body("Hello!", json!({}))).await.unwrap();
    for _ in 0..3 {
        let mut dropped = Vec::new();
        for _ in 0..4 {
            let mut stream = local.open(&long("Count for ever.", CONTEXT)).await.unwrap();
            stream.next().await.unwrap().unwrap();
            dropped.push(stream);
        }
        let hello = body("Hello!", json!({}));
        let (answer, ()) = tokio::join!(local.chat(&hello), async move { drop(dropped) });
        assert_eq!(said(&answer.unwrap()), said(&alone));
    }
}

#[tokio::test]
async fn a_dropped_wait_costs_nothing() {
    let local = Local::start(json!({"max_waiting": 2})).await.unwrap();
    let _running = local.open(&long("Count for ever.", CONTEXT)).await.unwrap();
    let body = body("Hello!", json!({}));
    for _ in 0..10 {
        assert!(local.chat(&body).now_or_never().is_none());
    }
    // Two may wait; the third is turned away.
    let (first, second) = (local.chat(&body), local.chat(&body));
    tokio::pin!(first, second);
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    let error = local.chat(&body).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.message().contains("2 answers wait"), "{}", error.message());
}

#[tokio::test]
async fn streams_that_nobody_reads_hold_back_nobody() {
    let local = Local::demo().await;
    let mut unread = Vec::new();
    for number in 0..4 {
        unread.push((
            number,
            local.open(&long(&format!("Say much, {number}."), 60)).await.unwrap(),
        ));
    }
    local.chat(&body("Hello!", json!({}))).await.unwrap();
    for (number, stream) in unread {
        let alone = local.chunks(&long(&format!("Say much, {number}."), 60)).await.unwrap();
        assert_eq!(joined(&read(stream).await.unwrap()), joined(&alone));
    }
}

/// On a CPU the engine mixes up the answers of a batch: each sees the text of the last one.
#[tokio::test]
async fn answers_at_the_same_time_do_not_see_each_other() {
    let local = Local::demo().await;
    // As long as each other, so that the engine would take them together.
    let texts = [
        "Who are you?",
        "The wind is cold",
        "1 2 3 4",
        "What is a llama?",
        "Hello! Hello!",
    ];
    let mut alone = Vec::new();
    for text in texts {
        alone.push(local.chat(&long(text, 50)).await.unwrap());
    }
    let bodies = texts.map(|text| long(text, 50));
    let together = join_all(bodies.iter().map(|body| local.chat(body))).await;
    for (alone, together) in alone.iter().zip(together) {
        assert_eq!(said(alone), said(&together.unwrap()));
    }
}
