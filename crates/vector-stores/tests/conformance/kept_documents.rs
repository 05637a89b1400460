//! Documents whose bytes the engine keeps.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use puna_api::ErrorKind;
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{BatchStatus, FileRemovalStatus, KeptDocument, SearchStore};
use serde_json::{Map, json};

use crate::server::{Server, counts};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        documents_are_kept_as_they_came,
        a_document_is_a_file_but_no_upload,
        bytes_are_kept_no_longer_than_their_document,
        a_request_that_fails_changes_nothing,
        a_document_waits_for_a_model_that_is_away,
        a_removal_waits_for_an_index_that_is_away,
        a_cancelled_removal_leaves_the_rest,
    ]
}

fn document(id: &str, content: &[u8]) -> KeptDocument {
    KeptDocument {
        document_id: id.to_owned(),
        content: Bytes::copy_from_slice(content),
        media_type: "text/plain".to_owned(),
        metadata: Map::from_iter([
            ("kind".to_owned(), json!("note")),
            ("deep".to_owned(), json!({ "a": [null, "\0"] })),
        ]),
    }
}

async fn add(server: &Server, store_id: &str, documents: &[KeptDocument]) -> puna_api::Result<()> {
    let stores = &server.stores;
    stores.add_documents(&context(), store_id, documents.to_vec(), "").await
}

async fn kept(server: &Server, store_id: &str, ids: &[&str]) -> puna_api::Result<Vec<KeptDocument>> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    server.stores.kept_documents(&context(), store_id, &ids, "").await
}

async fn documents_are_kept_as_they_came(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let documents = [
        document("one", b"cats\0 sleep\xff"),
        document("two", b"dogs bark\n\nat night"),
    ];
    add(&server, &store.id, &documents).await.unwrap();
    server.stop().await;
    let server = Server::start(&place).await;
    let [one, two] = documents;
    assert_eq!(kept(&server, &store.id, &["two", "one"]).await.unwrap(), [two, one]);
    assert_eq!(
        server.found(&store.id, SearchStore::new("dogs bark")).await[0],
        "dogs bark"
    );
    let there = server.stores.get(&context(), &store.id).await.unwrap();
    assert_eq!(there.file_counts, counts(0, 2, 0, 0));
    server.stores.delete(&context(), &store.id).await.unwrap();
    assert_eq!(
        kept(&server, &store.id, &["one"]).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    server.stop().await;
}

async fn a_document_is_a_file_but_no_upload(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a.txt", "whales sing")]).await;
    let upload = server.upload("b.txt", "never attached").await;
    // Its id is that of an upload by chance, whose end is not its own.
    add(&server, &store.id, &[document(&upload, b"cats sleep")])
        .await
        .unwrap();
    assert_eq!(server.stores.detach_everywhere(&context(), &upload).await.unwrap(), 0);
    assert_eq!(kept(&server, &store.id, &[&upload]).await.unwrap().len(), 1);
    let found = server
        .found(&store.id, SearchStore::new("cats sleep whales sing"))
        .await;
    assert_eq!(found.len(), 2);
    server.stores.detach(&context(), &store.id, &upload).await.unwrap();
    assert_eq!(
        kept(&server, &store.id, &[&upload]).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    server.stop().await;
}

async fn bytes_are_kept_no_longer_than_their_document(place: Place) {
    let server = Server::start(&place).await;
    let database = server.jobs.database().await.unwrap();
    let table = place.table_name("stores");
    let is_kept = async || {
        let count = table.sql("SELECT COUNT(*) AS count FROM {table}_documents");
        let row = database.read_one(count, vec![]).await.unwrap().unwrap();
        row.get::<i64>("count").unwrap()
    };
    let stores = &server.stores;
    let store = server.store().await;
    let documents = [document("a", b"cats"), document("b", b"dogs"), document("c", b"whales")];
    add(&server, &store.id, &documents).await.unwrap();
    // Replaced, taken out, and in a store that expires or is deleted.
    let new = vec![document("a", b"more cats")];
    stores.replace_documents(&context(), &store.id, new, "").await.unwrap();
    server.until(async || (is_kept().await == 3).then_some(())).await;
    stores
        .remove_files(&context(), &store.id, &["b".to_owned(), "b".to_owned()], "")
        .await
        .unwrap();
    server.until(async || (is_kept().await == 2).then_some(())).await;
    let past = table.sql("UPDATE {table} SET expires_days = 1, last_active_at = 1000, expires_at = 1000 + 86400");
    database.write(past, vec![]).await.unwrap();
    for error in [
        kept(&server, &store.id, &["a"]).await.unwrap_err(),
        add(&server, &store.id, &[document("d", b"mice")]).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some("vector_store_expired"), "{error}");
    }
    stores.sweep().await.unwrap();
    server.until(async || (is_kept().await == 0).then_some(())).await;
    let other = server.store().await;
    add(&server, &other.id, &documents).await.unwrap();
    stores.delete(&context(), &other.id).await.unwrap();
    server.until(async || (is_kept().await == 0).then_some(())).await;
    server.stop().await;
}

async fn a_request_that_fails_changes_nothing(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let first = document("a", b"cats sleep");
    add(&server, &store.id, std::slice::from_ref(&first)).await.unwrap();
    for (documents, kind, param) in [
        (
            vec![document("b", b"fine"), document("c", b"%! cannot be read")],
            ErrorKind::Unsupported,
            "[1].content",
        ),
        (
            vec![document("b", b"fine"), document("a", b"there already")],
            ErrorKind::Conflict,
            "[1].uuid",
        ),
        (
            vec![document("b", b"fine"), document("b", b"twice")],
            ErrorKind::InvalidRequest,
            "[1].uuid",
        ),
        (vec![document("", b"nameless")], ErrorKind::InvalidRequest, "[0].uuid"),
        (vec![document("b\0", b"zero")], ErrorKind::InvalidRequest, "[0].uuid"),
    ] {
        let error = add(&server, &store.id, &documents).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (kind, Some(param)), "{error}");
    }
    let stores = &server.stores;
    for (documents, kind, param) in [
        (vec![document("a", b"%!")], ErrorKind::Unsupported, "[0].content"),
        (
            vec![document("a", b"new"), document("b", b"new")],
            ErrorKind::NotFound,
            "[1].uuid",
        ),
    ] {
        let replaced = stores.replace_documents(&context(), &store.id, documents, "").await;
        let error = replaced.unwrap_err();
        assert_eq!((error.kind(), error.param()), (kind, Some(param)), "{error}");
    }
    let removed = stores
        .remove_files(&context(), &store.id, &["a".to_owned(), "b".to_owned()], "")
        .await;
    assert_eq!(removed.unwrap_err().param(), Some("[1]"));
    assert_eq!(kept(&server, &store.id, &["a"]).await.unwrap(), [first]);
    assert_eq!(server.found(&store.id, SearchStore::new("cats")).await, ["cats sleep"]);
    let there = stores.get(&context(), &store.id).await.unwrap();
    assert_eq!(there.file_counts, counts(0, 1, 0, 0));
    server.stop().await;
}

async fn a_document_waits_for_a_model_that_is_away(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    server.around.failing.store(3, Ordering::SeqCst);
    add(&server, &store.id, &[document("a", b"cats sleep")]).await.unwrap();
    assert_eq!(server.around.failing.load(Ordering::SeqCst), 0);
    // One that can never be ingested says so, and can be sent again.
    server.around.dimension.store(8, Ordering::SeqCst);
    let error = add(&server, &store.id, &[document("b", b"dogs bark")])
        .await
        .unwrap_err();
    assert_eq!(error.param(), Some("[0]"), "{error}");
    assert!(error.message().contains("dimension"), "{error}");
    server.around.dimension.store(crate::model::DIMENSION, Ordering::SeqCst);
    add(&server, &store.id, &[document("b", b"dogs bark")]).await.unwrap();
    let there = server.stores.get(&context(), &store.id).await.unwrap();
    assert_eq!(there.file_counts, counts(0, 2, 0, 0));
    server.stop().await;
}

async fn a_removal_waits_for_an_index_that_is_away(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    add(&server, &store.id, &[document("a", b"cats"), document("b", b"dogs")])
        .await
        .unwrap();
    let stores = &server.stores;
    server.around.has_index.store(false, Ordering::SeqCst);
    let ids = vec!["a".to_owned()];
    let removal = stores
        .submit_removal(&context(), &store.id, ids, "document_ids")
        .await
        .unwrap();
    let look = async || stores.removal(&context(), &removal.id).await.unwrap();
    server.until(async || look().await.error).await;
    // It is out of the store at once, and not yet out of the index.
    assert_eq!(
        kept(&server, &store.id, &["a"]).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 2);
    server.around.has_index.store(true, Ordering::SeqCst);
    stores.sweep().await.unwrap();
    server
        .until(async || (look().await.status == FileRemovalStatus::Completed).then_some(()))
        .await;
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 1);
    assert_eq!((look().await.done, look().await.total), (1, 1));
    server.stop().await;
}

async fn a_cancelled_removal_leaves_the_rest(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let ids: Vec<String> = (0..3).map(|number| format!("d{number}")).collect();
    let documents: Vec<KeptDocument> = ids.iter().map(|id| document(id, b"cats")).collect();
    let stores = &server.stores;
    let batch = stores
        .submit_documents(&context(), &store.id, documents, "documents")
        .await
        .unwrap();
    assert_eq!(stores.store_of_batch(&batch.id).await.unwrap(), store.id);
    server.settled(&store.id).await;
    let done = stores.batch(&context(), &store.id, &batch.id).await.unwrap();
    assert_eq!(
        (done.status, done.file_counts),
        (BatchStatus::Completed, counts(0, 3, 0, 0))
    );
    // The first one is out of the store, and its end is waited for, for ever.
    server.around.has_index.store(false, Ordering::SeqCst);
    let removal = stores
        .submit_removal(&context(), &store.id, ids, "document_ids")
        .await
        .unwrap();
    server
        .until(async || stores.removal(&context(), &removal.id).await.unwrap().error)
        .await;
    stores.cancel_removal(&context(), &removal.id).await.unwrap();
    let cancelled = server
        .until(async || {
            let removal = stores.removal(&context(), &removal.id).await.unwrap();
            (removal.status == FileRemovalStatus::Cancelled).then_some(removal)
        })
        .await;
    assert_eq!((cancelled.done, cancelled.total), (0, 3));
    assert_eq!(kept(&server, &store.id, &["d1", "d2"]).await.unwrap().len(), 2);
    assert!(kept(&server, &store.id, &["d0"]).await.is_err());
    server.around.has_index.store(true, Ordering::SeqCst);
    server.stop().await;
}
