//! How a text is cut.

use puna_api::{ChunkingStrategy, ErrorKind, FileChunk, ProcessFile, StaticChunking};

use super::subject::{Act, Subject, file, long_text, trials, whole_text};
use crate::conformance::outcome::{Failure, Verdict, ensure, ensure_eq, expect_named};

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials![
        "splitting",
        chunks_come_in_order_and_hold_all_of_the_text,
        no_chunk_is_over_its_bound,
        neighbours_share_no_more_than_the_overlap,
        a_chunk_stands_where_it_says,
        auto_is_at_most_800_tokens,
        a_short_text_is_one_chunk,
        bounds_that_cannot_be_are_named,
    ]
}

const BOUNDS: [StaticChunking; 3] = [
    StaticChunking {
        max_chunk_size_tokens: 100,
        chunk_overlap_tokens: 0,
    },
    StaticChunking {
        max_chunk_size_tokens: 100,
        chunk_overlap_tokens: 50,
    },
    StaticChunking {
        max_chunk_size_tokens: 333,
        chunk_overlap_tokens: 40,
    },
];

/// The characters of a text from one place to another.
fn slice(text: &str, start: u64, end: u64) -> Result<String, Failure> {
    let place =
        |place: u64| usize::try_from(place).map_err(|_| Failure::from(format!("{place} is no place in memory")));
    let (start, end) = (place(start)?, place(end)?);
    Ok(text.chars().skip(start).take(end.saturating_sub(start)).collect())
}

async fn chunks_come_in_order_and_hold_all_of_the_text(subject: Subject) -> Verdict {
    let processed = subject.read(long_text()).await?;
    let text: Vec<char> = whole_text(&processed)?.chars().collect();
    for bounds in BOUNDS {
        let chunks = subject.chunks(long_text(), bounds).await?;
        ensure!(chunks.len() > 3, "{} chunks with {bounds:?}", chunks.len());
        let mut covered = 0;
        for (position, chunk) in chunks.iter().enumerate() {
            ensure_eq!(chunk.position as usize, position, "the position of {chunk:?}");
            ensure!(
                chunk.start < chunk.end && chunk.end > covered,
                "chunk {position} brings nothing new: {chunk:?}"
            );
            let mut left_out = text.iter().take(chunk.start as usize).skip(covered as usize);
            ensure!(
                left_out.all(|character| character.is_whitespace()),
                "text is left out before chunk {position}: {chunk:?}"
            );
            covered = chunk.end;
        }
        ensure!(
            text.iter()
                .skip(covered as usize)
                .all(|character| character.is_whitespace()),
            "text is left out at the end"
        );
    }
    Ok(())
}

async fn no_chunk_is_over_its_bound(subject: Subject) -> Verdict {
    for bounds in BOUNDS {
        for chunk in subject.chunks(long_text(), bounds).await? {
            ensure!(
                (1..=bounds.max_chunk_size_tokens).contains(&chunk.tokens),
                "{} tokens with {bounds:?}: {chunk:?}",
                chunk.tokens
            );
            let alone = subject.read(chunk.text.clone()).await?;
            ensure_eq!(
                alone.chunks[0].tokens,
                chunk.tokens,
                "the tokens of the same text alone"
            );
        }
    }
    Ok(())
}

async fn neighbours_share_no_more_than_the_overlap(subject: Subject) -> Verdict {
    for bounds in BOUNDS {
        let chunks = subject.chunks(long_text(), bounds).await?;
        let mut shared = 0;
        for pair in chunks.windows(2) {
            let (before, after): (&FileChunk, &FileChunk) = (&pair[0], &pair[1]);
            if after.start >= before.end {
                continue;
            }
            let overlap = slice(&before.text, after.start - before.start, before.end - before.start)?;
            let tokens = subject.read(overlap.clone()).await?.chunks[0].tokens;
            ensure!(
                tokens <= bounds.chunk_overlap_tokens,
                "{tokens} tokens are shared with {bounds:?}: {overlap:?}"
            );
            shared += 1;
        }
        ensure_eq!(
            shared > 0,
            bounds.chunk_overlap_tokens > 0,
            "whether neighbours share anything with {bounds:?}"
        );
    }
    Ok(())
}

async fn a_chunk_stands_where_it_says(subject: Subject) -> Verdict {
    let processed = subject.read(long_text()).await?;
    let text = whole_text(&processed)?;
    ensure_eq!(
        processed.document.characters,
        text.chars().count() as u64,
        "the characters of the document"
    );
    for chunk in subject.chunks(long_text(), BOUNDS[1]).await? {
        ensure_eq!(chunk.text, slice(text, chunk.start, chunk.end)?, "the text of a chunk");
    }
    Ok(())
}

async fn auto_is_at_most_800_tokens(subject: Subject) -> Verdict {
    let request = ProcessFile {
        chunking: Some(ChunkingStrategy::Auto {}),
        ..file(long_text())
    };
    let chunks = subject.process(request).await?.chunks;
    ensure!(
        chunks.len() > 1,
        "a text of {} characters is one chunk",
        long_text().len()
    );
    for chunk in &chunks {
        ensure!(chunk.tokens <= 800, "{} tokens", chunk.tokens);
    }
    ensure!(chunks[1].start < chunks[0].end, "the chunks of `auto` share nothing");
    Ok(())
}

async fn a_short_text_is_one_chunk(subject: Subject) -> Verdict {
    let chunks = subject.chunks("Llamas live in the puna.", BOUNDS[1]).await?;
    ensure_eq!(chunks.len(), 1, "the number of chunks");
    ensure_eq!(chunks[0].text, "Llamas live in the puna.", "the text");
    Ok(())
}

async fn bounds_that_cannot_be_are_named(subject: Subject) -> Verdict {
    for (size, overlap, field) in [
        (99, 0, "max_chunk_size_tokens"),
        (4097, 0, "max_chunk_size_tokens"),
        (100, 51, "chunk_overlap_tokens"),
    ] {
        let bounds = StaticChunking {
            max_chunk_size_tokens: size,
            chunk_overlap_tokens: overlap,
        };
        let outcome = subject.chunks("Llamas", bounds).await;
        expect_named(outcome, &[ErrorKind::InvalidRequest], field, "bounds that cannot be")?;
    }
    Ok(())
}
