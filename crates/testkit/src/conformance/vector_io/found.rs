//! Checks of what a search answered.

use std::collections::BTreeSet;

use puna_api::{Chunk, ScoredChunk};

use crate::conformance::outcome::{Failure, Verdict, ensure, ensure_eq};

/// How far two scores of the same may lie apart, for their size.
pub(super) fn is_about(one: f32, other: f32) -> bool {
    (one - other).abs() <= 2e-4 * one.abs().max(other.abs()).max(1.0)
}

/// The ids, in their order.
pub(super) fn ids(found: &[ScoredChunk]) -> Vec<&str> {
    found.iter().map(|found| found.chunk.chunk_id.as_str()).collect()
}

/// The ids and scores, in their order.
pub(super) fn scores(found: &[ScoredChunk]) -> Vec<(String, f32)> {
    found
        .iter()
        .map(|found| (found.chunk.chunk_id.clone(), found.score))
        .collect()
}

/// Checks that the best come first, those of equal score by their ids, and none twice.
pub(super) fn in_order(found: &[ScoredChunk]) -> Verdict {
    for pair in found.windows(2) {
        let (one, other) = (&pair[0], &pair[1]);
        let right = one.score > other.score || (one.score == other.score && one.chunk.chunk_id < other.chunk.chunk_id);
        ensure!(
            right,
            "`{}` with {} comes before `{}` with {}",
            one.chunk.chunk_id,
            one.score,
            other.chunk.chunk_id,
            other.score
        );
    }
    let different: BTreeSet<_> = ids(found).into_iter().collect();
    ensure_eq!(different.len(), found.len(), "the number of different chunks");
    Ok(())
}

/// Checks that these are the ids and scores, but for rounding, which may also turn neighbours around.
pub(super) fn are(found: &[ScoredChunk], expected: &[(String, f32)], what: &str) -> Verdict {
    in_order(found)?;
    ensure_eq!(found.len(), expected.len(), "{what}: the number of chunks");
    for (at, (found, (expected_id, expected_score))) in found.iter().zip(expected).enumerate() {
        let id = &found.chunk.chunk_id;
        ensure!(
            is_about(found.score, *expected_score),
            "{what}: place {at} has `{id}` with {}, expected `{expected_id}` with {expected_score}",
            found.score
        );
        let fits = |(other_id, score): &(String, f32)| other_id == id && is_about(*score, found.score);
        // The last place may hold another one of about the same score, which is not in the list.
        let is_last_score = expected.last().is_some_and(|(_, last)| is_about(*last, found.score));
        ensure!(
            expected.iter().any(fits) || is_last_score,
            "{what}: place {at} has `{id}`, expected `{expected_id}`"
        );
    }
    Ok(())
}

/// Checks that a chunk came back as it was put in, but for the rounding of its vector.
pub(super) fn is_whole(chunk: &Chunk, expected: &Chunk) -> Verdict {
    let about = |one: &[f32], other: &[f32]| {
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_about(*one, *other))
    };
    ensure!(
        about(&chunk.vector, &expected.vector),
        "the vector of `{}`: got {:?}, expected {:?}",
        expected.chunk_id,
        chunk.vector,
        expected.vector
    );
    let vector = expected.vector.clone();
    ensure_eq!(
        Chunk {
            vector,
            ..chunk.clone()
        },
        *expected,
        "a chunk"
    );
    Ok(())
}

/// The only one found.
pub(super) fn only(mut found: Vec<ScoredChunk>) -> Result<ScoredChunk, Failure> {
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (_, others) => Err(format!("expected one chunk, got {others} others").into()),
    }
}
