//! Chunks that clients make themselves.

use puna_api::{ErrorKind, Filter};
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{InsertChunks, QueryChunks, RankingOptions, RawChunk, SearchStore, SearchText};
use serde_json::{Map, Value, json};

use crate::model;
use crate::server::Server;

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        chunks_are_put_in_and_found,
        the_same_chunk_is_there_once,
        chunks_stand_beside_files,
        what_is_wrong_in_chunks_is_named,
    ]
}

fn raw(document_id: &str, text: &str) -> RawChunk {
    RawChunk {
        document_id: Some(document_id.to_owned()),
        text: text.to_owned(),
        ..RawChunk::default()
    }
}

fn query(text: &str) -> QueryChunks {
    QueryChunks {
        query: SearchText::One(text.to_owned()),
        mode: None,
        filter: None,
        max_chunks: 10,
        ranking: RankingOptions::default(),
    }
}

async fn chunks_are_put_in_and_found(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let metadata: Map<String, Value> =
        serde_json::from_value(json!({"year": 2024, "tags": ["a"], "who": "me"})).unwrap();
    let chunks = vec![
        RawChunk {
            chunk_id: Some("c1".to_owned()),
            metadata: metadata.clone(),
            chunk_metadata: Some(Map::from_iter([("source".to_owned(), json!("https://a.example"))])),
            ..raw("d1", "the cat sleeps")
        },
        RawChunk {
            vector: Some(model::vector("bird", model::DIMENSION)),
            ..raw("d1", "the dog runs")
        },
    ];
    let ids = server
        .stores
        .insert_chunks(&context(), &store.id, InsertChunks { chunks })
        .await
        .unwrap();
    assert_eq!(ids[0], "c1");
    let found = server
        .stores
        .query_chunks(&context(), &store.id, query("cat"))
        .await
        .unwrap();
    let best = &found[0];
    assert_eq!(
        (best.chunk_id.as_str(), best.document_id.as_str(), best.text.as_str()),
        ("c1", "d1", "the cat sleeps")
    );
    assert_eq!((&best.metadata, best.position, &best.filename), (&metadata, 0, &None));
    assert_eq!(best.chunk_metadata["source"], "https://a.example");
    assert_eq!(best.vector.len(), model::DIMENSION as usize);
    // The vector that came with it counts, and not the text.
    let by_vector = server
        .stores
        .query_chunks(&context(), &store.id, query("bird"))
        .await
        .unwrap();
    assert_eq!(
        (by_vector[0].chunk_id.as_str(), by_vector[0].position),
        (ids[1].as_str(), 1)
    );
    let filter: Filter = serde_json::from_value(json!({"type": "eq", "key": "year", "value": 2024})).unwrap();
    let filtered = QueryChunks {
        filter: Some(filter),
        ..query("the")
    };
    assert_eq!(
        server
            .stores
            .query_chunks(&context(), &store.id, filtered)
            .await
            .unwrap()
            .len(),
        1
    );
    server.stop().await;
}

async fn the_same_chunk_is_there_once(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let chunks = vec![
        raw("d1", "the cat"),
        raw("d1", "the cat"),
        raw("d2", "the cat"),
        raw("d1", "the dog"),
    ];
    for _ in 0..2 {
        let insert = InsertChunks { chunks: chunks.clone() };
        let ids = server
            .stores
            .insert_chunks(&context(), &store.id, insert)
            .await
            .unwrap();
        assert!(ids[0] == ids[1] && ids[0] != ids[2] && ids[0] != ids[3]);
    }
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 3);
    server.stop().await;
}

async fn chunks_stand_beside_files(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a.txt", "the cat")]).await;
    let insert = InsertChunks {
        chunks: vec![raw("mine", "cat")],
    };
    server
        .stores
        .insert_chunks(&context(), &store.id, insert)
        .await
        .unwrap();
    let found = server
        .stores
        .search(&context(), &store.id, SearchStore::new("cat"))
        .await
        .unwrap();
    let names: Vec<(&str, &str)> = found
        .data
        .iter()
        .map(|hit| (hit.file_id.as_str(), hit.filename.as_str()))
        .collect();
    assert_eq!(names[0], ("mine", ""));
    assert_eq!((names[1].1, names.len()), ("a.txt", 2));
    // What belongs to a file is not to be touched by the ids of chunks.
    let chunks = server.around.index.chunks(&store.id).await;
    let chunks = chunks.into_iter().map(|chunk| RawChunk {
        chunk_id: Some(chunk.chunk_id),
        ..raw(&chunk.document_id, "cow")
    });
    let insert = InsertChunks {
        chunks: chunks.collect(),
    };
    server
        .stores
        .insert_chunks(&context(), &store.id, insert)
        .await
        .unwrap();
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 4);
    let found = server.found(&store.id, SearchStore::new("cat")).await;
    assert_eq!(found[..2], ["cat", "the cat"]);
    server.stop().await;
}

async fn what_is_wrong_in_chunks_is_named(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let short = RawChunk {
        vector: Some(vec![1.0; 3]),
        ..raw("d", "x")
    };
    let infinite = RawChunk {
        vector: Some(vec![f32::INFINITY; model::DIMENSION as usize]),
        ..raw("d", "x")
    };
    for (chunks, param) in [
        (vec![], "chunks"),
        (vec![raw("d", "x"), raw("d", " ")], "chunks[1].content"),
        (vec![raw("", "x")], "chunks[0].document_id"),
        (vec![raw(&"x".repeat(1001), "x")], "chunks[0].document_id"),
        (vec![short], "chunks[0].embedding"),
        (vec![infinite], "chunks[0].embedding"),
    ] {
        let error = server
            .stores
            .insert_chunks(&context(), &store.id, InsertChunks { chunks })
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some(param)),
            "{error}"
        );
    }
    assert!(server.around.index.chunks(&store.id).await.is_empty());
    server.stop().await;
}
