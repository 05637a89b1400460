//! Ranges.

use puna_api::{ByteRange, ErrorKind};

use super::super::outcome::{Verdict, ensure, ensure_eq, expect_named};
use super::upload::{details, keep, read};
use super::{Act, FilesSubject, trials};
use crate::host::context;

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials!(
        "content",
        a_range_is_answered_with_its_bytes,
        a_range_without_bytes_is_refused
    )
}

async fn a_range_is_answered_with_its_bytes(subject: FilesSubject) -> Verdict {
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let file = keep(&*subject.files, details("a"), &bytes).await?;
    for (range, start, end) in [
        (ByteRange::Between(0, 0), 0, 1),
        (ByteRange::Between(99_999, 99_999), 99_999, 100_000),
        (ByteRange::Between(10, 70_000), 10, 70_001),
        (ByteRange::Between(99_000, u64::MAX), 99_000, 100_000),
        (ByteRange::From(1), 1, 100_000),
        (ByteRange::Last(5), 99_995, 100_000),
        (ByteRange::Last(1_000_000), 0, 100_000),
    ] {
        let content = subject.files.content(&context(), &file.id, Some(range)).await?;
        ensure_eq!(
            content.range,
            start as u64..end as u64,
            "the bytes that {range:?} means"
        );
        ensure_eq!(content.file, file, "what is known of it");
        ensure!(
            read(&*subject.files, &file.id, Some(range)).await? == bytes[start..end],
            "{range:?} was answered with other bytes"
        );
    }
    Ok(())
}

async fn a_range_without_bytes_is_refused(subject: FilesSubject) -> Verdict {
    let file = keep(&*subject.files, details("a"), b"hello").await?;
    let empty = keep(&*subject.files, details("a"), b"").await?;
    for (id, range) in [
        (&file.id, ByteRange::From(5)),
        (&file.id, ByteRange::Between(7, 8)),
        (&file.id, ByteRange::Last(0)),
        (&empty.id, ByteRange::From(0)),
        (&empty.id, ByteRange::Last(1)),
    ] {
        let outcome = subject.files.content(&context(), id, Some(range)).await;
        expect_named(outcome, &[ErrorKind::InvalidRequest], "range", &format!("{range:?}"))?;
    }
    Ok(())
}
