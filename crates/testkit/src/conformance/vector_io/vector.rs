//! Searches by vectors.

use puna_api::{ChunkQuery, ErrorKind, Metric, SearchChunks, SearchMode};

use super::found::{are, ids, in_order, is_about, scores};
use super::material::{chunk, clustered, ranked, vector};
use super::subject::{Subject, search};
use super::trial::{Need, Trial, trial};
use crate::conformance::outcome::{Verdict, ensure, ensure_eq, expect_named};

pub(super) fn trials() -> Vec<Trial> {
    const VECTOR: Need = Need::Mode(SearchMode::Vector);
    vec![
        trial!("vector", cosine_finds_the_nearest, VECTOR, Need::Metric(Metric::Cosine)),
        trial!("vector", dot_finds_the_nearest, VECTOR, Need::Metric(Metric::Dot)),
        trial!("vector", l2_finds_the_nearest, VECTOR, Need::Metric(Metric::L2)),
        trial!("vector", cosine_with_zeros_is_0, VECTOR, Need::Metric(Metric::Cosine)),
        trial!("vector", answers_no_more_than_asked_for, VECTOR),
        trial!("vector", a_threshold_keeps_lower_scores_out, VECTOR),
        trial!("vector", equal_scores_come_by_their_ids, VECTOR),
        trial!("vector", among_many_most_of_the_nearest_are_found, VECTOR),
        trial!("vector", vectors_that_all_look_alike_are_told_apart, VECTOR),
        trial!("vector", what_was_deleted_leaves_room_for_others, VECTOR),
        trial!("vector", a_query_of_another_dimension_is_refused, VECTOR),
        trial!("vector", a_threshold_that_is_no_number_is_refused, VECTOR),
    ]
}

async fn finds_the_nearest(subject: &Subject, metric: Metric) -> Verdict {
    // Vectors of different lengths, for which the metrics differ.
    let mut chunks = clustered(400, 12, 3);
    for (number, chunk) in chunks.iter_mut().enumerate() {
        let length = 0.2 + (number % 7) as f32;
        chunk.vector.iter_mut().for_each(|value| *value *= length);
    }
    subject.filled(metric, &chunks).await?;
    let mut random = fastrand::Rng::with_seed(4);
    for round in 0..10 {
        let query = vector(&mut random, 12);
        let expected = ranked(metric, &query, &chunks);
        for limit in [1, 10, 400, 1000] {
            let found = subject.find(ChunkQuery::Vector(query.clone()), limit).await?;
            let what = format!("the best {limit} by {} in round {round}", metric.name());
            are(&found, &expected[..limit.min(400)], &what)?;
        }
    }
    Ok(())
}

async fn cosine_finds_the_nearest(subject: Subject) -> Verdict {
    finds_the_nearest(&subject, Metric::Cosine).await
}

async fn dot_finds_the_nearest(subject: Subject) -> Verdict {
    finds_the_nearest(&subject, Metric::Dot).await
}

async fn l2_finds_the_nearest(subject: Subject) -> Verdict {
    finds_the_nearest(&subject, Metric::L2).await
}

async fn cosine_with_zeros_is_0(subject: Subject) -> Verdict {
    let chunks = [
        chunk("along", &[2.0, 0.0], "a"),
        chunk("against", &[-3.0, 0.0], "b"),
        chunk("zeros", &[0.0, 0.0], "c"),
    ];
    subject.filled(Metric::Cosine, &chunks).await?;
    let found = subject.find(ChunkQuery::Vector(vec![1.0, 0.0]), 3).await?;
    let expected = [("along", 1.0), ("zeros", 0.0), ("against", -1.0)];
    are(
        &found,
        &expected.map(|(id, score)| (id.to_owned(), score)),
        "the chunks",
    )?;
    let found = subject.find(ChunkQuery::Vector(vec![0.0, 0.0]), 3).await?;
    ensure_eq!(ids(&found), ["against", "along", "zeros"], "a query of zeros");
    ensure!(found.iter().all(|found| found.score == 0.0), "its scores: {found:?}");
    Ok(())
}

async fn answers_no_more_than_asked_for(subject: Subject) -> Verdict {
    let chunks = clustered(50, 4, 5);
    subject.filled(subject.any_metric()?, &chunks).await?;
    for limit in [1, 7, 50, 51, 100_000] {
        let found = subject.find(ChunkQuery::Vector(vec![1.0; 4]), limit).await?;
        ensure_eq!(
            found.len(),
            limit.min(50),
            "the number of chunks for a limit of {limit}"
        );
        in_order(&found)?;
    }
    Ok(())
}

async fn a_threshold_keeps_lower_scores_out(subject: Subject) -> Verdict {
    for metric in subject.capabilities().metrics {
        let chunks = clustered(60, 4, 6);
        subject.filled(*metric, &chunks).await?;
        let query = ChunkQuery::Vector(vec![0.5, -0.5, 0.25, 0.75]);
        let all = scores(&subject.find(query.clone(), 60).await?);
        for threshold in [
            all[20].1,
            all[59].1 - 1.0,
            all[0].1 + 1.0,
            f32::NEG_INFINITY,
            f32::INFINITY,
        ] {
            let request = SearchChunks {
                score_threshold: Some(threshold),
                ..search(query.clone(), 40)
            };
            let found = scores(&subject.search(request).await?);
            let expected: Vec<(String, f32)> = all[..40]
                .iter()
                .filter(|(_, score)| *score >= threshold)
                .cloned()
                .collect();
            ensure_eq!(found, expected, "what is at least {threshold} by {}", metric.name());
        }
        subject.delete_index(super::subject::INDEX).await?;
    }
    Ok(())
}

async fn equal_scores_come_by_their_ids(subject: Subject) -> Verdict {
    let mut names: Vec<String> = (0..300).map(|number| format!("n{number:03}")).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut names);
    let mut chunks: Vec<_> = names.iter().map(|name| chunk(name, &[0.375, 0.5], "same")).collect();
    chunks.push(chunk("best", &[3.0, 4.0], "same"));
    chunks.push(chunk("last", &[-3.0, -4.0], "same"));
    for metric in subject.capabilities().metrics {
        subject.filled(*metric, &chunks).await?;
        for limit in [1, 10, 200, 302] {
            let found = subject.find(ChunkQuery::Vector(vec![3.0, 4.0]), limit).await?;
            in_order(&found)?;
            // By cosine the best is no better than the others, and comes first by its id.
            let mut expected: Vec<String> = (0..300).map(|number| format!("n{number:03}")).collect();
            expected.insert(0, "best".to_owned());
            expected.push("last".to_owned());
            ensure_eq!(ids(&found), expected[..limit], "the best {limit} by {}", metric.name());
        }
        subject.delete_index(super::subject::INDEX).await?;
    }
    Ok(())
}

/// Checks that searches among many find at least 95 % of the ten nearest.
async fn recall(subject: &Subject, metric: Metric, chunks: &[puna_api::Chunk]) -> Verdict {
    subject.filled(metric, chunks).await?;
    let (mut hits, mut wanted) = (0, 0);
    for number in 0..20 {
        let mut query = chunks[number * 97].vector.clone();
        query[0] += 0.05;
        let nearest = &ranked(metric, &query, chunks)[..10];
        let found = subject.find(ChunkQuery::Vector(query), 10).await?;
        ensure_eq!(found.len(), 10, "the number of chunks");
        in_order(&found)?;
        wanted += nearest.len();
        hits += nearest
            .iter()
            .filter(|(id, score)| {
                let is_it = |found: &puna_api::ScoredChunk| found.chunk.chunk_id == *id;
                // One that is as near is as good.
                found.iter().any(is_it) || is_about(*score, found[9].score)
            })
            .count();
    }
    ensure!(
        hits * 100 >= wanted * 95,
        "{hits} of {wanted} nearest chunks by {} were found",
        metric.name()
    );
    subject.delete_index(super::subject::INDEX).await?;
    Ok(())
}

async fn among_many_most_of_the_nearest_are_found(subject: Subject) -> Verdict {
    let chunks = clustered(8_000, 32, 8);
    for metric in subject.capabilities().metrics {
        recall(&subject, *metric, &chunks).await?;
    }
    Ok(())
}

async fn vectors_that_all_look_alike_are_told_apart(subject: Subject) -> Verdict {
    // All in one corner, as the vectors of some models are.
    let mut chunks = clustered(8_000, 32, 9);
    for chunk in &mut chunks {
        chunk.vector.iter_mut().for_each(|value| *value = 10.0 + 0.5 * *value);
    }
    for metric in subject.capabilities().metrics {
        recall(&subject, *metric, &chunks).await?;
    }
    Ok(())
}

async fn what_was_deleted_leaves_room_for_others(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    let chunks = clustered(300, 8, 10);
    subject.filled(metric, &chunks).await?;
    for round in 0..4 {
        let (gone, _) = chunks.split_at(200);
        let gone = gone.iter().map(|chunk| chunk.chunk_id.clone()).collect();
        subject
            .delete(super::subject::INDEX, puna_api::ChunkSelection::Chunks(gone))
            .await?;
        let query = vec![0.3; 8];
        let found = subject.find(ChunkQuery::Vector(query.clone()), 300).await?;
        are(&found, &ranked(metric, &query, &chunks[200..]), "what is left")?;
        subject.upsert(chunks[..200].to_vec()).await?;
        let found = subject.find(ChunkQuery::Vector(query.clone()), 300).await?;
        are(
            &found,
            &ranked(metric, &query, &chunks),
            &format!("all, in round {round}"),
        )?;
    }
    Ok(())
}

async fn a_query_of_another_dimension_is_refused(subject: Subject) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 2.0], "words")])
        .await?;
    for query in [
        vec![],
        vec![1.0],
        vec![1.0, 2.0, 3.0],
        vec![1.0, f32::NAN],
        vec![f32::INFINITY, 1.0],
    ] {
        let what = format!("a search for {query:?}");
        let outcome = subject.find(ChunkQuery::Vector(query), 1).await;
        expect_named(outcome, &[ErrorKind::InvalidRequest], "vector", &what)?;
    }
    Ok(())
}

async fn a_threshold_that_is_no_number_is_refused(subject: Subject) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 2.0], "words")])
        .await?;
    let request = SearchChunks {
        score_threshold: Some(f32::NAN),
        ..search(ChunkQuery::Vector(vec![1.0, 2.0]), 1)
    };
    let outcome = subject.search(request).await;
    expect_named(
        outcome,
        &[ErrorKind::InvalidRequest],
        "score_threshold",
        "a threshold of NaN",
    )
}
