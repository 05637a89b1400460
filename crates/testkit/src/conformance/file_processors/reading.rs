//! What is read, from where, and by which signs.

use std::io::{Seek, Write};

use bytes::Bytes;
use futures::StreamExt;
use puna_api::{Api, Error, ErrorKind, FileSource, ProcessFile};

use super::super::record;
use super::subject::{Act, Subject, file, long_text, trials, whole_text};
use crate::conformance::outcome::{Verdict, ensure, ensure_eq, expect_error};

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials![
        "reading",
        its_type_says_where_it_works,
        its_sample_configuration_is_valid,
        an_unknown_configuration_key_is_refused,
        every_configuration_key_is_documented,
        without_a_strategy_the_text_is_whole,
        a_wrong_name_and_media_type_do_no_harm,
        memory_file_and_stream_are_alike,
        a_stream_that_fails_ends_the_work,
    ]
}

/// The trials of each sample.
pub(super) fn sample_trials() -> Vec<(&'static str, Act)> {
    trials!["sample", is_read_by_what_is_in_it, cut_in_half_it_does_no_harm]
}

async fn its_type_says_where_it_works(subject: Subject) -> Verdict {
    record::its_type_says_where_it_works(&subject.provider, Api::FileProcessors)
}

async fn its_sample_configuration_is_valid(subject: Subject) -> Verdict {
    record::its_sample_configuration_is_valid(&subject.provider)
}

async fn an_unknown_configuration_key_is_refused(subject: Subject) -> Verdict {
    record::an_unknown_configuration_key_is_refused(&subject.provider)
}

async fn every_configuration_key_is_documented(subject: Subject) -> Verdict {
    record::every_configuration_key_is_documented(&subject.provider)
}

async fn without_a_strategy_the_text_is_whole(subject: Subject) -> Verdict {
    let processed = subject.read(long_text()).await?;
    let text = whole_text(&processed)?;
    ensure_eq!(text.trim(), long_text().trim(), "the text");
    let [chunk] = processed.chunks.as_slice() else {
        return Err("not one chunk".into());
    };
    ensure_eq!(chunk.position, 0, "the position");
    ensure_eq!(
        chunk.end - chunk.start,
        text.chars().count() as u64,
        "the length in characters"
    );
    ensure!(chunk.tokens > 0, "a text without tokens");
    Ok(())
}

async fn a_wrong_name_and_media_type_do_no_harm(subject: Subject) -> Verdict {
    for (name, media_type) in [
        ("report.pdf", "application/pdf"),
        ("archive.zip", "application/zip"),
        ("../../etc/passwd", "text/plain"),
        ("", ""),
        ("🦙\u{0}\n.png", "not a media type"),
    ] {
        let request = ProcessFile {
            name: Some(name.to_owned()),
            media_type: Some(media_type.to_owned()),
            ..file("Llamas live in the puna.")
        };
        let processed = subject.process(request).await?;
        ensure_eq!(
            whole_text(&processed)?.trim(),
            "Llamas live in the puna.",
            "the text of a file called {name:?}"
        );
    }
    Ok(())
}

async fn memory_file_and_stream_are_alike(subject: Subject) -> Verdict {
    let text = long_text();
    let expected = subject.read(text.clone()).await?;
    let mut kept = tempfile::tempfile()?;
    kept.write_all(text.as_bytes())?;
    kept.rewind()?;
    let pieces: Vec<Result<Bytes, Error>> = text
        .as_bytes()
        .chunks(1000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    for content in [
        FileSource::File(kept),
        FileSource::Stream(futures::stream::iter(pieces).boxed()),
    ] {
        let what = format!("the answer from {content:?}");
        ensure_eq!(subject.process(ProcessFile::new(content)).await?, expected, "{what}");
    }
    Ok(())
}

async fn a_stream_that_fails_ends_the_work(subject: Subject) -> Verdict {
    let stream = futures::stream::iter([Ok(Bytes::from("Llamas ")), Err(Error::conflict("the file went away"))]);
    let request = ProcessFile::new(FileSource::Stream(stream.boxed()));
    let error = expect_error(
        subject.process(request).await,
        &[ErrorKind::Conflict],
        "a file that ends with an error",
    )?;
    ensure_eq!(error.message(), "the file went away", "the message");
    Ok(())
}

async fn is_read_by_what_is_in_it(subject: Subject) -> Verdict {
    let sample = subject.sample()?;
    for name in [None, Some("file.bin"), Some(sample.name)] {
        let request = ProcessFile {
            name: name.map(str::to_owned),
            media_type: name.map(|_| "application/octet-stream".to_owned()),
            ..file(sample.bytes.clone())
        };
        let processed = subject.process(request).await?;
        let text = whole_text(&processed)?;
        for words in sample.says {
            ensure!(
                text.contains(words),
                "{words:?} is not in the text of {}, named {name:?}: {text:?}",
                sample.name
            );
        }
        if name == Some(sample.name) {
            ensure_eq!(processed.document.media_type, sample.media_type, "the media type");
        }
    }
    Ok(())
}

async fn cut_in_half_it_does_no_harm(subject: Subject) -> Verdict {
    let sample = subject.sample()?;
    let half = sample.bytes[..sample.bytes.len() / 2].to_vec();
    match subject.read(half).await {
        Ok(_) => ensure!(!sample.breaks, "half of {} was read as if it were whole", sample.name),
        refused => {
            let error = expect_error(
                refused,
                &[ErrorKind::InvalidRequest, ErrorKind::Unsupported, ErrorKind::TooLarge],
                "a file that is cut off",
            )?;
            ensure_eq!(error.param(), Some("file"), "what the error names");
        }
    }
    let processed = subject.read("Llamas live in the puna.").await?;
    ensure_eq!(
        whole_text(&processed)?.trim(),
        "Llamas live in the puna.",
        "the next file"
    );
    Ok(())
}
