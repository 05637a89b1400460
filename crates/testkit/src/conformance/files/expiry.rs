//! Files whose time comes.

use std::time::Duration;

use puna_api::{ErrorKind, FileQuery};

use super::super::outcome::{Verdict, ensure, ensure_eq};
use super::upload::{details, keep};
use super::{Act, FilesSubject, trials};
use crate::host::context;

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials!("expiry", a_file_whose_time_has_come_is_not_found)
}

async fn a_file_whose_time_has_come_is_not_found(subject: FilesSubject) -> Verdict {
    let file = keep(&*subject.files, details("a"), b"x").await?;
    ensure!(file.expires_at.is_some(), "the file has no time to go: {file:?}");
    // Ends with the patience of the trial at the latest.
    loop {
        match subject.files.get(&context(), &file.id).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => {
                ensure_eq!(error.kind(), ErrorKind::NotFound, "the kind of the error");
                break;
            }
        }
    }
    let query = FileQuery {
        limit: 10,
        ..FileQuery::default()
    };
    ensure!(
        subject.files.list(&context(), query).await?.files.is_empty(),
        "the list still has it"
    );
    let content = subject.files.content(&context(), &file.id, None).await;
    ensure!(content.is_err(), "its bytes are still answered");
    Ok(())
}
