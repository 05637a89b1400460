//! Lists, page by page and filtered.

use puna_api::SortOrder;
use puna_completions::{CompletionQuery, Metadata};
use puna_testkit::acts;
use puna_testkit::databases::{Act, Place};
use serde_json::{Value, json};

use crate::server::{Asked, Server};

pub(crate) fn acts() -> Vec<(&'static str, Act)> {
    acts![
        a_list_is_walked_in_both_directions,
        filters_hold_together,
        long_completions_come_few_at_a_time,
        a_place_in_a_list_is_an_id,
    ]
}

fn query(order: SortOrder) -> CompletionQuery {
    CompletionQuery {
        limit: 2,
        order,
        ..CompletionQuery::default()
    }
}

async fn walk(server: &Server, mut query: CompletionQuery) -> Vec<String> {
    let mut walked = Vec::new();
    loop {
        let (ids, has_more) = server.ids(&query).await;
        query.after = ids.last().cloned();
        walked.extend(ids);
        if !has_more {
            return walked;
        }
    }
}

async fn a_list_is_walked_in_both_directions(place: Place) {
    let server = Server::over(&place);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(server.keep(&Asked::default()).await.unwrap());
    }
    assert!(ids.is_sorted(), "ids are in the order of time");
    assert_eq!(walk(&server, query(SortOrder::Asc)).await, ids);
    // The place stays when the completion goes.
    server.store.delete(&ids[2]).await.unwrap();
    let after = CompletionQuery {
        after: Some(ids[2].clone()),
        ..query(SortOrder::Desc)
    };
    assert_eq!(server.ids(&after).await, (vec![ids[1].clone(), ids[0].clone()], false));
    ids.remove(2);
    ids.reverse();
    assert_eq!(walk(&server, query(SortOrder::Desc)).await, ids);
}

async fn filters_hold_together(place: Place) {
    let server = Server::over(&place);
    let all: Value = (0..16)
        .map(|number| (format!("k{number}"), json!("v")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut ids = Vec::new();
    for (model, metadata) in [
        ("m", json!({ "a": "1" })),
        ("m", json!({ "a": "1", "b": "2" })),
        ("n", json!({ "a": "1", "b": "2" })),
        ("m", json!({ "a": "2", "b": "1" })),
        ("m", all.clone()),
    ] {
        let asked = Asked {
            model,
            metadata,
            ..Asked::default()
        };
        ids.push(server.keep(&asked).await.unwrap());
    }
    let found = async |model: Option<&str>, metadata: &Value, expected: &[usize]| {
        let query = CompletionQuery {
            model: model.map(str::to_owned),
            metadata: Metadata::parse(&metadata.to_string()).unwrap(),
            ..query(SortOrder::Asc)
        };
        let expected: Vec<_> = expected.iter().map(|place| ids[*place].clone()).collect();
        assert_eq!(walk(&server, query).await, expected, "{model:?} {metadata}");
    };
    found(Some("m"), &json!({}), &[0, 1, 3, 4]).await;
    found(Some("M"), &json!({}), &[]).await;
    found(None, &json!({ "a": "1" }), &[0, 1, 2]).await;
    found(None, &json!({ "a": "1", "b": "2" }), &[1, 2]).await;
    found(Some("n"), &json!({ "b": "2" }), &[2]).await;
    found(None, &json!({ "b": "1" }), &[3]).await;
    found(None, &json!({ "1": "a" }), &[]).await;
    // As many as there may be.
    found(Some("m"), &all, &[4]).await;
}

async fn long_completions_come_few_at_a_time(place: Place) {
    let server = Server::over(&place);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let asked = Asked {
            content: "x".repeat(9 << 20),
            ..Asked::default()
        };
        ids.push(server.keep(&asked).await.unwrap());
    }
    let all = CompletionQuery {
        limit: 100,
        ..query(SortOrder::Asc)
    };
    // Each is there twice, in the request and in the answer.
    assert_eq!(server.ids(&all).await, (ids[..1].to_vec(), true));
    assert_eq!(walk(&server, all).await, ids);
}

async fn a_place_in_a_list_is_an_id(place: Place) {
    let server = Server::over(&place);
    for after in ["x", "", "chatcmpl-7", "chatcmpl-\0", "../a"] {
        let query = CompletionQuery {
            after: Some(after.to_owned()),
            ..query(SortOrder::Asc)
        };
        let error = server.store.list(&query).await.unwrap_err();
        assert_eq!(error.param(), Some("after"), "{after:?}");
    }
}
