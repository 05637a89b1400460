//! Keys and values, over every database.

use std::collections::BTreeSet;

use futures::future::join_all;
use puna_api::ErrorKind;

use crate::place::Place;
use crate::{Act, acts};

pub(crate) fn acts() -> Vec<(&'static str, Act<Place>)> {
    acts![
        what_was_put_is_there_after_opening_again,
        one_of_many_wins,
        a_revision_is_never_seen_twice,
        keys_are_listed_in_the_order_of_their_bytes,
        namespaces_are_apart,
        a_bad_key_is_refused,
    ]
}

async fn what_was_put_is_there_after_opening_again(place: Place) {
    let store = place.kv("a").await;
    assert_eq!(store.get("k").await.unwrap(), None);
    let bytes: Vec<u8> = (0..=255).collect();
    store.put("k", "first").await.unwrap();
    let revision = store.put("k", bytes.clone()).await.unwrap();
    store.put("empty", "").await.unwrap();
    let again = place.kv("a").await;
    let entry = again.get("k").await.unwrap().unwrap();
    assert_eq!(
        (entry.key.as_str(), entry.value, entry.revision),
        ("k", bytes, revision)
    );
    assert_eq!(again.get("empty").await.unwrap().unwrap().value, b"");
    assert!(again.delete("k").await.unwrap());
    assert!(!store.delete("k").await.unwrap());
    assert_eq!(store.get("k").await.unwrap(), None);
}

async fn one_of_many_wins(place: Place) {
    let stores = [place.kv("a").await, place.kv("a").await];
    // Each adds 1 to a number ten times, against all others.
    let count = |store| async move {
        let store: &puna_storage::KvStore = store;
        for _ in 0..10 {
            loop {
                let seen = store.get("n").await.unwrap();
                let number = seen.as_ref().map_or(0, |entry| entry.value[0]);
                let revision = seen.map(|entry| entry.revision);
                if store
                    .compare_and_set("n", revision, vec![number + 1])
                    .await
                    .unwrap()
                    .is_some()
                {
                    break;
                }
            }
        }
    };
    join_all(stores.iter().chain(&stores).map(count)).await;
    assert_eq!(stores[0].get("n").await.unwrap().unwrap().value, [40]);
}

async fn a_revision_is_never_seen_twice(place: Place) {
    let store = place.kv("a").await;
    let first = store.compare_and_set("k", None, "1").await.unwrap().unwrap();
    assert_eq!(store.compare_and_set("k", None, "2").await.unwrap(), None);
    store.delete("k").await.unwrap();
    assert_eq!(store.compare_and_set("k", Some(first), "3").await.unwrap(), None);
    let second = store.put("k", "1").await.unwrap();
    assert_eq!(store.compare_and_set("k", Some(first), "3").await.unwrap(), None);
    assert!(store.compare_and_set("k", Some(second), "3").await.unwrap().is_some());
}

async fn keys_are_listed_in_the_order_of_their_bytes(place: Place) {
    let store = place.kv("a").await;
    let keys = [
        "m/%",
        "m/A",
        "m/_",
        "m/a",
        "m/a/b",
        "m/ä",
        "m/\u{10ffff}",
        "m",
        "l/z",
        "m0",
        "n",
    ];
    for key in keys {
        store.put(key, key).await.unwrap();
    }
    let expected: BTreeSet<_> = keys.into_iter().filter(|key| key.starts_with("m/")).collect();
    let mut walked = Vec::new();
    let mut after = None;
    loop {
        let page = store.list("m/", after.as_deref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = Some(last.key.clone());
        walked.extend(page.into_iter().map(|entry| entry.key));
    }
    assert_eq!(walked, expected.into_iter().collect::<Vec<_>>());
    assert_eq!(store.list("", None, 100).await.unwrap().len(), keys.len());
    // A place before the prefix, and one after it.
    assert_eq!(store.list("m/", Some("a"), 100).await.unwrap().len(), 7);
    assert_eq!(store.list("m/", Some("z"), 100).await.unwrap().len(), 0);
}

async fn namespaces_are_apart(place: Place) {
    let (a, b) = (place.kv("a").await, place.kv("b").await);
    a.put("k", "of a").await.unwrap();
    assert_eq!(b.get("k").await.unwrap(), None);
    assert!(b.list("", None, 10).await.unwrap().is_empty());
    assert!(!b.delete("k").await.unwrap());
    assert!(a.get("k").await.unwrap().is_some());
}

async fn a_bad_key_is_refused(place: Place) {
    let store = place.kv("a").await;
    for key in ["", "a\0b", &"x".repeat(1025)] {
        assert_eq!(store.put(key, "").await.unwrap_err().kind(), ErrorKind::InvalidRequest);
        assert_eq!(store.get(key).await.unwrap_err().kind(), ErrorKind::InvalidRequest);
    }
    store.put(&"x".repeat(1024), "").await.unwrap();
}
