//! Searches.

use puna_api::ErrorKind;
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{SearchStore, VectorStore, VectorStoreSettings};
use serde_json::{Value, json};

use crate::server::{Server, rewriting};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        searches_go_by_vectors_words_or_both,
        several_queries_are_one_search,
        a_score_below_the_threshold_is_left_out,
        chunks_that_may_not_be_answered_stand_in_nobodys_way,
        a_model_can_order_results,
        a_query_is_rewritten_by_the_configured_model,
        what_is_wrong_in_a_search_is_named,
    ]
}

const PETS: &[(&str, &str)] = &[
    ("cats.md", "# Cats\n\nthe cat sleeps on the sofa\n\ncat cat cat"),
    (
        "dogs.md",
        "the dog runs\n\nthe dog and the cat are friends of the house and of all who live in it",
    ),
];

fn search(wire: Value) -> SearchStore {
    serde_json::from_value(wire).unwrap()
}

async fn pets(server: &Server) -> VectorStore {
    server.filled(PETS).await
}

async fn searches_go_by_vectors_words_or_both(place: Place) {
    let server = Server::start(&place).await;
    let store = pets(&server).await;
    let found = server
        .stores
        .search(&context(), &store.id, SearchStore::new("cat"))
        .await
        .unwrap();
    assert_eq!(found.search_query, ["cat"]);
    let best = &found.data[0];
    assert_eq!(
        (best.filename.as_str(), best.content[0].text.as_str()),
        ("cats.md", "cat cat cat")
    );
    assert!((best.score - 1.0).abs() < 1e-6, "{}", best.score);
    assert_eq!(best.content[0].metadata.as_ref().unwrap()["headings"], json!(["Cats"]));
    assert!(best.content[0].embedding.is_none());
    assert!(found.data.is_sorted_by(|one, other| one.score >= other.score));
    assert!(found.data.iter().all(|hit| (0.0..=1.0).contains(&hit.score)));

    let by_words = server
        .stores
        .search(
            &context(),
            &store.id,
            search(json!({"query": "dog \"OR\" runs*", "search_mode": "keyword"})),
        )
        .await
        .unwrap();
    assert_eq!(by_words.data[0].content[0].text, "the dog runs");
    // Two words, brought to 0 to 1.
    assert!((by_words.data[0].score - 2.0 / 3.0).abs() < 1e-6);
    assert_eq!(by_words.data.len(), 2);

    for ranking in [
        json!({"ranker": "rrf"}),
        json!({"ranker": "weighted", "alpha": 0.3}),
        json!({"weights": {"vector": 0.5, "keyword": 0.5}}),
        json!({}),
    ] {
        let both =
            json!({"query": "the dog runs", "search_mode": "hybrid", "max_num_results": 1, "ranking_options": ranking});
        assert_eq!(
            server.found(&store.id, search(both)).await,
            ["the dog runs"],
            "{ranking}"
        );
    }
    server.stop().await;
}

async fn several_queries_are_one_search(place: Place) {
    let server = Server::start(&place).await;
    let store = pets(&server).await;
    let both = search(json!({"query": ["cat", "dog runs"], "max_num_results": 2}));
    let mut found = server.found(&store.id, both).await;
    found.sort();
    assert_eq!(found, ["cat cat cat", "the dog runs"]);
    server.stop().await;
}

async fn a_score_below_the_threshold_is_left_out(place: Place) {
    let server = Server::start(&place).await;
    let store = pets(&server).await;
    for (mode, threshold, count) in [
        ("vector", 0.99, 1),
        ("vector", 0.0, 4),
        ("keyword", 0.5, 3),
        ("keyword", 0.51, 0),
    ] {
        let request = json!({"query": "cat", "search_mode": mode, "ranking_options": {"score_threshold": threshold}});
        assert_eq!(
            server.found(&store.id, search(request)).await.len(),
            count,
            "{mode} {threshold}"
        );
    }
    server.stop().await;
}

async fn chunks_that_may_not_be_answered_stand_in_nobodys_way(place: Place) {
    let server = Server::start(&place).await;
    let text: Vec<String> = (0..100).map(|number| format!("cat cat cat cat {number}")).collect();
    let store = server
        .filled(&[("many", &text.join("\n\n")), ("one", "the dog and a cat")])
        .await;
    // The better ones are of a file that is not complete, as if it were ingested once more.
    let database = server.jobs.database().await.unwrap();
    let table = place.table_name("stores_files");
    let update = table.sql("UPDATE {table} SET status = 'failed' WHERE filename = 'many'");
    database.write(update, vec![]).await.unwrap();
    let request = search(json!({"query": "cat", "max_num_results": 1}));
    assert_eq!(server.found(&store.id, request).await, ["the dog and a cat"]);
    server.stop().await;
}

async fn a_model_can_order_results(place: Place) {
    let settings = VectorStoreSettings {
        default_rerank_model: Some("judge".to_owned()),
        ..VectorStoreSettings::default()
    };
    let server = Server::with(&place, Default::default(), settings).await;
    let store = pets(&server).await;
    // The judge likes what is short.
    let neural = json!({"query": "sofa", "max_num_results": 2, "ranking_options": {"ranker": "neural"}});
    assert_eq!(
        server.found(&store.id, search(neural)).await,
        ["cat cat cat", "the dog runs"]
    );
    let weighed =
        json!({"query": "sofa", "max_num_results": 1, "ranking_options": {"weights": {"vector": 0.9, "neural": 0.1}}});
    assert_eq!(
        server.found(&store.id, search(weighed)).await,
        ["the cat sleeps on the sofa"]
    );
    server.stop().await;
}

async fn a_query_is_rewritten_by_the_configured_model(place: Place) {
    let server = Server::start(&place).await;
    let store = pets(&server).await;
    let request = search(json!({"query": "moggy", "rewrite_query": true}));
    let error = server
        .stores
        .search(&context(), &store.id, request.clone())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::Unsupported, Some("rewrite_query"))
    );
    server.stop().await;
    let settings = VectorStoreSettings {
        rewriting: Some(rewriting()),
        ..VectorStoreSettings::default()
    };
    let server = Server::with(&place, Default::default(), settings).await;
    let found = server.stores.search(&context(), &store.id, request).await.unwrap();
    assert_eq!(found.search_query, ["cat"]);
    assert_eq!(found.data[0].content[0].text, "cat cat cat");
    server.stop().await;
}

async fn what_is_wrong_in_a_search_is_named(place: Place) {
    let server = Server::start(&place).await;
    let store = pets(&server).await;
    for (request, param) in [
        (json!({"query": " "}), "query"),
        (json!({"query": []}), "query"),
        (json!({"query": "cat", "max_num_results": 0}), "max_num_results"),
        (json!({"query": "cat", "max_num_results": 51}), "max_num_results"),
        (
            json!({"query": "cat", "filters": {"type": "eq", "key": "", "value": 1}}),
            "filters.key",
        ),
        (
            json!({"query": "cat", "ranking_options": {"score_threshold": 1.5}}),
            "ranking_options.score_threshold",
        ),
        (
            json!({"query": "cat", "ranking_options": {"ranker": "rrf", "alpha": 0.5}}),
            "ranking_options.alpha",
        ),
        (
            json!({"query": "cat", "ranking_options": {"ranker": "weighted", "impact_factor": 5}}),
            "ranking_options.impact_factor",
        ),
        (
            json!({"query": "cat", "ranking_options": {"model": "judge"}}),
            "ranking_options.model",
        ),
        (
            json!({"query": "cat", "ranking_options": {"ranker": "neural"}}),
            "ranking_options.model",
        ),
        (
            json!({"query": "cat", "ranking_options": {"weights": {"vector": 0.5}}}),
            "ranking_options.weights",
        ),
        (
            json!({"query": "cat", "search_mode": "hybrid", "ranking_options": {"alpha": 1.5}}),
            "ranking_options.alpha",
        ),
    ] {
        let error = server
            .stores
            .search(&context(), &store.id, search(request.clone()))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some(param)),
            "{request}: {error}"
        );
    }
    // An attribute that nothing has is no mistake; nothing equals it.
    let unknown = search(json!({"query": "cat", "filters": {"type": "eq", "key": "nothing", "value": "x"}}));
    assert!(server.found(&store.id, unknown).await.is_empty());
    server.stop().await;
}
