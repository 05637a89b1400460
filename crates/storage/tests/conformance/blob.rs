//! Blobs, over every store.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use puna_api::{BoxStream, Error, ErrorKind, Result};
use puna_storage::{BlobKey, BlobStore};

use crate::place::BlobPlace;
use crate::{Act, acts};

pub(crate) fn acts() -> Vec<(&'static str, Act<BlobPlace>)> {
    acts![
        what_was_put_comes_back_with_its_digest,
        a_range_is_answered,
        a_content_beyond_the_bound_leaves_nothing,
        a_content_that_fails_leaves_nothing,
        a_writer_that_goes_leaves_nothing,
        a_blob_is_replaced_whole,
        what_is_deleted_is_gone,
        keys_are_listed_in_order,
        what_is_not_there_is_not_found,
    ]
}

pub(crate) fn key(text: &str) -> BlobKey {
    BlobKey::new(text).unwrap()
}

/// This many bytes in pieces that are no multiple of anything.
fn content(bytes: &Bytes) -> BoxStream<Result<Bytes>> {
    const PIECE: usize = 100_003;
    let pieces: Vec<_> = (0..bytes.len().div_ceil(PIECE))
        .map(|index| Ok(bytes.slice(index * PIECE..bytes.len().min((index + 1) * PIECE))))
        .collect();
    stream::iter(pieces).boxed()
}

fn random(length: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

async fn read(store: &dyn BlobStore, name: &str) -> Result<Vec<u8>> {
    let blob = store.get(&key(name), None).await?;
    blob.content
        .try_fold(Vec::new(), |mut whole, piece| async move {
            whole.extend_from_slice(&piece);
            Ok(whole)
        })
        .await
}

async fn what_was_put_comes_back_with_its_digest(place: BlobPlace) {
    let store = place.open().await;
    // An empty one, a small one, one that an object store gets in one piece, and one in several parts.
    for (length, name) in [(0, "a"), (1, "b/c"), (8 << 20, "b/d"), ((20 << 20) + 7, "b/e/f")] {
        let bytes = random(length);
        let info = store.put(&key(name), content(&bytes), 100 << 20).await.unwrap();
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((info.size, info.sha256), (length as u64, digest));
        let again = place.open().await;
        assert_eq!(again.size(&key(name)).await.unwrap(), Some(length as u64));
        assert!(read(&*again, name).await.unwrap() == bytes, "{name}");
    }
}

async fn a_range_is_answered(place: BlobPlace) {
    let store = place.open().await;
    let bytes = random(1_000_000);
    store.put(&key("a"), content(&bytes), 1_000_000).await.unwrap();
    for range in [
        0..1_u64,
        10..20,
        999_999..1_000_000,
        5..1_000_000,
        7..7,
        999_000..2_000_000,
    ] {
        let blob = store.get(&key("a"), Some(range.clone())).await.unwrap();
        assert_eq!(blob.size, 1_000_000);
        let pieces: Vec<Bytes> = blob.content.try_collect().await.unwrap();
        let end = (range.end as usize).min(bytes.len());
        assert!(pieces.concat() == bytes[range.start as usize..end], "{range:?}");
    }
}

async fn a_content_beyond_the_bound_leaves_nothing(place: BlobPlace) {
    let store = place.open().await;
    for length in [1001, 20 << 20] {
        let error = store
            .put(&key("a"), content(&random(length)), 1000.max(length as u64 - 1))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(store.size(&key("a")).await.unwrap(), None);
    }
    assert_eq!(place.files(), 0);
    store.put(&key("a"), content(&random(1000)), 1000).await.unwrap();
}

async fn a_content_that_fails_leaves_nothing(place: BlobPlace) {
    let store = place.open().await;
    for length in [10, 20 << 20] {
        let broken = content(&random(length)).chain(stream::iter([Err(Error::cancelled("the client went away"))]));
        let error = store.put(&key("a"), broken.boxed(), 100 << 20).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(store.size(&key("a")).await.unwrap(), None);
    }
    assert_eq!(place.files(), 0);
}

async fn a_writer_that_goes_leaves_nothing(place: BlobPlace) {
    let store = place.open().await;
    // Told when the content has been read up to the place where it stalls.
    let (reached, stalls) = tokio::sync::oneshot::channel();
    let stalled = content(&random(20 << 20)).chain(stream::once(async move {
        let _ = reached.send(());
        std::future::pending().await
    }));
    let name = key("a");
    tokio::select! {
        _ = store.put(&name, stalled.boxed(), 100 << 20) => panic!("the content never ends"),
        _ = stalls => {}
    }
    assert_eq!(store.size(&key("a")).await.unwrap(), None);
    // The object store is told in the background.
    for _ in 0..1000 {
        if place.files() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(place.files(), 0);
}

async fn a_blob_is_replaced_whole(place: BlobPlace) {
    let store = place.open().await;
    store.put(&key("a"), content(&random(300_000)), 1 << 20).await.unwrap();
    let broken = content(&random(200_000)).chain(stream::iter([Err(Error::cancelled("the client went away"))]));
    store.put(&key("a"), broken.boxed(), 1 << 20).await.unwrap_err();
    assert!(read(&*store, "a").await.unwrap() == random(300_000));
    store.put(&key("a"), content(&random(10)), 1 << 20).await.unwrap();
    assert!(read(&*store, "a").await.unwrap() == random(10));
}

async fn what_is_deleted_is_gone(place: BlobPlace) {
    let store = place.open().await;
    store.put(&key("a/b"), content(&random(10)), 10).await.unwrap();
    assert!(store.delete(&key("a/b")).await.unwrap());
    assert!(!store.delete(&key("a/b")).await.unwrap());
    assert_eq!(store.size(&key("a/b")).await.unwrap(), None);
}

async fn keys_are_listed_in_order(place: BlobPlace) {
    let store = place.open().await;
    let names = ["a", "files/1", "files/10", "files/2", "files/x/y", "filesystem", "z"];
    for name in names.iter().rev() {
        store.put(&key(name), content(&random(1)), 1).await.unwrap();
    }
    let list = async |prefix: Option<&str>, after: Option<&str>, limit| {
        let page = store
            .list(prefix.map(key).as_ref(), after.map(key).as_ref(), limit)
            .await
            .unwrap();
        let names: Vec<_> = page.keys.iter().map(|key| key.as_str().to_owned()).collect();
        (names.join(" "), page.has_more)
    };
    assert_eq!(list(None, None, 100).await, (names.join(" "), false));
    assert_eq!(
        list(Some("files"), None, 2).await,
        ("files/1 files/10".to_owned(), true)
    );
    assert_eq!(
        list(Some("files"), Some("files/10"), 2).await,
        ("files/2 files/x/y".to_owned(), false)
    );
    assert_eq!(list(Some("nothing"), None, 2).await, (String::new(), false));
}

async fn what_is_not_there_is_not_found(place: BlobPlace) {
    let store = place.open().await;
    for name in ["a", "a/b"] {
        assert_eq!(
            store.get(&key(name), None).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            store.get(&key(name), Some(3..3)).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(store.size(&key(name)).await.unwrap(), None);
    }
}
