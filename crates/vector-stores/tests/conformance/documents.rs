//! Documents that come with a request and not as files.

use puna_testkit::acts;
use puna_testkit::context;
use puna_testkit::databases::{Act, Place};
use puna_vector_stores::{InsertDocument, SearchStore};
use serde_json::{Map, json};

use crate::server::Server;

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![a_document_takes_its_own_place]
}

fn document(id: &str, text: &str) -> InsertDocument {
    InsertDocument {
        document_id: id.to_owned(),
        content: text.to_owned().into(),
        name: None,
        media_type: None,
        chunking: None,
        metadata: Map::from_iter([("who".to_owned(), json!("me"))]),
    }
}

async fn a_document_takes_its_own_place(place: Place) {
    let server = Server::start(&place).await;
    let store = server.store().await;
    let text: Vec<String> = (0..12).map(|number| format!("the cat {number}")).collect();
    let insert = document("d1", &text.join("\n\n"));
    assert_eq!(
        server
            .stores
            .insert_document(&context(), &store.id, insert)
            .await
            .unwrap(),
        12
    );
    let chunks = server.around.index.chunks(&store.id).await;
    let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    // In the order of the text, and not of the ids.
    assert_eq!(texts, text);
    assert_eq!(chunks[0].metadata["metadata"]["who"], "me");
    let insert = document("d1", "the dog\n\nthe cow");
    assert_eq!(
        server
            .stores
            .insert_document(&context(), &store.id, insert)
            .await
            .unwrap(),
        2
    );
    assert_eq!(server.around.index.chunks(&store.id).await.len(), 2);
    server
        .stores
        .insert_document(&context(), &store.id, document("d2", "the cat"))
        .await
        .unwrap();
    let mut found = server.found(&store.id, SearchStore::new("the")).await;
    found.sort();
    assert_eq!(found, ["the cat", "the cow", "the dog"]);
    server.stop().await;
}
