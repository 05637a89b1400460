use std::cell::Cell;

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use puna_api::{Api, ExpiresAfter, ExpiryAnchor, Secret, SortOrder};
use puna_http::NetworkConfig;
use puna_openai::FilesSettings;
use puna_testkit::{Fault, StubFile, StubUpstream, TestHost, context};
use tempfile::TempDir;

use super::*;

const FILES: &str = "/v1/files";

thread_local! {
    /// How far the clock has been put forward, in seconds. The stub's clock stays as it is.
    static AHEAD: Cell<u64> = const { Cell::new(0) };
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs()) + AHEAD.get()
}

struct Place {
    folder: TempDir,
    stub: StubUpstream,
    host: TestHost,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            stub: StubUpstream::start().unwrap(),
            host: TestHost::with(|host| host.apis([Api::Files])).unwrap(),
        }
    }

    /// A server over the same state.
    fn files(&self) -> OpenAiFiles {
        let upstream = FilesUpstream::new(FilesSettings {
            provider_id: "up".to_owned(),
            base_url: format!("{}/v1", self.stub.url()),
            api_key: Secret::new("sk-1".to_owned()),
            network: NetworkConfig::default(),
        });
        let files = OpenAiFiles::new(FilesParts {
            provider_id: "up".to_owned(),
            upstream: upstream.unwrap(),
            storage: Arc::new(Storage::in_folder(self.folder.path())),
            metadata: None,
            folder: Some(self.folder.path().join("blobs")),
            keeps_copies: true,
            host: self.host.host(),
        });
        OpenAiFiles { clock: now, ..files }
    }

    /// How many blobs there are, whole or not.
    fn blobs(&self) -> usize {
        let count = |folder: &str| std::fs::read_dir(self.folder.path().join(folder)).map_or(0, Iterator::count);
        // One entry is the folder of those that are not whole.
        count("blobs").saturating_sub(1) + count("blobs/.incoming")
    }
}

fn details(filename: &str, purpose: FilePurpose) -> FileDetails {
    FileDetails {
        filename: filename.to_owned(),
        purpose,
        expires_after: None,
    }
}

async fn keep(files: &OpenAiFiles, details: FileDetails) -> Result<File> {
    let content = stream::iter([Ok(Bytes::from_static(b"hello"))]).boxed();
    files.upload(&context(), FileUpload::new(details, content)).await
}

fn notes() -> FileDetails {
    details("notes.txt", FilePurpose::UserData)
}

async fn read(files: &OpenAiFiles, id: &str) -> Vec<u8> {
    let content = files.content(&context(), id, None).await.unwrap().content;
    content.try_collect::<Vec<_>>().await.unwrap().concat()
}

async fn listed(files: &OpenAiFiles) -> Vec<String> {
    let query = FileQuery {
        limit: 100,
        ..FileQuery::default()
    };
    let list = files.list(&context(), query).await.unwrap();
    list.files.into_iter().map(|file| file.id).collect()
}

fn kept_upstream(place: &Place) -> Vec<String> {
    place.stub.files().into_iter().map(|file| file.id).collect()
}

#[tokio::test]
async fn nothing_is_opened_or_called_before_a_file_comes() {
    let place = Place::new();
    let files = place.files();
    assert!(listed(&files).await.is_empty());
    assert_eq!(
        files.get(&context(), "file-abc").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    files.sweep_if_used().await.unwrap();
    assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 0);
    assert!(place.stub.requests().is_empty());
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_found_again() {
    let place = Place::new();
    let files = place.files();
    place.stub.fail(FILES, Fault::Disconnect);
    let error = keep(&files, notes()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unavailable, Some("upload_outcome_unknown"))
    );
    assert!(
        error.message().contains("whether the file arrived is not known"),
        "{error}"
    );
    // It was sent once, and the upstream has it.
    assert_eq!(place.stub.requests_to(FILES).len(), 1);
    let kept = kept_upstream(&place);
    assert_eq!(kept.len(), 1);
    place.stub.heal();

    // The server dies, and another one cannot know yet that nobody is at it any more.
    drop(files);
    let again = place.files();
    again.sweep().await.unwrap();
    assert!(listed(&again).await.is_empty());
    AHEAD.set(LEASE.as_secs() + 1);
    again.sweep().await.unwrap();
    assert_eq!(listed(&again).await, kept);
    assert_eq!(read(&again, &kept[0]).await, b"hello");
    let asked = place.stub.requests_to(FILES).pop().unwrap();
    assert_eq!(
        (asked.method.as_str(), asked.query.as_deref()),
        ("GET", Some("purpose=user_data&limit=100&order=desc"))
    );
    again.delete(&context(), &kept[0]).await.unwrap();
    assert!(kept_upstream(&place).is_empty());
    assert_eq!(place.blobs(), 0);
}

#[tokio::test]
async fn uploads_that_are_alike_are_all_found() {
    let place = Place::new();
    let files = place.files();
    place.stub.fail(FILES, Fault::Disconnect);
    keep(&files, notes()).await.unwrap_err();
    keep(&files, notes()).await.unwrap_err();
    place.stub.heal();
    AHEAD.set(LEASE.as_secs() + 1);
    files.sweep().await.unwrap();
    let (mut found, mut kept) = (listed(&files).await, kept_upstream(&place));
    found.sort();
    kept.sort();
    assert_eq!(found, kept);
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn what_may_be_somebody_elses_is_left_alone() {
    let place = Place::new();
    let files = place.files();
    place.stub.fail(FILES, Fault::Disconnect);
    keep(&files, notes()).await.unwrap_err();
    place.stub.heal();
    place.stub.keep_file(StubFile::new("notes.txt", "user_data", "world"));
    AHEAD.set(LEASE.as_secs() + 1);
    files.sweep().await.unwrap();
    assert!(listed(&files).await.is_empty());
    assert_eq!(kept_upstream(&place).len(), 2);
    assert_eq!(place.blobs(), 0);
    assert!(files.opened().await.unwrap().table.sending().await.unwrap().is_empty());
}

#[tokio::test]
async fn another_file_is_not_taken_for_one_that_was_lost() {
    let place = Place::new();
    let files = place.files();
    keep(&files, notes()).await.unwrap();
    // Cut off before anything was sent.
    let opened = files.opened().await.unwrap();
    let blob = BlobKey::new("lost").unwrap();
    opened.table.begin(&blob, now()).await.unwrap();
    let content = stream::iter([Ok(Bytes::from_static(b"hello"))]).boxed();
    opened.blobs.put(&blob, content, 10).await.unwrap();
    let lost = Sending {
        blob,
        details: notes(),
        bytes: 5,
        sent_at: now(),
        touched_at: now(),
    };
    assert!(opened.table.send(&lost).await.unwrap());
    // Of another name, of another size, and too early.
    place.stub.keep_file(StubFile::new("others.txt", "user_data", "hello"));
    place.stub.keep_file(StubFile::new("notes.txt", "user_data", "hello!"));
    place.stub.keep_file(StubFile {
        created_at: now() - 200,
        ..StubFile::new("notes.txt", "user_data", "hello")
    });
    AHEAD.set(LEASE.as_secs() + 1);
    files.sweep().await.unwrap();
    assert_eq!(listed(&files).await.len(), 1);
    assert_eq!(kept_upstream(&place).len(), 4);
    assert_eq!(place.blobs(), 1);
}

#[tokio::test]
async fn an_upload_that_is_cut_in_the_middle_leaves_nothing() {
    let place = Place::new();
    let files = place.files();
    place.stub.fail(FILES, Fault::CutUpload(100_000));
    let pieces = (0..512).map(|_| Ok(Bytes::from(vec![b'x'; 64 << 10])));
    let upload = FileUpload::new(notes(), stream::iter(pieces.collect::<Vec<_>>()).boxed());
    let error = files.upload(&context(), upload).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, None), "{error}");
    assert_eq!(place.stub.requests_to(FILES).len(), 1);
    assert_eq!(place.blobs(), 0);
    let opened = files.opened().await.unwrap();
    assert!(opened.table.sending().await.unwrap().is_empty());
    assert!(opened.table.going().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_deleted_now_is_deleted_later() {
    let place = Place::new();
    let files = place.files();
    let first = keep(&files, notes()).await.unwrap();
    let second = keep(&files, notes()).await.unwrap();
    let path = format!("{FILES}/{}", first.id);
    place
        .stub
        .fail(&path, Fault::error(429, "slow down", "rate_limit_error", None));
    files.delete(&context(), &first.id).await.unwrap();
    files.delete(&context(), &second.id).await.unwrap();
    assert!(listed(&files).await.is_empty());
    assert_eq!(
        files.delete(&context(), &first.id).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(kept_upstream(&place), [first.id.as_str()]);
    assert_eq!(files.sweep().await.unwrap_err().kind(), ErrorKind::RateLimited);
    place.stub.heal();
    files.sweep().await.unwrap();
    assert!(kept_upstream(&place).is_empty());
    assert_eq!(place.blobs(), 0);
    // Nothing is left to do.
    let before = place.stub.requests().len();
    files.sweep().await.unwrap();
    assert_eq!(place.stub.requests().len(), before);
}

#[tokio::test]
async fn what_is_gone_upstream_can_be_deleted() {
    let place = Place::new();
    let files = place.files();
    let file = keep(&files, details("a.jsonl", FilePurpose::Batch)).await.unwrap();
    files.parts.upstream.delete(&file.id).await.unwrap();
    let error = files.content(&context(), &file.id, None).await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::NotFound, Some("file_id")));
    assert!(error.message().contains("provider `up` has no file"), "{error}");
    files.delete(&context(), &file.id).await.unwrap();
    assert!(files.opened().await.unwrap().table.going().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_goes_when_its_time_has_come() {
    let place = Place::new();
    let files = place.files();
    let after = ExpiresAfter {
        anchor: ExpiryAnchor::CreatedAt,
        seconds: 3600,
    };
    let file = keep(
        &files,
        FileDetails {
            expires_after: Some(after),
            ..notes()
        },
    );
    let file = file.await.unwrap();
    assert_eq!(file.expires_at, Some(file.created_at + 3600));
    let stays = keep(&files, notes()).await.unwrap();
    AHEAD.set(3601);
    assert_eq!(listed(&files).await, [stays.id.as_str()]);
    files.sweep().await.unwrap();
    assert_eq!(kept_upstream(&place), [stays.id.as_str()]);
    assert_eq!(place.blobs(), 1);
}

#[tokio::test]
async fn bytes_stay_here_only_where_they_cannot_be_had_again() {
    let place = Place::new();
    let files = place.files();
    for (purpose, upstream, copies) in [
        (FilePurpose::Batch, "batch", 0),
        (FilePurpose::FineTune, "fine-tune", 0),
        (FilePurpose::Assistants, "assistants", 1),
        (FilePurpose::Vision, "vision", 2),
        (FilePurpose::UserData, "user_data", 3),
        (FilePurpose::Evals, "evals", 4),
        (FilePurpose::BatchOutput, "user_data", 5),
    ] {
        let file = keep(&files, details("a.jsonl", purpose)).await.unwrap();
        assert_eq!(file.purpose, purpose);
        assert_eq!(place.stub.files().last().unwrap().purpose, upstream);
        assert_eq!(place.blobs(), copies, "{purpose:?}");
        assert_eq!(read(&files, &file.id).await, b"hello", "{purpose:?}");
    }
    // A server that died before it took the bytes away.
    let opened = files.opened().await.unwrap();
    let blob = BlobKey::new("leaving").unwrap();
    opened.table.begin(&blob, now()).await.unwrap();
    let content = stream::iter([Ok(Bytes::from_static(b"hello"))]).boxed();
    opened.blobs.put(&blob, content, 10).await.unwrap();
    let sending = Sending {
        blob,
        details: notes(),
        bytes: 5,
        sent_at: now(),
        touched_at: now(),
    };
    opened.table.send(&sending).await.unwrap();
    let mut file = files.get(&context(), &listed(&files).await[0]).await.unwrap();
    file.id = "file-other".to_owned();
    opened.table.publish(&sending.blob, &file, false, now()).await.unwrap();
    assert_eq!(place.blobs(), 6);
    files.sweep().await.unwrap();
    assert_eq!(place.blobs(), 5);
}

#[tokio::test]
async fn without_a_copy_bytes_that_are_not_given_back_are_an_error_that_says_so() {
    let place = Place::new();
    let files = place.files();
    let file = keep(&files, details("a.pdf", FilePurpose::Assistants)).await.unwrap();
    // The copy lies with a server that shares no folder with this one.
    std::fs::remove_dir_all(place.folder.path().join("blobs")).unwrap();
    let error = files.content(&context(), &file.id, None).await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::Unsupported, Some("file_id")));
    for said in [
        &file.id,
        "`assistants`",
        "Not allowed to download files",
        "`keep_copies`",
    ] {
        assert!(error.message().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_place_in_the_list_is_remembered_for_a_day() {
    let place = Place::new();
    let files = place.files();
    let first = keep(&files, notes()).await.unwrap();
    let second = keep(&files, notes()).await.unwrap();
    files.delete(&context(), &first.id).await.unwrap();
    let after = || FileQuery {
        after: Some(first.id.clone()),
        limit: 10,
        order: SortOrder::Asc,
        purpose: None,
    };
    AHEAD.set(86_000);
    files.sweep().await.unwrap();
    let list = files.list(&context(), after()).await.unwrap();
    assert_eq!(list.files, [second]);
    AHEAD.set(86_500);
    files.sweep().await.unwrap();
    let error = files.list(&context(), after()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("after"))
    );
}
