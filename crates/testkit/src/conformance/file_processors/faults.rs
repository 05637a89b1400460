//! Files that cannot be read, and work that nobody waits for.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use puna_api::{ErrorKind, FileSource, ProcessFile};
use serde_json::{Map, json};

use super::subject::{Act, Subject, file, trials};
use crate::conformance::outcome::{Verdict, ensure, ensure_eq, expect_error, expect_named};

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials![
        "faults",
        a_file_without_text_is_named,
        what_holds_no_text_is_named,
        an_unknown_option_is_named,
        dropping_the_future_ends_the_work,
    ]
}

async fn a_file_without_text_is_named(subject: Subject) -> Verdict {
    for bytes in ["", " \n\t\n ", "\u{feff}"] {
        let outcome = subject.read(bytes).await;
        expect_named(outcome, &[ErrorKind::InvalidRequest], "file", "a file without text")?;
    }
    let empty = FileSource::File(tempfile::tempfile()?);
    let outcome = subject.process(ProcessFile::new(empty)).await;
    expect_named(outcome, &[ErrorKind::InvalidRequest], "file", "an empty file")
}

async fn what_holds_no_text_is_named(subject: Subject) -> Verdict {
    let picture = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0; 64]].concat();
    let request = ProcessFile {
        name: Some("notes.txt".to_owned()),
        media_type: Some("text/plain".to_owned()),
        ..file(picture)
    };
    let error = expect_error(subject.process(request).await, &[ErrorKind::Unsupported], "a picture")?;
    ensure_eq!(error.param(), Some("file"), "what the error names");
    ensure!(
        error.message().contains("image/png"),
        "the error does not say what was found: {error:?}"
    );
    Ok(())
}

async fn an_unknown_option_is_named(subject: Subject) -> Verdict {
    let request = ProcessFile {
        options: Map::from_iter([("no_such_option".to_owned(), json!(true))]),
        ..file("Llamas")
    };
    expect_named(
        subject.process(request).await,
        &[ErrorKind::InvalidRequest, ErrorKind::Unsupported],
        "no_such_option",
        "an unknown option",
    )
}

async fn dropping_the_future_ends_the_work(subject: Subject) -> Verdict {
    let (held, gone) = futures::channel::oneshot::channel::<()>();
    let endless = futures::stream::iter([Ok(Bytes::from("Llamas "))]).chain(futures::stream::once(async move {
        let _held = held;
        futures::future::pending().await
    }));
    let work = subject.process(ProcessFile::new(FileSource::Stream(endless.boxed())));
    let patience = tokio::time::timeout(Duration::from_millis(300), work).await;
    ensure!(patience.is_err(), "a file that has not ended was answered");
    ensure!(gone.await.is_err(), "the stream outlives the request that read it");
    Ok(())
}
