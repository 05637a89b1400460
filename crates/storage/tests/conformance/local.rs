//! What is the local store's own.

use std::fs;

use bytes::Bytes;
use futures::{StreamExt, stream};
use puna_storage::{BlobStore, LocalBlobs};

use crate::blob::key;
use crate::{Act, acts};

pub(crate) fn acts() -> Vec<(&'static str, Act<()>)> {
    acts![
        what_a_dead_writer_left_goes_and_what_a_living_one_writes_stays,
        a_folder_that_cannot_be_is_told,
    ]
}

async fn what_a_dead_writer_left_goes_and_what_a_living_one_writes_stays((): ()) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalBlobs::open(folder.path()).await.unwrap();
    let abandoned = folder.path().join(".incoming/0123");
    fs::write(&abandoned, "half").unwrap();
    // Stalls until the folder has been opened by another process, as it were.
    let (opened, is_open) = tokio::sync::oneshot::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let content = stream::iter([Ok(Bytes::from_static(b"be"))]).chain(stream::once(async move {
        let _ = begun.send(());
        is_open.await.unwrap();
        Ok(Bytes::from_static(b"gun"))
    }));
    let name = key("a");
    let writing = store.put(&name, content.boxed(), 100);
    let opening = async {
        has_begun.await.unwrap();
        LocalBlobs::open(folder.path()).await.unwrap();
        opened.send(()).unwrap();
    };
    let (written, ()) = tokio::join!(writing, opening);
    assert_eq!(written.unwrap().size, 5);
    assert!(!abandoned.exists());
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"begun");
    assert_eq!(fs::read_dir(folder.path().join(".incoming")).unwrap().count(), 0);
}

async fn a_folder_that_cannot_be_is_told((): ()) {
    let error = LocalBlobs::open("/dev/null/blobs").await.unwrap_err();
    assert!(error.message().contains("/dev/null/blobs"), "{error}");
}
