//! Attributes of files that are changed.

use puna_api::{Attributes, ErrorKind};
use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{AttachFile, FilesQuery, SearchStore};
use serde_json::{Value, json};

use crate::server::Server;

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        new_attributes_are_what_filters_look_at,
        attributes_of_a_file_that_is_being_ingested_are_the_last_ones,
        attributes_are_bounded,
    ]
}

fn attributes(wire: Value) -> Attributes {
    serde_json::from_value(wire).unwrap()
}

fn search(filters: &Value) -> SearchStore {
    serde_json::from_value(json!({"query": "cat", "filters": filters})).unwrap()
}

async fn new_attributes_are_what_filters_look_at(place: Place) {
    let server = Server::start(&place).await;
    let text: Vec<String> = (0..20).map(|number| format!("the cat {number}")).collect();
    let store = server.filled(&[("a", &text.join("\n\n")), ("b", "a cat")]).await;
    let page = server
        .stores
        .files(&context(), &store.id, &FilesQuery::default())
        .await
        .unwrap();
    let file_id = &page.data[1].id;
    let new = attributes(json!({"year": 2024, "draft": true}));
    let file = server
        .stores
        .set_file_attributes(&context(), &store.id, file_id, new.clone())
        .await
        .unwrap();
    assert_eq!(file.attributes, new);
    let filter = json!({"type": "and", "filters": [
        {"type": "gte", "key": "year", "value": 2024}, {"type": "eq", "key": "draft", "value": true},
    ]});
    let found = server
        .stores
        .search(&context(), &store.id, search(&filter))
        .await
        .unwrap();
    assert_eq!(found.data.len(), 10);
    assert!(
        found
            .data
            .iter()
            .all(|hit| hit.attributes == new && hit.file_id == *file_id)
    );
    let other = attributes(json!({"year": 1999}));
    server
        .stores
        .set_file_attributes(&context(), &store.id, file_id, other)
        .await
        .unwrap();
    assert!(server.found(&store.id, search(&filter)).await.is_empty());
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 21);
    server.stop().await;
}

async fn attributes_of_a_file_that_is_being_ingested_are_the_last_ones(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let file_id = server.upload("a", "the cat waits").await;
    server
        .stores
        .attach(&context(), &store.id, AttachFile::new(&file_id))
        .await
        .unwrap();
    // It may be read with the old ones or the new ones.
    tokio::task::yield_now().await;
    let new = attributes(json!({"k": "new"}));
    server
        .stores
        .set_file_attributes(&context(), &store.id, &file_id, new)
        .await
        .unwrap();
    server.around.reader.gate.add_permits(1);
    server.settled(&store.id).await;
    let filter = json!({"type": "eq", "key": "k", "value": "new"});
    let is_found = async || (server.found(&store.id, search(&filter)).await.len() == 1).then_some(());
    server.until(is_found).await;
    server.stop().await;
}

async fn attributes_are_bounded(place: Place) {
    let server = Server::start(&place).await;
    let store = server.filled(&[("a", "the cat")]).await;
    let page = server
        .stores
        .files(&context(), &store.id, &FilesQuery::default())
        .await
        .unwrap();
    let file_id = &page.data[0].id;
    let many: Attributes = (0..17).map(|number| (format!("k{number}"), 1.0.into())).collect();
    for (wrong, param) in [
        (many, "attributes".to_owned()),
        (attributes(json!({"k": "x".repeat(513)})), "attributes.k".to_owned()),
        (
            attributes(json!({"x".repeat(65): 1})),
            format!("attributes.{}", "x".repeat(64)),
        ),
    ] {
        let set = server
            .stores
            .set_file_attributes(&context(), &store.id, file_id, wrong)
            .await;
        let error = set.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some(param.as_str())),
            "{error}"
        );
    }
    let missing = server
        .stores
        .set_file_attributes(&context(), &store.id, "file-0", Attributes::new())
        .await;
    assert_eq!(missing.unwrap_err().param(), Some("file_id"));
    server.stop().await;
}
