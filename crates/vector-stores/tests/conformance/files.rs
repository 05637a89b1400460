//! Files of stores.

use puna_api::{ErrorKind, SortOrder};
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{
    AttachFile, ContentQuery, CreateStore, FilesQuery, PageQuery, SearchStore, StoreFileStatus, StoreStatus,
};
use serde_json::json;

use crate::model;
use crate::server::{Server, counts};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_file_is_ingested,
        files_come_with_a_store,
        only_complete_files_are_found,
        files_are_listed_by_status,
        a_file_that_is_taken_out_is_gone,
        a_deleted_file_leaves_every_store,
        a_file_attached_anew_takes_its_own_place,
        a_restart_goes_on_with_what_was_begun,
    ]
}

async fn a_file_is_ingested(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let text = "# Cats\n\nthe cat sleeps\n\na cat purrs\n\n# Dogs\n\nthe dog runs";
    let file_id = server.upload("pets.md", text).await;
    let request: AttachFile = serde_json::from_value(json!({
        "file_id": file_id, "attributes": {"year": 2024, "draft": false, "who": "me"},
        "chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 20}},
    }))
    .unwrap();
    let attached = server.stores.attach(&context(), &store.id, request).await.unwrap();
    assert_eq!(
        (attached.id.as_str(), attached.vector_store_id.as_str()),
        (file_id.as_str(), store.id.as_str())
    );
    let file = server.done(&store.id, &file_id).await;
    assert_eq!((file.status, &file.last_error), (StoreFileStatus::Completed, &None));
    let shown = serde_json::to_value(&file).unwrap();
    assert_eq!(shown["object"], "vector_store.file");
    assert_eq!(
        shown["attributes"],
        json!({"draft": false, "who": "me", "year": 2024.0})
    );
    assert_eq!(shown["chunking_strategy"]["static"]["max_chunk_size_tokens"], 100);
    let texts = ["the cat sleeps", "a cat purrs", "the dog runs"];
    let bytes = texts.iter().map(|text| text.len() as u64).sum::<u64>() + 3 * 4 * u64::from(model::DIMENSION);
    assert_eq!(file.usage_bytes, bytes);
    let settled = server.settled(&store.id).await;
    assert_eq!((settled.usage_bytes, settled.file_counts), (bytes, counts(0, 1, 0, 0)));

    let first = ContentQuery { after: None, limit: 2 };
    let page = server
        .stores
        .file_content(&context(), &store.id, &file_id, &first)
        .await
        .unwrap();
    let shown: Vec<&str> = page.data.iter().map(|content| content.text.as_str()).collect();
    assert_eq!((shown, page.next), (texts[..2].to_vec(), Some(1)));
    let metadata = page.data[0].metadata.as_ref().unwrap();
    assert_eq!(
        (&metadata["page"], &metadata["headings"]),
        (&json!(1), &json!(["Cats"]))
    );
    assert_eq!(
        page.data[0].chunk_metadata.as_ref().unwrap()["document_id"],
        json!(file_id)
    );
    assert_eq!(
        page.data[0].embedding.as_ref().unwrap().len(),
        model::DIMENSION as usize
    );
    let rest = ContentQuery {
        after: page.next,
        limit: 2,
    };
    let page = server
        .stores
        .file_content(&context(), &store.id, &file_id, &rest)
        .await
        .unwrap();
    assert_eq!(
        (page.data[0].text.as_str(), page.data.len(), page.next),
        (texts[2], 1, None)
    );
    server.stop().await;
}

async fn files_come_with_a_store(place: Place) {
    let server = Server::start(&place).await;
    let file_ids = vec![
        server.upload("a.txt", "the cat").await,
        server.upload("b.txt", "the dog").await,
    ];
    let made = CreateStore {
        file_ids: Some(file_ids),
        ..CreateStore::default()
    };
    let store = server.stores.create(&context(), made).await.unwrap();
    assert_eq!(store.file_counts.total, 2);
    assert_eq!(server.settled(&store.id).await.file_counts, counts(0, 2, 0, 0));
    server.stop().await;
}

async fn only_complete_files_are_found(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a.txt", "the cat sleeps")]).await;
    // It waits until it is let through, and has not a single chunk in the index before.
    let waiting = server.upload("b.txt", "the cat waits").await;
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&waiting))
        .await
        .unwrap();
    let seen = server.stores.get(&context(), &store.id).await.unwrap();
    assert_eq!(
        (seen.status, seen.file_counts),
        (StoreStatus::InProgress, counts(1, 1, 0, 0))
    );
    assert_eq!(
        server.found(&store.id, SearchStore::new("cat")).await,
        ["the cat sleeps"]
    );
    let query = ContentQuery::default();
    let error = server
        .stores
        .file_content(&context(), &store.id, &waiting, &query)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::Conflict, Some("file_id")));
    server.around.reader.gate.add_permits(1);
    assert_eq!(server.settled(&store.id).await.status, StoreStatus::Completed);
    assert_eq!(server.found(&store.id, SearchStore::new("cat")).await.len(), 2);
    server.stop().await;
}

async fn files_are_listed_by_status(place: Place) {
    let server = Server::start(&place).await;
    let store = server
        .filled(&[
            ("a", "the cat"),
            ("b", "%!"),
            ("c", "the dog"),
            ("d", " "),
            ("e", "the cow"),
        ])
        .await;
    assert_eq!(store.file_counts, counts(0, 3, 2, 0));
    let list = async |status: Option<StoreFileStatus>, after: Option<String>| {
        let query = FilesQuery {
            page: PageQuery {
                after,
                limit: 2,
                order: SortOrder::Asc,
                ..PageQuery::default()
            },
            status,
        };
        server.stores.files(&context(), &store.id, &query).await.unwrap()
    };
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = list(None, after).await;
        after = page.data.last().map(|file| file.id.clone());
        seen.extend(page.data.into_iter().map(|file| file.status));
        if !page.has_more {
            break;
        }
    }
    use StoreFileStatus::{Completed, Failed};
    assert_eq!(seen, [Completed, Failed, Completed, Failed, Completed]);
    let completed = list(Some(Completed), None).await;
    assert_eq!((completed.data.len(), completed.has_more), (2, true));
    let last = completed.data[1].id.clone();
    assert_eq!(list(Some(Completed), Some(last)).await.data.len(), 1);
    assert!(list(Some(StoreFileStatus::Cancelled), None).await.data.is_empty());
    server.stop().await;
}

async fn a_file_that_is_taken_out_is_gone(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a", "the cat sleeps"), ("b", "the cat runs")]).await;
    let page = server
        .stores
        .files(&context(), &store.id, &FilesQuery::default())
        .await
        .unwrap();
    // The newest comes first.
    let file_id = page.data[0].id.clone();
    server.stores.detach(&context(), &store.id, &file_id).await.unwrap();
    assert_eq!(
        server.found(&store.id, SearchStore::new("cat")).await,
        ["the cat sleeps"]
    );
    for error in [
        server.stores.file(&context(), &store.id, &file_id).await.unwrap_err(),
        server.stores.detach(&context(), &store.id, &file_id).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.param()), (ErrorKind::NotFound, Some("file_id")));
    }
    assert_eq!(
        server.stores.get(&context(), &store.id).await.unwrap().file_counts,
        counts(0, 1, 0, 0)
    );
    let is_gone = async || (server.around.index.chunks(&store.id).await.len() == 1).then_some(());
    server.until(is_gone).await;
    // It can come back.
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&file_id))
        .await
        .unwrap();
    assert_eq!(server.settled(&store.id).await.file_counts, counts(0, 2, 0, 0));
    // Taken out while it is read, it leaves nothing behind.
    let waiting = server.upload("c", "the cat waits").await;
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&waiting))
        .await
        .unwrap();
    server.stores.detach(&context(), &store.id, &waiting).await.unwrap();
    server.around.reader.gate.add_permits(1);
    server.idle().await;
    assert_eq!(server.settled(&store.id).await.file_counts, counts(0, 2, 0, 0));
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 2);
    server.stop().await;
}

async fn a_deleted_file_leaves_every_store(place: Place) {
    let server = Server::start(&place).await;
    let (one, other) = (server.filled(&[("a", "the cat")]).await, server.store().await);
    let page = server
        .stores
        .files(&context(), &one.id, &FilesQuery::default())
        .await
        .unwrap();
    let file_id = page.data[0].id.clone();
    server
        .stores
        .attach(&context(), &other.id, AttachFile::new(&file_id))
        .await
        .unwrap();
    server.settled(&other.id).await;
    assert_eq!(server.stores.detach_everywhere(&context(), &file_id).await.unwrap(), 2);
    for store in [one, other] {
        assert!(server.found(&store.id, SearchStore::new("cat")).await.is_empty());
        server
            .until(async || server.around.index.chunks(&store.id).await.is_empty().then_some(()))
            .await;
    }
    server.stop().await;
}

async fn a_file_attached_anew_takes_its_own_place(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a", "the cat sleeps\n\nthe dog runs")]).await;
    let page = server
        .stores
        .files(&context(), &store.id, &FilesQuery::default())
        .await
        .unwrap();
    let again: AttachFile =
        serde_json::from_value(json!({"file_id": page.data[0].id, "attributes": {"again": true}})).unwrap();
    server.stores.attach(&context(), &store.id, again).await.unwrap();
    let settled = server.settled(&store.id).await;
    assert_eq!(settled.file_counts, counts(0, 1, 0, 0));
    assert_eq!(server.found(&store.id, SearchStore::new("the")).await.len(), 2);
    let filtered: SearchStore =
        serde_json::from_value(json!({"query": "cat", "filters": {"type": "eq", "key": "again", "value": true}}))
            .unwrap();
    assert_eq!(server.found(&store.id, filtered).await.len(), 2);
    let is_replaced = async || (server.around.index.chunks(&store.id).await.len() == 2).then_some(());
    server.until(is_replaced).await;
    server.stop().await;
}

async fn a_restart_goes_on_with_what_was_begun(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    for number in 0..6 {
        let file_id = server.upload("a", &format!("the cat waits\n\nnumber {number}")).await;
        server
            .stores
            .attach(&context(), &store.id, AttachFile::new(file_id))
            .await
            .unwrap();
    }
    server.stop().await;
    let server = Server::start(&place).await;
    server.around.reader.gate.add_permits(6);
    assert_eq!(server.settled(&store.id).await.file_counts, counts(0, 6, 0, 0));
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 12);
    server.stop().await;
}
