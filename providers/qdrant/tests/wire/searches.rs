//! Searches, and what is made of what they find.

use prost::Message;
use puna_api::{ChunkQuery, Filter, Fusion, SearchChunks};
use qdrant_client::qdrant::{Distance, QueryPoints, ScoredPoint};
use serde_json::json;

use crate::material::{
    FIELDS, by_vector, found, hit, info, listed, own, point, scores, search, shared, shared_there, there,
};
use crate::server::{Answer, Asked, Server};

#[tokio::test]
async fn the_nearest_are_found() {
    let hits = Answer::found(vec![hit("b", 0.5), hit("a", 0.5), hit("c", -0.25)]);
    let points = Answer::points(vec![point("b", 1), point("a", 0)]);
    let server = Server::start([there(), hits, points]).await;
    let filter: Filter = serde_json::from_value(json!({ "type": "and", "filters": [
        { "type": "eq", "key": "author", "value": "Ada" },
        { "type": "ne", "key": "draft", "value": true },
        { "type": "gt", "key": "published in", "value": 1800 },
        { "type": "lte", "key": "published in", "value": 1900 },
        { "type": "in", "key": "author", "value": ["Ada", 5] },
        { "type": "nin", "key": "author", "value": ["Bob"] },
        { "type": "or", "filters": [] },
    ] }))
    .unwrap();
    let request = SearchChunks {
        filter: Some(filter),
        score_threshold: Some(0.0),
        ..by_vector(3)
    };
    assert_eq!(
        found(&own(&server).await, request).await,
        scores(&[("a", 0.5), ("b", 0.5)])
    );
    insta::assert_snapshot!(server.shown());
}

#[tokio::test]
async fn scores_are_those_of_the_metric() {
    for (distance, given, expected) in [
        (Distance::Cosine, 1.000_000_1, 1.0),
        (Distance::Dot, 25.0, 25.0),
        (Distance::Euclid, 3.0, 0.25),
    ] {
        let there = Answer::info(info(distance, FIELDS));
        let server = Server::start([
            there,
            Answer::found(vec![hit("a", given)]),
            Answer::points(vec![point("a", 0)]),
        ]);
        let server = server.await;
        assert_eq!(
            found(&own(&server).await, by_vector(3)).await,
            scores(&[("a", expected)])
        );
        let request = QueryPoints::decode(server.asked()[1].message.clone()).unwrap();
        let normed = format!("{:?}", request.query).contains("[0.6, 0.8]");
        assert_eq!(normed, distance == Distance::Cosine);
    }
}

#[tokio::test]
async fn words_are_found() {
    let keyword = || search(ChunkQuery::Keyword("words, two".to_owned()), 5);
    let hits = || Answer::found(vec![hit("a", 1.5), hit("b", 0.0)]);
    let points = || Answer::points(vec![point("a", 0)]);
    let server = Server::start([there(), hits(), points()]).await;
    assert_eq!(found(&own(&server).await, keyword()).await, scores(&[("a", 1.5)]));
    insta::assert_snapshot!("words_are_found", server.shown());

    let server = Server::start([listed(), shared_there(), hits(), points()]).await;
    assert_eq!(found(&shared(&server).await, keyword()).await, scores(&[("a", 1.5)]));
    insta::assert_snapshot!("words_in_a_shared_index_are_found", server.shown());

    // Nothing to look for, and nobody is asked.
    let server = Server::start([there()]).await;
    let nothing = search(ChunkQuery::Keyword("!?".to_owned()), 5);
    assert_eq!(found(&own(&server).await, nothing).await, []);
    server.asked();
}

#[tokio::test]
async fn both_are_fused() {
    let by_words = Answer::found(vec![hit("a", 2.0), hit("b", 1.0)]);
    let by_vector = Answer::found(vec![hit("b", 0.5), hit("c", 0.25)]);
    let points = Answer::points(vec![point("a", 0), point("b", 1)]);
    let server = Server::start([there(), by_words, by_vector, points]).await;
    let query = ChunkQuery::Hybrid {
        vector: vec![3.0, 4.0],
        text: "words".to_owned(),
        fusion: Fusion::Rrf { impact_factor: 1.0 },
    };
    let found = found(&own(&server).await, search(query, 2)).await;
    assert_eq!(found, scores(&[("b", 1.0 / 3.0 + 0.5), ("a", 0.5)]));
    for asked in &server.asked()[1..3] {
        let limit = QueryPoints::decode(asked.message.clone()).unwrap().limit;
        assert_eq!(limit, Some(116));
    }
}

#[tokio::test]
async fn equal_scores_are_all_looked_at() {
    let equal = |count: usize| {
        (0..count)
            .rev()
            .map(|number| hit(&format!("{number:03}"), 0.5))
            .collect()
    };
    let mut more: Vec<ScoredPoint> = equal(100);
    more.push(hit("worse", 0.4));
    let last_of_17 = (83..100)
        .rev()
        .map(|number| hit(&format!("{number:03}"), 0.5))
        .collect();
    let server = Server::start([
        there(),
        Answer::found(last_of_17),
        Answer::found(more),
        Answer::points(vec![point("000", 0)]),
    ])
    .await;
    assert_eq!(found(&own(&server).await, by_vector(1)).await, scores(&[("000", 0.5)]));
    let limits = |asked: &Asked| QueryPoints::decode(asked.message.clone()).unwrap().limit;
    assert_eq!(
        server.asked()[1..3].iter().map(limits).collect::<Vec<_>>(),
        [Some(17), Some(129)]
    );
}

#[tokio::test]
async fn what_a_graph_misses_is_found_by_comparing_all() {
    let mut with_graph = info(Distance::Cosine, FIELDS);
    with_graph.indexed_vectors_count = Some(20_000);
    let server = Server::start([
        Answer::info(with_graph),
        Answer::found(vec![hit("a", 0.5)]),
        Answer::found(vec![hit("a", 0.5), hit("b", 0.25)]),
        Answer::points(vec![point("a", 0), point("b", 1)]),
    ])
    .await;
    assert_eq!(
        found(&own(&server).await, by_vector(2)).await,
        scores(&[("a", 0.5), ("b", 0.25)])
    );
    let exact = |asked: &Asked| {
        let params = QueryPoints::decode(asked.message.clone()).unwrap().params;
        params.and_then(|params| params.exact)
    };
    assert_eq!(
        server.asked()[1..3].iter().map(exact).collect::<Vec<_>>(),
        [None, Some(true)]
    );
}

#[tokio::test]
async fn many_are_counted_before_they_are_asked_for() {
    let hits = || Answer::found(vec![hit("a", 0.5)]);
    let points = || Answer::points(vec![point("a", 0)]);
    let server = Server::start([there(), Answer::count(1), hits(), points(), there(), Answer::count(0)]).await;
    let vector_io = own(&server).await;
    assert_eq!(found(&vector_io, by_vector(usize::MAX)).await, scores(&[("a", 0.5)]));
    assert_eq!(found(&vector_io, by_vector(10_001)).await, []);
    insta::assert_snapshot!(server.shown());
}
