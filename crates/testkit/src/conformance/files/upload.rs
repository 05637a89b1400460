//! Uploads, and what becomes of those that fail.

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, future, stream};
use puna_api::{
    ByteRange, Error, ErrorKind, ExpiresAfter, ExpiryAnchor, File, FileDetails, FileObject, FilePurpose, FileQuery,
    FileStatus, FileUpload, Files, Result,
};
use tokio::sync::oneshot;

use super::super::outcome::{Failure, Verdict, ensure, ensure_eq, expect_error, expect_named};
use super::{Act, FilesSubject, trials};
use crate::host::context;

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials!(
        "upload",
        a_file_comes_back_as_it_went,
        bytes_may_come_before_the_rest,
        an_upload_that_fails_leaves_nothing,
        an_upload_that_is_dropped_leaves_nothing,
        a_time_to_go_is_kept,
        many_uploads_at_once_are_all_kept,
        a_deleted_file_is_gone,
        an_unknown_id_is_not_found,
    )
}

/// What is known of a file of this name.
pub(super) fn details(filename: &str) -> FileDetails {
    FileDetails {
        filename: filename.to_owned(),
        purpose: FilePurpose::UserData,
        expires_after: None,
    }
}

/// Uploads some bytes.
pub(super) async fn keep(files: &dyn Files, details: FileDetails, bytes: &[u8]) -> Result<File> {
    let pieces: Vec<_> = bytes
        .chunks(7001)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    files
        .upload(&context(), FileUpload::new(details, stream::iter(pieces).boxed()))
        .await
}

/// Reads a file's bytes.
pub(super) async fn read(files: &dyn Files, id: &str, range: Option<ByteRange>) -> Result<Vec<u8>> {
    let content = files.content(&context(), id, range).await?;
    Ok(content.content.try_collect::<Vec<Bytes>>().await?.concat())
}

/// How many files there are.
async fn count(subject: &FilesSubject) -> Result<usize> {
    let query = FileQuery {
        limit: 1000,
        ..FileQuery::default()
    };
    Ok(subject.files.list(&context(), query).await?.files.len())
}

async fn a_file_comes_back_as_it_went(subject: FilesSubject) -> Verdict {
    let long = "x".repeat(1024);
    let every_byte: Vec<u8> = (0..=255).collect();
    for (name, bytes) in [
        ("plain.txt", b"hello".to_vec()),
        ("empty", Vec::new()),
        ("../../etc/passwd", b"a path".to_vec()),
        ("/absolute/path\\and\\back", b"paths".to_vec()),
        ("..", b"dots".to_vec()),
        ("Ärger '\";-- 🦙.pdf", every_byte.repeat(4096)),
        (long.as_str(), b"long".to_vec()),
    ] {
        let before = seconds();
        let file = keep(&*subject.files, details(name), &bytes).await?;
        let expected = File {
            id: file.id.clone(),
            object: FileObject::File,
            bytes: bytes.len() as u64,
            created_at: file.created_at,
            expires_at: None,
            filename: name.to_owned(),
            purpose: FilePurpose::UserData,
            status: FileStatus::Processed,
            status_details: None,
        };
        ensure_eq!(file, expected, "the answer to the upload");
        ensure!(
            (before..=seconds()).contains(&file.created_at),
            "it was uploaded at {}, which is not now",
            file.created_at
        );
        ensure!(file.id.starts_with("file-"), "the id is `{}`", file.id);
        ensure_eq!(
            subject.files.get(&context(), &file.id).await?,
            file,
            "what is known of it"
        );
        ensure!(
            read(&*subject.files, &file.id, None).await? == bytes,
            "the bytes of `{name}` differ"
        );
    }
    Ok(())
}

fn seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// An upload whose details are known when its bytes have come.
fn backwards(outcome: Result<FileDetails>) -> FileUpload {
    let (told, details) = oneshot::channel();
    let last = stream::once(async move {
        let _ = told.send(outcome);
        Ok(Bytes::from_static(b"lo"))
    });
    FileUpload {
        content: stream::iter([Ok(Bytes::from_static(b"hel"))]).chain(last).boxed(),
        details: async {
            details
                .await
                .map_err(|_| Error::internal("the content was not read to its end"))?
        }
        .boxed(),
    }
}

async fn bytes_may_come_before_the_rest(subject: FilesSubject) -> Verdict {
    let file = subject
        .files
        .upload(&context(), backwards(Ok(details("late.txt"))))
        .await?;
    ensure_eq!(file.filename, "late.txt", "the name");
    ensure_eq!(read(&*subject.files, &file.id, None).await?, b"hello", "the bytes");
    Ok(())
}

async fn an_upload_that_fails_leaves_nothing(subject: FilesSubject) -> Verdict {
    let upload = async |upload| subject.files.upload(&context(), upload).await;
    let broken = stream::iter([Ok(Bytes::from_static(b"hel")), Err(Error::too_large("too long"))]).boxed();
    expect_error(
        upload(FileUpload::new(details("a"), broken)).await,
        &[ErrorKind::TooLarge],
        "a content that fails",
    )?;
    let missing = Error::invalid_request("`purpose` is missing").with_param("purpose");
    expect_named(
        upload(backwards(Err(missing))).await,
        &[ErrorKind::InvalidRequest],
        "purpose",
        "an upload without a purpose",
    )?;
    for (wrong, param) in [
        (details(""), "file"),
        (details("a\u{0}b"), "file"),
        (details(&"x".repeat(1025)), "file"),
        (expiring(3599), "expires_after.seconds"),
        (expiring(2_592_001), "expires_after.seconds"),
    ] {
        let outcome = upload(backwards(Ok(wrong.clone()))).await;
        expect_named(outcome, &[ErrorKind::InvalidRequest], param, &format!("{wrong:?}"))?;
    }
    ensure_eq!(count(&subject).await?, 0, "the number of files");
    Ok(())
}

async fn an_upload_that_is_dropped_leaves_nothing(subject: FilesSubject) -> Verdict {
    let (reached, stalls) = oneshot::channel();
    let stalled = stream::iter([Ok(Bytes::from_static(b"hel"))]).chain(stream::once(async move {
        let _ = reached.send(());
        future::pending().await
    }));
    let context = context();
    let upload = subject
        .files
        .upload(&context, FileUpload::new(details("a"), stalled.boxed()));
    tokio::select! {
        outcome = upload => return Err(Failure::from(format!("an upload ended before its content: {outcome:?}"))),
        _ = stalls => {}
    }
    ensure_eq!(count(&subject).await?, 0, "the number of files");
    Ok(())
}

fn expiring(seconds: u32) -> FileDetails {
    FileDetails {
        expires_after: Some(ExpiresAfter {
            anchor: ExpiryAnchor::CreatedAt,
            seconds,
        }),
        ..details("a")
    }
}

async fn a_time_to_go_is_kept(subject: FilesSubject) -> Verdict {
    for seconds in [3600, 2_592_000] {
        let file = keep(&*subject.files, expiring(seconds), b"x").await?;
        ensure_eq!(
            file.expires_at,
            Some(file.created_at + u64::from(seconds)),
            "when it goes"
        );
        ensure_eq!(
            subject.files.get(&context(), &file.id).await?,
            file,
            "what is known of it"
        );
    }
    Ok(())
}

async fn many_uploads_at_once_are_all_kept(subject: FilesSubject) -> Verdict {
    let uploads = (0..20_u8).map(|number| {
        let files = &subject.files;
        async move {
            let bytes = vec![number; 50_000];
            let file = keep(&**files, details(&number.to_string()), &bytes).await?;
            ensure!(
                read(&**files, &file.id, None).await? == bytes,
                "the bytes of {number} differ"
            );
            Ok(())
        }
    });
    let verdicts: Vec<Verdict> = future::join_all(uploads).await;
    verdicts.into_iter().collect::<Verdict>()?;
    ensure_eq!(count(&subject).await?, 20, "the number of files");
    Ok(())
}

async fn a_deleted_file_is_gone(subject: FilesSubject) -> Verdict {
    let file = keep(&*subject.files, details("a"), b"hello").await?;
    let other = keep(&*subject.files, details("a"), b"hello").await?;
    subject.files.delete(&context(), &file.id).await?;
    check_not_there(&subject, &file.id).await?;
    ensure_eq!(count(&subject).await?, 1, "the number of files");
    ensure_eq!(
        read(&*subject.files, &other.id, None).await?,
        b"hello",
        "the other one's bytes"
    );
    Ok(())
}

async fn an_unknown_id_is_not_found(subject: FilesSubject) -> Verdict {
    let long = "x".repeat(5000);
    for id in [
        "",
        "file-0",
        "file-00000000000000000000000000000000",
        "../files_metadata",
        "%",
        "file-\u{0}",
        &long,
    ] {
        check_not_there(&subject, id).await?;
    }
    keep(&*subject.files, details("a"), b"hello").await?;
    for id in ["", "file-00000000000000000000000000000000", "%", "file-\u{0}"] {
        check_not_there(&subject, id).await?;
    }
    Ok(())
}

async fn check_not_there(subject: &FilesSubject, id: &str) -> Verdict {
    let (files, context) = (&subject.files, context());
    let kinds = &[ErrorKind::NotFound];
    expect_named(
        files.get(&context, id).await,
        kinds,
        "file_id",
        "asking for a file that is not there",
    )?;
    expect_named(
        files.content(&context, id, None).await,
        kinds,
        "file_id",
        "asking for its bytes",
    )?;
    expect_named(files.delete(&context, id).await, kinds, "file_id", "deleting it")
}
