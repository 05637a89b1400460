//! Stores: made, read, changed, expired and deleted.

use puna_api::{Error, ErrorKind, SortOrder};
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{
    AttachFile, CreateStore, PageQuery, SearchStore, StoreExpiry, StoreExpiryAnchor, StoreFileStatus, StoreStatus,
    UpdateStore, VectorStoreSettings,
};
use serde_json::{Map, json};

use crate::model;
use crate::server::{Server, counts};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_store_is_kept,
        nothing_is_opened_by_looking,
        stores_are_listed_page_by_page,
        a_store_is_changed_field_by_field,
        a_deleted_store_is_gone_everywhere,
        an_id_can_be_chosen_and_used_again,
        a_store_that_nobody_uses_expires,
        an_expired_store_waits_for_no_file,
        what_is_wrong_in_a_request_is_named,
    ]
}

async fn a_store_is_kept(place: Place) {
    let server = Server::start(&place).await;
    let made = CreateStore {
        name: Some("docs".to_owned()),
        description: Some("what we wrote".to_owned()),
        metadata: Some(Map::from_iter([("team".to_owned(), json!("a"))])),
        ..CreateStore::default()
    };
    let store = server.stores.create(&context(), made).await.unwrap();
    assert!(store.id.starts_with("vs_"));
    assert_eq!(
        (store.name.as_str(), store.description.as_deref()),
        ("docs", Some("what we wrote"))
    );
    assert_eq!(
        (store.embedding_model.as_str(), store.embedding_dimension),
        ("words", model::DIMENSION)
    );
    assert_eq!((store.provider_id.as_str(), store.usage_bytes), ("rows", 0));
    assert_eq!(
        (store.status, store.file_counts),
        (StoreStatus::Completed, counts(0, 0, 0, 0))
    );
    assert_eq!(store.last_active_at, Some(store.created_at));
    server.stop().await;
    let server = Server::start(&place).await;
    assert_eq!(server.stores.get(&context(), &store.id).await.unwrap(), store);
    server.stop().await;
}

async fn nothing_is_opened_by_looking(place: Place) {
    if place.is_postgres() {
        return;
    }
    let server = Server::start(&place).await;
    let page = server.stores.list(&context(), &PageQuery::default()).await.unwrap();
    assert!(page.data.is_empty());
    let error = server.stores.get(&context(), "vs_0").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::NotFound, Some("vector_store_id"))
    );
    assert_eq!(server.stores.detach_everywhere(&context(), "file-0").await.unwrap(), 0);
    assert!(!place.folder().join("made").exists());
    server.stop().await;
}

async fn stores_are_listed_page_by_page(place: Place) {
    let server = Server::start(&place).await;
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(server.store().await.id);
    }
    let list = async |query: PageQuery| {
        let page = server.stores.list(&context(), &query).await.unwrap();
        let places: Vec<usize> = page
            .data
            .iter()
            .map(|store| ids.iter().position(|id| *id == store.id).unwrap())
            .collect();
        (places, page.has_more)
    };
    let query = |after: Option<usize>, before: Option<usize>, order: SortOrder| PageQuery {
        after: after.map(|place| ids[place].clone()),
        before: before.map(|place| ids[place].clone()),
        limit: 3,
        order,
    };
    for (query, places, has_more) in [
        (query(None, None, SortOrder::Desc), vec![6, 5, 4], true),
        (query(Some(4), None, SortOrder::Desc), vec![3, 2, 1], true),
        (query(Some(1), None, SortOrder::Desc), vec![0], false),
        (query(Some(3), None, SortOrder::Asc), vec![4, 5, 6], false),
        (query(None, Some(1), SortOrder::Desc), vec![4, 3, 2], true),
        (query(None, Some(4), SortOrder::Desc), vec![6, 5], false),
        (query(None, Some(5), SortOrder::Asc), vec![2, 3, 4], true),
        (query(Some(1), Some(3), SortOrder::Asc), vec![2], false),
    ] {
        assert_eq!(list(query.clone()).await, (places, has_more), "{query:?}");
    }
    let unknown = PageQuery {
        after: Some("vs_0".to_owned()),
        ..PageQuery::default()
    };
    let error = server.stores.list(&context(), &unknown).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("after"))
    );
    server.stop().await;
}

async fn a_store_is_changed_field_by_field(place: Place) {
    let server = Server::start(&place).await;
    let made = CreateStore {
        name: Some("docs".to_owned()),
        metadata: Some(Map::from_iter([("team".to_owned(), json!("a"))])),
        expires_after: Some(days(3)),
        ..CreateStore::default()
    };
    let store = server.stores.create(&context(), made).await.unwrap();
    assert_eq!(store.expires_at, Some(store.created_at + 3 * 86_400));
    let update = |update: serde_json::Value| {
        let update: UpdateStore = serde_json::from_value(update).unwrap();
        let server = &server;
        let id = store.id.clone();
        async move { server.stores.update(&context(), &id, update).await.unwrap() }
    };
    let same = update(json!({})).await;
    assert_eq!((&same.name, &same.metadata), (&store.name, &store.metadata));
    assert_eq!(same.embedding_model, "words");
    let renamed = update(json!({"name": "papers"})).await;
    assert_eq!((renamed.name.as_str(), &renamed.metadata), ("papers", &store.metadata));
    let emptied = update(json!({"name": null, "metadata": null, "expires_after": null})).await;
    assert_eq!((emptied.name.as_str(), emptied.metadata.len()), ("", 0));
    assert_eq!((emptied.expires_after, emptied.expires_at), (None, None));
    let expiring = update(json!({"expires_after": {"anchor": "last_active_at", "days": 1}})).await;
    assert_eq!(expiring.expires_at, expiring.last_active_at.map(|at| at + 86_400));
    server.stop().await;
}

async fn a_deleted_store_is_gone_everywhere(place: Place) {
    let server = Server::start(&place).await;
    let store = server
        .filled(&[("a.txt", "the cat sleeps"), ("b.txt", "the dog runs")])
        .await;
    let other = server.filled(&[("c.txt", "the cat runs")]).await;
    server.stores.delete(&context(), &store.id).await.unwrap();
    for error in [
        server.stores.get(&context(), &store.id).await.unwrap_err(),
        server.stores.delete(&context(), &store.id).await.unwrap_err(),
        server
            .stores
            .search(&context(), &store.id, SearchStore::new("cat"))
            .await
            .unwrap_err(),
        server
            .stores
            .files(&context(), &store.id, &Default::default())
            .await
            .unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::NotFound, Some("vector_store_id"))
        );
    }
    let is_gone = async || (server.around.index.ids().await == [other.id.clone()]).then_some(());
    server.until(is_gone).await;
    assert!(server.around.index.chunks(&store.id).await.is_empty());
    assert_eq!(server.found(&other.id, SearchStore::new("cat")).await, ["the cat runs"]);
    server.stop().await;
}

async fn an_id_can_be_chosen_and_used_again(place: Place) {
    let server = Server::start(&place).await;
    let made = CreateStore {
        id: Some("bank-1".to_owned()),
        ..CreateStore::default()
    };
    for _ in 0..3 {
        let store = server.stores.create(&context(), made.clone()).await.unwrap();
        assert_eq!(store.id, "bank-1");
        let error = server.stores.create(&context(), made.clone()).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::Conflict, Some("id")));
        let file_id = server.upload("a.txt", "the cat").await;
        server
            .stores
            .attach(&context(), "bank-1", AttachFile::new(file_id))
            .await
            .unwrap();
        assert_eq!(server.settled("bank-1").await.file_counts, counts(0, 1, 0, 0));
        server.stores.delete(&context(), "bank-1").await.unwrap();
    }
    server.stop().await;
}

async fn a_store_that_nobody_uses_expires(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a.txt", "the cat sleeps")]).await;
    age(
        &server,
        &place,
        "UPDATE {table} SET expires_days = 1, last_active_at = 1000, expires_at = 1000 + 86400",
    )
    .await;
    let expired = server.stores.get(&context(), &store.id).await.unwrap();
    assert_eq!(
        (expired.status, expired.expires_at),
        (StoreStatus::Expired, Some(87_400))
    );
    let is_expired = |error: Error| {
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Conflict, Some("vector_store_expired"))
        );
    };
    is_expired(
        server
            .stores
            .search(&context(), &store.id, SearchStore::new("cat"))
            .await
            .unwrap_err(),
    );
    let revive = UpdateStore {
        expires_after: Some(None),
        ..UpdateStore::default()
    };
    is_expired(server.stores.update(&context(), &store.id, revive).await.unwrap_err());
    server.stores.sweep().await.unwrap();
    server
        .until(async || server.around.index.ids().await.is_empty().then_some(()))
        .await;
    // What is noted about it stays until it is deleted.
    assert_eq!(
        server.stores.get(&context(), &store.id).await.unwrap().status,
        StoreStatus::Expired
    );
    server.stores.delete(&context(), &store.id).await.unwrap();
    assert!(
        server
            .stores
            .list(&context(), &PageQuery::default())
            .await
            .unwrap()
            .data
            .is_empty()
    );
    server.stop().await;
}

async fn an_expired_store_waits_for_no_file(place: Place) {
    let server = Server::start(&place).await;
    // The sweep has its ingestion cancelled; or the ingestion finds out by itself, before that.
    for is_swept in [true, false] {
        let store = server.store().await;
        let file_id = server.upload("a", "the cat waits").await;
        server
            .stores
            .attach(&context(), &store.id, AttachFile::new(&file_id))
            .await
            .unwrap();
        if is_swept {
            age(&server, &place, "UPDATE {table} SET expires_at = 1000").await;
            server.stores.sweep().await.unwrap();
        } else {
            age(
                &server,
                &place,
                "UPDATE {table} SET expires_at = 1000, state = 'expired'",
            )
            .await;
            server.around.reader.gate.add_permits(1);
        }
        let file = server.done(&store.id, &file_id).await;
        assert_eq!(file.status, StoreFileStatus::Cancelled);
        let expired = server.stores.get(&context(), &store.id).await.unwrap();
        assert_eq!(
            (expired.status, expired.file_counts),
            (StoreStatus::Expired, counts(0, 0, 0, 1))
        );
    }
    server.stop().await;
}

async fn what_is_wrong_in_a_request_is_named(place: Place) {
    let server = Server::start(&place).await;
    let long = "x".repeat(513);
    for (request, kind, param) in [
        (json!({"name": long}), ErrorKind::InvalidRequest, "name"),
        (
            json!({"expires_after": {"anchor": "last_active_at", "days": 366}}),
            ErrorKind::InvalidRequest,
            "expires_after.days",
        ),
        (json!({"metadata": {"k": long}}), ErrorKind::InvalidRequest, "metadata"),
        (
            json!({"file_ids": vec!["f"; 501]}),
            ErrorKind::InvalidRequest,
            "file_ids",
        ),
        (
            json!({"file_ids": ["file-nothing"]}),
            ErrorKind::NotFound,
            "file_ids[0]",
        ),
        (
            json!({"embedding_model": "nothing"}),
            ErrorKind::InvalidRequest,
            "embedding_model",
        ),
        (
            json!({"embedding_dimension": 3}),
            ErrorKind::InvalidRequest,
            "embedding_dimension",
        ),
        (
            json!({"provider_id": "nothing"}),
            ErrorKind::InvalidRequest,
            "provider_id",
        ),
        (
            json!({"chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0}}}),
            ErrorKind::InvalidRequest,
            "chunking_strategy.static.max_chunk_size_tokens",
        ),
    ] {
        let made: CreateStore = serde_json::from_value(request.clone()).unwrap();
        let error = server.stores.create(&context(), made).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (kind, Some(param)), "{request}: {error}");
    }
    // Nothing was made on the way.
    assert!(server.around.index.ids().await.is_empty());
    let secretive = CreateStore {
        embedding_model: Some("secretive".to_owned()),
        ..CreateStore::default()
    };
    let store = server.stores.create(&context(), secretive).await.unwrap();
    assert_eq!(store.embedding_dimension, model::DIMENSION);
    server.stop().await;
    let several = VectorStoreSettings {
        default_provider_id: Some("elsewhere".to_owned()),
        ..VectorStoreSettings::default()
    };
    let server = Server::with(&place, Default::default(), several).await;
    let error = server
        .stores
        .create(&context(), CreateStore::default())
        .await
        .unwrap_err();
    assert_eq!(error.param(), Some("provider_id"));
    server.stop().await;
}

fn days(days: u32) -> StoreExpiry {
    StoreExpiry {
        anchor: StoreExpiryAnchor::LastActiveAt,
        days,
    }
}

/// A day is long: stores are said to have been made and used long ago.
async fn age(server: &Server, place: &Place, update: &'static str) {
    let table = place.table_name("stores");
    let database = server.jobs.database().await.unwrap();
    database.write(table.sql(update), vec![]).await.unwrap();
}
