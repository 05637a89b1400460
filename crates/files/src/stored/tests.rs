use std::cell::Cell;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use puna_api::{ErrorKind, ExpiresAfter, ExpiryAnchor, SortOrder};
use puna_storage::LocalBlobs;
use tempfile::TempDir;

use super::*;

/// A day in 2026, in seconds since 1970.
const TODAY: u64 = 1_790_000_000;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(TODAY) };
}

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn files(&self) -> StoredFiles {
        self.with_ttl(None)
    }

    fn with_ttl(&self, ttl: Option<Duration>) -> StoredFiles {
        let root = self.0.path().join("blobs");
        let files = StoredFiles::new(StoredFilesSettings {
            storage: Arc::new(Storage::in_folder(self.0.path())),
            metadata: None,
            blobs: Box::new(move || {
                let root = root.clone();
                Box::pin(async move { Ok(Arc::new(LocalBlobs::open(root).await?) as Arc<dyn BlobStore>) })
            }),
            ttl,
        });
        StoredFiles {
            clock: || NOW.get(),
            ..files
        }
    }

    /// How many blobs there are, whole or not.
    fn blobs(&self) -> usize {
        let count = |folder: &str| std::fs::read_dir(self.0.path().join(folder)).map_or(0, Iterator::count);
        // One entry is the folder of those that are not whole.
        count("blobs").saturating_sub(1) + count("blobs/.incoming")
    }
}

fn context() -> RequestContext {
    RequestContext::new("test")
}

fn upload(purpose: FilePurpose, expires_after: Option<u32>) -> FileUpload {
    let details = FileDetails {
        filename: "a.txt".to_owned(),
        purpose,
        expires_after: expires_after.map(|seconds| ExpiresAfter {
            anchor: ExpiryAnchor::CreatedAt,
            seconds,
        }),
    };
    FileUpload::new(details, stream::iter([Ok(Bytes::from_static(b"hello"))]).boxed())
}

async fn keep(files: &StoredFiles) -> File {
    files
        .upload(&context(), upload(FilePurpose::UserData, None))
        .await
        .unwrap()
}

#[tokio::test]
async fn nothing_is_opened_before_a_file_comes() {
    let place = Place::new();
    let files = place.files();
    let list = files
        .list(
            &context(),
            FileQuery {
                limit: 10,
                ..FileQuery::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(list, FileList::default());
    let id = format!("file-{}", "0".repeat(32));
    assert_eq!(
        files.get(&context(), &id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        files.delete(&context(), &id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    files.sweep_if_used().await.unwrap();
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_goes_when_its_time_has_come() {
    let place = Place::new();
    let files = place.files();
    let expiry = async |files: &StoredFiles, purpose, seconds| {
        let file = files.upload(&context(), upload(purpose, seconds)).await.unwrap();
        file.expires_at.map(|at| at - file.created_at)
    };
    assert_eq!(expiry(&files, FilePurpose::UserData, None).await, None);
    assert_eq!(expiry(&files, FilePurpose::Batch, None).await, Some(2_592_000));
    assert_eq!(expiry(&files, FilePurpose::Batch, Some(3600)).await, Some(3600));
    let short = place.with_ttl(Some(Duration::from_secs(60)));
    assert_eq!(expiry(&short, FilePurpose::UserData, None).await, Some(60));

    let file = files
        .upload(&context(), upload(FilePurpose::UserData, Some(3600)))
        .await
        .unwrap();
    NOW.set(TODAY + 3599);
    assert_eq!(files.get(&context(), &file.id).await.unwrap(), file);
    assert_eq!(place.blobs(), 5);
    NOW.set(TODAY + 3600);
    assert_eq!(
        files.get(&context(), &file.id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        files.content(&context(), &file.id, None).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        files.delete(&context(), &file.id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    // The other hour, the minute, and this one.
    assert_eq!(files.sweep().await.unwrap(), 3);
    assert_eq!(place.blobs(), 2);
    assert_eq!(files.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_cut_off_is_finished_by_the_sweep() {
    let place = Place::new();
    let files = place.files();
    let kept = keep(&files).await;
    // An upload that got as far as its blob, one that got nowhere, and a deletion that got as far as its mark.
    let parts = files.parts().await.unwrap();
    let blob = BlobKey::new("halfway").unwrap();
    parts.table.begin(&blob, TODAY).await.unwrap();
    parts
        .blobs
        .put(&blob, stream::iter([Ok(Bytes::from_static(b"half"))]).boxed(), 10)
        .await
        .unwrap();
    parts
        .table
        .begin(&BlobKey::new("nowhere").unwrap(), TODAY)
        .await
        .unwrap();
    let deleted = keep(&files).await;
    parts.table.mark(&deleted.id, TODAY).await.unwrap();

    let again = place.files();
    assert_eq!(
        again.get(&context(), &deleted.id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    // The deletion at once; the uploads may belong to a process that lives.
    assert_eq!(again.sweep().await.unwrap(), 1);
    NOW.set(TODAY + LEASE.as_secs() + 1);
    assert_eq!(again.sweep().await.unwrap(), 2);
    assert_eq!(place.blobs(), 1);
    let content = again.content(&context(), &kept.id, None).await.unwrap();
    assert_eq!(
        content.content.try_collect::<Vec<_>>().await.unwrap().concat(),
        b"hello"
    );
    // A writer that was taken for dead and was not does not bring its file back.
    assert!(!parts.table.publish(&blob, &kept, "").await.unwrap());
}

#[tokio::test]
async fn ids_are_in_the_order_of_uploads() {
    let place = Place::new();
    let files = place.files();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(keep(&files).await.id);
    }
    assert!(ids.is_sorted());
    let query = |after: &str| FileQuery {
        after: Some(after.to_owned()),
        limit: 3,
        order: SortOrder::Asc,
        purpose: None,
    };
    // The place in the list stays when its file goes.
    files.delete(&context(), &ids[4]).await.unwrap();
    let page = files.list(&context(), query(&ids[4])).await.unwrap();
    assert_eq!(
        page.files.iter().map(|file| &file.id).collect::<Vec<_>>(),
        [&ids[5], &ids[6], &ids[7]]
    );
    let error = files.list(&context(), query("../x")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("after"))
    );
}
