//! Searches by both.

use puna_api::{ChunkQuery, ErrorKind, Fusion, SearchChunks, SearchMode};

use super::found::{are, ids, in_order, scores};
use super::material::{chunk, clustered};
use super::subject::{Subject, search};
use super::trial::{Need, Trial, trial};
use crate::conformance::outcome::{Verdict, ensure, ensure_eq, expect_named};

pub(super) fn trials() -> Vec<Trial> {
    const HYBRID: Need = Need::Mode(SearchMode::Hybrid);
    const VECTOR: Need = Need::Mode(SearchMode::Vector);
    const KEYWORD: Need = Need::Mode(SearchMode::Keyword);
    vec![
        trial!("hybrid", is_the_fusion_of_both_lists, HYBRID, VECTOR, KEYWORD),
        trial!("hybrid", finds_what_either_finds, HYBRID),
        trial!("hybrid", a_threshold_keeps_lower_scores_out, HYBRID),
        trial!("hybrid", text_without_words_adds_nothing, HYBRID),
        trial!("hybrid", a_fusion_that_makes_no_sense_is_refused, HYBRID),
        trial!("hybrid", a_query_of_another_dimension_is_refused, HYBRID),
    ]
}

fn hybrid(vector: &[f32], text: &str, fusion: Fusion) -> ChunkQuery {
    ChunkQuery::Hybrid {
        vector: vector.to_vec(),
        text: text.to_owned(),
        fusion,
    }
}

async fn is_the_fusion_of_both_lists(subject: Subject) -> Verdict {
    let mut chunks = clustered(500, 8, 12);
    for (number, chunk) in chunks.iter_mut().enumerate() {
        let [three, five] = [3, 5].map(|by| {
            if number % by == 0 {
                format!("by{by} ").repeat(1 + number % 4)
            } else {
                String::new()
            }
        });
        chunk.text = format!("{three}{five}{}", chunk.text);
    }
    subject.filled(subject.any_metric()?, &chunks).await?;
    let (vector, text) = (vec![0.4, -0.1, 0.3, 0.9, -0.7, 0.2, 0.1, 0.5], "by3 by5 w77");
    for fusion in [
        Fusion::default(),
        Fusion::Rrf { impact_factor: 1.0 },
        Fusion::Weighted { alpha: 0.0 },
        Fusion::Weighted { alpha: 0.3 },
        Fusion::Weighted { alpha: 1.0 },
    ] {
        for limit in [1, 10, 60] {
            let depth = Fusion::depth(limit);
            let by_vector = scores(&subject.find(ChunkQuery::Vector(vector.clone()), depth).await?);
            let by_words = scores(&subject.find(ChunkQuery::Keyword(text.to_owned()), depth).await?);
            let expected = fusion.fuse(&by_vector, &by_words);
            let found = subject.find(hybrid(&vector, text, fusion), limit).await?;
            are(&found, &expected[..limit], &format!("the best {limit} by {fusion:?}"))?;
        }
    }
    Ok(())
}

async fn finds_what_either_finds(subject: Subject) -> Verdict {
    let mut chunks = clustered(300, 4, 13);
    chunks.push(chunk("near", &[50.0, 0.0, 0.0, 0.0], "nothing of note"));
    chunks.push(chunk("named", &[-50.0, 0.0, 0.0, 0.0], "the needle"));
    subject.filled(subject.any_metric()?, &chunks).await?;
    let query = hybrid(&[50.0, 0.0, 0.0, 0.0], "needle", Fusion::default());
    let found = subject.find(query, 2).await?;
    in_order(&found)?;
    let mut found = ids(&found);
    found.sort_unstable();
    ensure_eq!(found, ["named", "near"], "the best two");
    Ok(())
}

async fn a_threshold_keeps_lower_scores_out(subject: Subject) -> Verdict {
    let chunks = clustered(50, 4, 14);
    subject.filled(subject.any_metric()?, &chunks).await?;
    for fusion in [Fusion::default(), Fusion::Weighted { alpha: 0.5 }] {
        let query = hybrid(&[0.1, 0.2, 0.3, 0.4], "words w7", fusion);
        let all = scores(&subject.find(query.clone(), 20).await?);
        let request = SearchChunks {
            score_threshold: Some(all[5].1),
            ..search(query, 20)
        };
        let found = scores(&subject.search(request).await?);
        let expected: Vec<_> = all.iter().filter(|(_, score)| *score >= all[5].1).cloned().collect();
        ensure_eq!(found, expected, "what is at least the sixth by {fusion:?}");
    }
    Ok(())
}

async fn text_without_words_adds_nothing(subject: Subject) -> Verdict {
    let chunks = clustered(50, 4, 15);
    subject.filled(subject.any_metric()?, &chunks).await?;
    for text in ["", "\"*\" ()"] {
        let found = subject
            .find(hybrid(&[0.1, 0.2, 0.3, 0.4], text, Fusion::default()), 10)
            .await?;
        let expected: Vec<f32> = (1..=10_u8).map(|rank| 1.0 / (60.0 + f32::from(rank))).collect();
        let found: Vec<f32> = found.iter().map(|found| found.score).collect();
        ensure!(
            found.len() == 10
                && found
                    .iter()
                    .zip(&expected)
                    .all(|(one, other)| (one - other).abs() < 1e-6),
            "the scores of ranks alone: {found:?}"
        );
    }
    Ok(())
}

async fn a_fusion_that_makes_no_sense_is_refused(subject: Subject) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 2.0], "words")])
        .await?;
    for (fusion, field) in [
        (Fusion::Rrf { impact_factor: 0.0 }, "impact_factor"),
        (Fusion::Rrf { impact_factor: -1.0 }, "impact_factor"),
        (
            Fusion::Rrf {
                impact_factor: f32::NAN,
            },
            "impact_factor",
        ),
        (Fusion::Weighted { alpha: 1.01 }, "alpha"),
        (Fusion::Weighted { alpha: -0.1 }, "alpha"),
        (Fusion::Weighted { alpha: f32::NAN }, "alpha"),
    ] {
        let outcome = subject.find(hybrid(&[1.0, 2.0], "words", fusion), 1).await;
        expect_named(outcome, &[ErrorKind::InvalidRequest], field, &format!("{fusion:?}"))?;
    }
    Ok(())
}

async fn a_query_of_another_dimension_is_refused(subject: Subject) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 2.0], "words")])
        .await?;
    let outcome = subject.find(hybrid(&[1.0], "words", Fusion::default()), 1).await;
    expect_named(
        outcome,
        &[ErrorKind::InvalidRequest],
        "vector",
        "a vector of dimension 1",
    )
}
