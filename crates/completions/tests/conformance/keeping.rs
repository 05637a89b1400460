//! What is kept, for how long, and what becomes of it.

use puna_api::{ErrorKind, SortOrder};
use puna_completions::{CompletionQuery, MessageQuery, Metadata};
use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::{Value, json};

use crate::server::{Asked, Server, read};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        what_is_asked_for_is_there_when_the_answer_is,
        what_is_not_asked_for_is_seen_by_who_reads,
        a_server_that_ends_writes_what_waits,
        metadata_are_replaced,
        what_is_deleted_is_gone,
        what_was_never_kept_is_not_found,
        what_cannot_be_written_harms_nothing_else,
        strange_texts_are_kept,
    ]
}

async fn what_is_asked_for_is_there_when_the_answer_is(place: Place) {
    let (server, other) = (Server::over(&place), Server::over(&place));
    let id = server.keep(&Asked::default()).await.unwrap();
    // Another server knows nothing of this one's queue.
    let document = read(&other.store.get(&id).await.unwrap());
    assert_eq!(document["id"], id);
    assert_eq!(document["choices"][0]["message"]["content"], "hi");
    assert_eq!(document["input_messages"], json!([{ "role": "user", "content": "hi" }]));
    let page = MessageQuery {
        limit: 10,
        ..MessageQuery::default()
    };
    let messages = other.store.messages(&id, &page).await.unwrap();
    assert_eq!(messages.messages[0].id, format!("{id}-0"));
}

async fn what_is_not_asked_for_is_seen_by_who_reads(place: Place) {
    let server = Server::over(&place);
    for number in 0..200 {
        let asked = Asked {
            content: number.to_string(),
            is_asked: false,
            ..Asked::default()
        };
        let id = server.keep(&asked).await.unwrap();
        if number % 20 == 0 {
            server.store.get(&id).await.unwrap();
        }
    }
    let query = CompletionQuery {
        limit: 1000,
        order: SortOrder::Asc,
        ..CompletionQuery::default()
    };
    let list = server.store.list(&query).await.unwrap();
    let contents: Vec<_> = list
        .completions
        .iter()
        .map(|stored| read(stored)["input_messages"][0]["content"].clone())
        .collect();
    let expected: Vec<_> = (0..200).map(|number| Value::from(number.to_string())).collect();
    assert_eq!(contents, expected);
}

async fn a_server_that_ends_writes_what_waits(place: Place) {
    let server = Server::over(&place);
    let mut ids = Vec::new();
    for _ in 0..300 {
        let asked = Asked {
            is_asked: false,
            ..Asked::default()
        };
        ids.push(server.keep(&asked).await.unwrap());
    }
    server.stop().await;
    let query = CompletionQuery {
        limit: 1000,
        order: SortOrder::Asc,
        ..CompletionQuery::default()
    };
    assert_eq!(Server::over(&place).ids(&query).await, (ids, false));
}

async fn metadata_are_replaced(place: Place) {
    let server = Server::over(&place);
    let asked = Asked {
        metadata: json!({ "a": "1", "b": "2" }),
        ..Asked::default()
    };
    let id = server.keep(&asked).await.unwrap();
    let other = server.keep(&asked).await.unwrap();
    let with = |metadata: &Value| CompletionQuery {
        limit: 10,
        order: SortOrder::Asc,
        metadata: Metadata::parse(&metadata.to_string()).unwrap(),
        ..CompletionQuery::default()
    };
    let metadata = Metadata::parse(r#"{"b":"3"}"#).unwrap();
    let updated = server.store.update(&id, &metadata).await.unwrap();
    assert_eq!(read(&updated)["metadata"], json!({ "b": "3" }));
    assert_eq!(Server::over(&place).store.get(&id).await.unwrap(), updated);
    assert_eq!(server.ids(&with(&json!({ "b": "3" }))).await.0, [id.as_str()]);
    assert_eq!(server.ids(&with(&json!({ "a": "1" }))).await.0, [other.as_str()]);
    let none = server.store.update(&id, &Metadata::default()).await.unwrap();
    assert_eq!(read(&none)["metadata"], json!({}));
    assert!(server.ids(&with(&json!({ "b": "3" }))).await.0.is_empty());
}

async fn what_is_deleted_is_gone(place: Place) {
    let server = Server::over(&place);
    let asked = Asked {
        metadata: json!({ "a": "1" }),
        ..Asked::default()
    };
    let id = server.keep(&asked).await.unwrap();
    server.store.delete(&id).await.unwrap();
    let query = CompletionQuery {
        limit: 10,
        metadata: Metadata::parse(r#"{"a":"1"}"#).unwrap(),
        ..CompletionQuery::default()
    };
    assert_eq!(server.ids(&query).await, (Vec::new(), false));
    is_not_found(&place, &id).await;
}

async fn is_not_found(place: &Place, id: &str) {
    let store = Server::over(place).store;
    let page = MessageQuery {
        limit: 1,
        ..MessageQuery::default()
    };
    for error in [
        store.get(id).await.unwrap_err(),
        store.delete(id).await.unwrap_err(),
        store.messages(id, &page).await.unwrap_err(),
        store.update(id, &Metadata::default()).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::NotFound, Some("completion_id")),
            "{id}"
        );
    }
}

async fn what_was_never_kept_is_not_found(place: Place) {
    let id = format!("chatcmpl-{}", "0".repeat(32));
    is_not_found(&place, &id).await;
    is_not_found(&place, "../etc").await;
    assert_eq!(
        Server::over(&place)
            .ids(&CompletionQuery {
                limit: 5,
                ..CompletionQuery::default()
            })
            .await,
        (Vec::new(), false)
    );
    let made = std::fs::read_dir(place.folder()).unwrap().count();
    assert_eq!(made, 0, "something was opened although nothing was kept");
    Server::over(&place).keep(&Asked::default()).await.unwrap();
    is_not_found(&place, &id).await;
}

async fn what_cannot_be_written_harms_nothing_else(place: Place) {
    let server = Server::over(&place);
    // Not what a provider may answer, and found out only when the record is made of it.
    let broken = server.record(&Asked::default());
    let chunk = puna_api::Json::from_bytes(r#"{"choices":5}"#);
    let broken = broken.stream(Box::pin(futures::stream::iter([Ok(chunk)])));
    let broken = futures::StreamExt::collect::<Vec<_>>(broken);
    let (ids, broken) = futures::join!(
        async {
            let mut ids = Vec::new();
            for _ in 0..5 {
                ids.push(server.keep(&Asked::default()).await.unwrap());
            }
            ids
        },
        broken
    );
    let error = broken.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    let query = CompletionQuery {
        limit: 10,
        order: SortOrder::Asc,
        ..CompletionQuery::default()
    };
    assert_eq!(server.ids(&query).await, (ids, false));
}

async fn strange_texts_are_kept(place: Place) {
    let server = Server::over(&place);
    let strange = "\u{0}\u{feff}\u{1f999}\"\\\n${env.X}; DROP TABLE t; --";
    let asked = Asked {
        model: "m\0\"'",
        content: strange.to_owned(),
        metadata: json!({ "\u{1f999}' OR 1=1 --": "%_\\" }),
        ..Asked::default()
    };
    let id = server.keep(&asked).await.unwrap();
    let document = read(&server.store.get(&id).await.unwrap());
    assert_eq!(document["input_messages"][0]["content"], strange);
    assert_eq!(document["metadata"], asked.metadata);
    let query = CompletionQuery {
        limit: 10,
        metadata: Metadata::parse(&asked.metadata.to_string()).unwrap(),
        ..CompletionQuery::default()
    };
    assert_eq!(server.ids(&query).await.0, [id]);
    let query = CompletionQuery {
        limit: 10,
        model: Some("m\0\"'".to_owned()),
        ..CompletionQuery::default()
    };
    assert!(server.ids(&query).await.0.is_empty());
}
