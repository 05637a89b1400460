//! Reranking.

use puna_api::{Capability, ErrorKind};
use serde_json::{Value, json};

use super::outcome::{Verdict, ensure, ensure_eq, expect_error, expect_named, list};
use super::subject::{REQUESTED_MODEL, Subject};
use super::trial::{Need, Trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!("rerank", answers_every_item_once_the_best_first, Need::Rerank),
        trial!("rerank", finds_the_item_that_says_the_same, Need::Rerank, Need::Echo),
        trial!("rerank", max_num_results_keeps_the_best, Need::Rerank),
        trial!("rerank", typed_text_is_as_plain_text, Need::Rerank),
        trial!("rerank", no_items_are_named, Need::Rerank),
        trial!("rerank", max_num_results_of_0_is_named, Need::Rerank),
        trial!("rerank", an_image_is_taken_or_refused_by_name, Need::Rerank),
        trial!(
            "rerank",
            a_model_that_cannot_is_refused,
            Need::Rerank,
            Need::Can(Capability::Chat),
            Need::Ours
        ),
        trial!(
            "rerank",
            an_embedding_model_is_refused,
            Need::Rerank,
            Need::Can(Capability::Embeddings),
            Need::Ours
        ),
    ]
}

const QUERY: &str = "where do llamas live";
const ITEMS: [&str; 4] = [
    "rust is a programming language",
    "llamas live in the puna",
    "where do llamas live",
    "the sea is deep",
];

fn body(fields: Value) -> Value {
    let mut body = json!({ "model": REQUESTED_MODEL, "query": QUERY, "items": ITEMS });
    if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
        body.extend(fields);
    }
    body
}

/// The items' indexes in the order of the answer; checks that they are in order of relevance and none comes twice.
fn order(answer: &Value) -> Result<Vec<u64>, super::outcome::Failure> {
    let mut order = Vec::new();
    let mut previous = f64::INFINITY;
    for result in list(answer, "data")? {
        let index = result["index"].as_u64().filter(|index| *index < ITEMS.len() as u64);
        let index = index.ok_or_else(|| format!("a result without the index of an item: {result}"))?;
        let score = result["relevance_score"]
            .as_f64()
            .ok_or_else(|| format!("a result without a score: {result}"))?;
        ensure!(score <= previous, "the results are not in order of relevance: {answer}");
        ensure!(!order.contains(&index), "item {index} comes twice: {answer}");
        previous = score;
        order.push(index);
    }
    Ok(order)
}

async fn answers_every_item_once_the_best_first(subject: Subject) -> Verdict {
    let order = order(&subject.rerank(subject.rerank_model(), &body(json!({}))).await?)?;
    ensure_eq!(order.len(), ITEMS.len(), "the number of results");
    Ok(())
}

async fn finds_the_item_that_says_the_same(subject: Subject) -> Verdict {
    let order = order(&subject.rerank(subject.rerank_model(), &body(json!({}))).await?)?;
    ensure_eq!(order[..2], [2, 1], "the best two");
    Ok(())
}

async fn max_num_results_keeps_the_best(subject: Subject) -> Verdict {
    let all = order(&subject.rerank(subject.rerank_model(), &body(json!({}))).await?)?;
    for (limit, expected) in [(1, &all[..1]), (2, &all[..2]), (100, &all[..])] {
        let answer = subject
            .rerank(subject.rerank_model(), &body(json!({ "max_num_results": limit })))
            .await?;
        ensure_eq!(order(&answer)?, expected, "the results with a limit of {limit}");
    }
    Ok(())
}

async fn typed_text_is_as_plain_text(subject: Subject) -> Verdict {
    let plain = order(&subject.rerank(subject.rerank_model(), &body(json!({}))).await?)?;
    let items: Vec<Value> = ITEMS
        .iter()
        .map(|text| json!({ "type": "text", "text": text }))
        .collect();
    let typed = body(json!({ "query": { "type": "text", "text": QUERY }, "items": items }));
    ensure_eq!(
        order(&subject.rerank(subject.rerank_model(), &typed).await?)?,
        plain,
        "the order of typed texts"
    );
    Ok(())
}

async fn no_items_are_named(subject: Subject) -> Verdict {
    let outcome = subject
        .rerank(subject.rerank_model(), &body(json!({ "items": [] })))
        .await;
    expect_named(outcome, &[ErrorKind::InvalidRequest], "items", "a ranking of nothing")
}

async fn max_num_results_of_0_is_named(subject: Subject) -> Verdict {
    let outcome = subject
        .rerank(subject.rerank_model(), &body(json!({ "max_num_results": 0 })))
        .await;
    expect_named(
        outcome,
        &[ErrorKind::InvalidRequest],
        "max_num_results",
        "`max_num_results` of 0",
    )
}

async fn an_image_is_taken_or_refused_by_name(subject: Subject) -> Verdict {
    let image = json!({ "type": "image_url", "image_url": { "url": super::chat::PIXEL } });
    match subject
        .rerank(subject.rerank_model(), &body(json!({ "items": [ITEMS[0], image] })))
        .await
    {
        Ok(answer) => ensure_eq!(order(&answer)?.len(), 2, "the number of results"),
        refused => expect_named(refused, &[ErrorKind::Unsupported], "items[1]", "an image to rank")?,
    }
    Ok(())
}

const UNABLE: &[ErrorKind] = &[ErrorKind::Unsupported, ErrorKind::NotFound, ErrorKind::InvalidRequest];

async fn a_model_that_cannot_is_refused(subject: Subject) -> Verdict {
    let outcome = subject.rerank(subject.chat_model(), &body(json!({}))).await;
    expect_error(outcome, UNABLE, "a ranking by a chat model")?;
    Ok(())
}

async fn an_embedding_model_is_refused(subject: Subject) -> Verdict {
    let outcome = subject.rerank(subject.embedding_model(), &body(json!({}))).await;
    expect_error(outcome, UNABLE, "a ranking by an embedding model")?;
    Ok(())
}
