//! Lists.

use puna_api::{ErrorKind, FileDetails, FilePurpose, FileQuery, Files, Result, SortOrder};

use super::super::outcome::{Verdict, ensure, ensure_eq, expect_named};
use super::upload::{details, keep};
use super::{Act, FilesSubject, trials};
use crate::host::context;

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials!(
        "list",
        an_empty_list_is_empty,
        a_walk_shows_each_file_once,
        every_purpose_is_kept_and_filters,
        a_place_that_is_no_id_is_refused
    )
}

async fn an_empty_list_is_empty(subject: FilesSubject) -> Verdict {
    let list = subject.files.list(&context(), query(10, SortOrder::Desc)).await?;
    ensure!(
        list.files.is_empty() && !list.has_more,
        "there is something in {list:?}"
    );
    Ok(())
}

fn query(limit: u32, order: SortOrder) -> FileQuery {
    FileQuery {
        after: None,
        limit,
        order,
        purpose: None,
    }
}

/// The ids of a whole walk.
async fn walk(files: &dyn Files, mut query: FileQuery) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    loop {
        let page = files.list(&context(), query.clone()).await?;
        ids.extend(page.files.into_iter().map(|file| file.id));
        if !page.has_more {
            return Ok(ids);
        }
        query.after = ids.last().cloned();
    }
}

async fn a_walk_shows_each_file_once(subject: FilesSubject) -> Verdict {
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(keep(&*subject.files, details(&number.to_string()), b"x").await?.id);
    }
    for limit in [1, 2, 3, 6, 7, 8, 10_000] {
        let oldest_first = walk(&*subject.files, query(limit, SortOrder::Asc)).await?;
        ensure_eq!(oldest_first, ids, "the oldest first, {limit} at a time");
        let mut newest_first = walk(&*subject.files, query(limit, SortOrder::Desc)).await?;
        newest_first.reverse();
        ensure_eq!(newest_first, ids, "the newest first, {limit} at a time, read backwards");
    }
    let last = subject.files.list(&context(), query(7, SortOrder::Asc)).await?;
    ensure!(!last.has_more, "there is more after the last file");
    // Where a page ended, the next one begins, even when that file has gone.
    subject.files.delete(&context(), &ids[2]).await?;
    let after = FileQuery {
        after: Some(ids[2].clone()),
        ..query(2, SortOrder::Asc)
    };
    let page = subject.files.list(&context(), after).await?;
    let rest: Vec<_> = page.files.into_iter().map(|file| file.id).collect();
    ensure_eq!(rest, ids[3..5], "what comes after a file that has gone");
    Ok(())
}

async fn every_purpose_is_kept_and_filters(subject: FilesSubject) -> Verdict {
    for purpose in FilePurpose::ALL {
        for name in ["first", "second"] {
            let details = FileDetails {
                purpose: *purpose,
                ..details(name)
            };
            let file = keep(&*subject.files, details, b"x").await?;
            ensure_eq!(file.purpose, *purpose, "the purpose");
        }
    }
    for purpose in FilePurpose::ALL {
        let query = FileQuery {
            purpose: Some(*purpose),
            ..query(1, SortOrder::Asc)
        };
        let first = subject.files.list(&context(), query.clone()).await?;
        let shown: Vec<_> = first
            .files
            .iter()
            .map(|file| (file.purpose, file.filename.as_str()))
            .collect();
        ensure_eq!(shown, [(*purpose, "first")], "the first file for {purpose:?}");
        ensure_eq!(
            walk(&*subject.files, query).await?.len(),
            2,
            "the number of files for {purpose:?}"
        );
    }
    Ok(())
}

async fn a_place_that_is_no_id_is_refused(subject: FilesSubject) -> Verdict {
    keep(&*subject.files, details("a"), b"x").await?;
    for after in ["", "x", "../a", "file-", "file-\u{0}"] {
        let query = FileQuery {
            after: Some(after.to_owned()),
            ..query(2, SortOrder::Asc)
        };
        let outcome = subject.files.list(&context(), query).await;
        expect_named(
            outcome,
            &[ErrorKind::InvalidRequest],
            "after",
            &format!("the place `{after}`"),
        )?;
    }
    Ok(())
}
