//! Batches of files.

use puna_api::ErrorKind;
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{BatchStatus, CreateFileBatch, FilesQuery, PageQuery, StoreFileStatus};
use serde_json::{Value, json};

use crate::server::{Server, counts};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_batch_is_ingested,
        files_of_a_batch_have_their_own_attributes,
        a_batch_is_cancelled,
        a_batch_of_nothing_but_failures_has_failed,
        what_is_wrong_in_a_batch_is_named,
        a_large_batch_is_taken,
    ]
}

fn batch(request: Value) -> CreateFileBatch {
    serde_json::from_value(request).unwrap()
}

async fn a_batch_is_ingested(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let file_ids = [server.upload("a", "the cat").await, server.upload("b", "%!").await];
    let made = batch(json!({"file_ids": file_ids, "attributes": {"k": 1}}));
    let made = server.stores.create_batch(&context(), &store.id, made).await.unwrap();
    assert!(made.id.starts_with("vsfb_"));
    assert_eq!(
        (made.vector_store_id.as_str(), made.file_counts.total),
        (store.id.as_str(), 2)
    );
    server.settled(&store.id).await;
    let batch = server.stores.batch(&context(), &store.id, &made.id).await.unwrap();
    assert_eq!(
        (batch.status, batch.file_counts),
        (BatchStatus::Completed, counts(0, 1, 1, 0))
    );
    let query = FilesQuery {
        status: Some(StoreFileStatus::Completed),
        ..FilesQuery::default()
    };
    let page = server
        .stores
        .batch_files(&context(), &store.id, &made.id, &query)
        .await
        .unwrap();
    assert_eq!((page.data.len(), page.data[0].id.as_str()), (1, file_ids[0].as_str()));
    assert_eq!(page.data[0].attributes["k"], 1.0.into());
    // A batch that is over stays as it is.
    let batch = server
        .stores
        .cancel_batch(&context(), &store.id, &made.id)
        .await
        .unwrap();
    assert_eq!(batch.status, BatchStatus::Completed);
    let error = server.stores.batch(&context(), &store.id, "vsfb_0").await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::NotFound, Some("batch_id")));
    server.stop().await;
}

async fn files_of_a_batch_have_their_own_attributes(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let (one, other) = (server.upload("a", "the cat").await, server.upload("b", "the dog").await);
    let made = batch(json!({"files": [
        {"file_id": one, "attributes": {"k": "one"}},
        {"file_id": other, "chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 0}}},
    ]}));
    server.stores.create_batch(&context(), &store.id, made).await.unwrap();
    let one = server.done(&store.id, &one).await;
    assert_eq!(one.attributes["k"], "one".to_owned().into());
    let other = serde_json::to_value(server.done(&store.id, &other).await).unwrap();
    assert_eq!(other["attributes"], json!({}));
    assert_eq!(other["chunking_strategy"]["static"]["max_chunk_size_tokens"], 200);
    server.stop().await;
}

async fn a_batch_is_cancelled(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let mut file_ids = vec![server.upload("a", "the cat").await];
    let done = batch(json!({"file_ids": file_ids}));
    server.stores.create_batch(&context(), &store.id, done).await.unwrap();
    server.settled(&store.id).await;
    file_ids.clear();
    for _ in 0..8 {
        file_ids.push(server.upload("b", "the cat waits").await);
    }
    let made = server
        .stores
        .create_batch(&context(), &store.id, batch(json!({"file_ids": file_ids})))
        .await
        .unwrap();
    assert_eq!(made.status, BatchStatus::InProgress);
    let batch = server
        .stores
        .cancel_batch(&context(), &store.id, &made.id)
        .await
        .unwrap();
    assert_eq!(
        (batch.status, batch.file_counts),
        (BatchStatus::Cancelled, counts(0, 0, 0, 8))
    );
    server.around.reader.gate.add_permits(8);
    assert_eq!(server.settled(&store.id).await.file_counts, counts(0, 1, 0, 8));
    // Neither the ones that waited nor the ones that were being read have left anything.
    server.idle().await;
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 1);
    assert_eq!(
        server
            .stores
            .batch(&context(), &store.id, &made.id)
            .await
            .unwrap()
            .file_counts,
        counts(0, 0, 0, 8)
    );
    server.stop().await;
}

async fn a_batch_of_nothing_but_failures_has_failed(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let file_ids = [server.upload("a", "%!").await, server.upload("b", " ").await];
    let made = server
        .stores
        .create_batch(&context(), &store.id, batch(json!({"file_ids": file_ids})))
        .await
        .unwrap();
    server.settled(&store.id).await;
    let batch = server.stores.batch(&context(), &store.id, &made.id).await.unwrap();
    assert_eq!(
        (batch.status, batch.file_counts),
        (BatchStatus::Failed, counts(0, 0, 2, 0))
    );
    server.stop().await;
}

async fn what_is_wrong_in_a_batch_is_named(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let there = server.upload("a", "the cat").await;
    let many: Vec<String> = (0..10_000).map(|number| format!("file-{number}")).collect();
    for (request, kind, param) in [
        (json!({}), ErrorKind::InvalidRequest, "file_ids"),
        (json!({"file_ids": []}), ErrorKind::InvalidRequest, "file_ids"),
        (json!({"file_ids": many}), ErrorKind::InvalidRequest, "file_ids"),
        (
            json!({"file_ids": [there], "files": [{"file_id": there}]}),
            ErrorKind::InvalidRequest,
            "files",
        ),
        (
            json!({"files": [{"file_id": there}], "attributes": {}}),
            ErrorKind::InvalidRequest,
            "attributes",
        ),
        (
            json!({"file_ids": [there, there]}),
            ErrorKind::InvalidRequest,
            "file_ids[1]",
        ),
        (
            json!({"file_ids": [there, "file-nothing"]}),
            ErrorKind::NotFound,
            "file_ids[1]",
        ),
        (
            json!({"files": [{"file_id": "file-nothing"}]}),
            ErrorKind::NotFound,
            "files[0].file_id",
        ),
        (
            json!({"files": [{"file_id": there, "attributes": {"": 1}}]}),
            ErrorKind::InvalidRequest,
            "files[0].attributes.",
        ),
    ] {
        let error = server
            .stores
            .create_batch(&context(), &store.id, batch(request))
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.param()), (kind, Some(param)), "{error}");
    }
    assert_eq!(
        server
            .stores
            .get(&context(), &store.id)
            .await
            .unwrap()
            .file_counts
            .total,
        0
    );
    server.stop().await;
}

async fn a_large_batch_is_taken(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let mut file_ids = Vec::new();
    for number in 0..150 {
        file_ids.push(server.upload("a", &format!("the cat {number}")).await);
    }
    let made = server
        .stores
        .create_batch(&context(), &store.id, batch(json!({"file_ids": file_ids})))
        .await
        .unwrap();
    assert_eq!(made.file_counts.total, 150);
    assert_eq!(server.settled(&store.id).await.file_counts, counts(0, 150, 0, 0));
    let mut seen = Vec::new();
    let mut query = FilesQuery {
        page: PageQuery {
            limit: 100,
            ..PageQuery::default()
        },
        status: None,
    };
    loop {
        let page = server
            .stores
            .batch_files(&context(), &store.id, &made.id, &query)
            .await
            .unwrap();
        seen.extend(page.data.into_iter().map(|file| file.id));
        query.page.after = seen.last().cloned();
        if !page.has_more {
            break;
        }
    }
    seen.reverse();
    assert_eq!(seen, file_ids);
    server.stop().await;
}
