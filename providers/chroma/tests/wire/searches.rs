use puna_api::{ChunkQuery, Filter, Fusion, Metric, SearchChunks};
use puna_testkit::{Fault, StubUpstream, context};
use serde_json::{Value, json};

use crate::material::{by_id, chunk, records, search, sent, server, vector_io};

/// A server that has two chunks.
fn filled() -> StubUpstream {
    let server = server(Metric::L2);
    let there = [chunk("a", "llamas and llamas"), chunk("b", "llamas alone")];
    server.fail(&by_id("get"), Fault::json(200, &records(&there)));
    server.fail(&by_id("count"), Fault::json(200, &json!(2)));
    let nearest = json!({ "ids": [["b", "a"]], "distances": [[0.0, 9.0]], "metadatas": null });
    server.fail(&by_id("query"), Fault::json(200, &nearest));
    server
}

fn filter() -> Option<Filter> {
    let wire = json!({ "type": "and", "filters": [
        { "type": "eq", "key": "author", "value": "Ada" },
        { "type": "ne", "key": "printed", "value": true },
        { "type": "gte", "key": "year", "value": 1843 },
        { "type": "in", "key": "page", "value": [1, "ii"] },
        { "type": "nin", "key": "page", "value": [] },
        { "type": "or", "filters": [] },
    ]});
    serde_json::from_value(wire).unwrap()
}

async fn found(server: &StubUpstream, request: SearchChunks) -> Vec<(String, f32)> {
    let found = vector_io(server)
        .await
        .search_chunks(&context(), request)
        .await
        .unwrap();
    found
        .into_iter()
        .map(|found| (found.chunk.chunk_id, found.score))
        .collect()
}

fn named(found: &[(&str, f32)]) -> Vec<(String, f32)> {
    found.iter().map(|(id, score)| ((*id).to_owned(), *score)).collect()
}

#[tokio::test]
async fn the_nearest_are_found() {
    let server = filled();
    let request = SearchChunks {
        filter: filter(),
        ..search(ChunkQuery::Vector(vec![3.0, 4.0]))
    };
    // Distances are squares.
    assert_eq!(found(&server, request).await, named(&[("b", 1.0), ("a", 0.25)]));
    insta::assert_json_snapshot!(sent(&server));
}

#[tokio::test]
async fn a_threshold_keeps_lower_scores_out() {
    let request = SearchChunks {
        score_threshold: Some(0.3),
        ..search(ChunkQuery::Vector(vec![3.0, 4.0]))
    };
    assert_eq!(found(&filled(), request).await, named(&[("b", 1.0)]));
}

#[tokio::test]
async fn words_are_found() {
    let server = filled();
    let request = SearchChunks {
        filter: serde_json::from_value(json!({ "type": "eq", "key": "author", "value": "Ada" })).unwrap(),
        ..search(ChunkQuery::Keyword("Llamas, llamas?".to_owned()))
    };
    let found = found(&server, request).await;
    assert_eq!(found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(found[0].1 > found[1].1 && found[1].1 > 0.0, "{found:?}");
    let mut sent = sent(&server);
    // Both go at the same time.
    sent.sort_by_key(Value::to_string);
    insta::assert_json_snapshot!(sent);
}

#[tokio::test]
async fn both_are_fused() {
    let query = ChunkQuery::Hybrid {
        vector: vec![3.0, 4.0],
        text: "alone".to_owned(),
        fusion: Fusion::Weighted { alpha: 0.5 },
    };
    assert_eq!(found(&filled(), search(query)).await, named(&[("b", 1.0), ("a", 0.0)]));
}

#[tokio::test]
async fn what_the_graph_does_not_lead_to_is_compared() {
    let server = filled();
    let nearest = json!({ "ids": [["a"]], "distances": [[4.0]] });
    server.fail(&by_id("query"), Fault::json(200, &nearest));
    let query = ChunkQuery::Vector(vec![3.0, 5.0]);
    assert_eq!(found(&server, search(query)).await, named(&[("a", 0.5), ("b", 0.5)]));
}

#[tokio::test]
async fn of_a_large_index_enough_is_enough() {
    let server = filled();
    // Compared, they would come before the two that the graph leads to.
    let mut there: Vec<_> = (0..9_999)
        .map(|number| chunk(&format!("0{number}"), "llamas"))
        .collect();
    there.extend([chunk("a", "llamas"), chunk("b", "llamas")]);
    server.fail(&by_id("get"), Fault::json(200, &records(&there)));
    let query = || search(ChunkQuery::Vector(vec![3.0, 4.0]));
    let enough = SearchChunks { limit: 2, ..query() };
    assert_eq!(found(&server, enough).await, named(&[("b", 1.0), ("a", 0.25)]));
    let more = SearchChunks { limit: 3, ..query() };
    // Where it leads to too few, all are compared.
    assert_eq!(found(&server, more).await[0], ("00".to_owned(), 1.0));
}
