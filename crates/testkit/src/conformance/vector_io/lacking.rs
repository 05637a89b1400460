//! What a provider does not declare it refuses, and names it.

use puna_api::{ChunkQuery, ErrorKind, Fusion, Metric, SearchMode};

use super::material::chunk;
use super::subject::{INDEX, Subject};
use super::trial::{Need, Trial, trial};
use crate::conformance::outcome::{Verdict, expect_named};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!(
            "lacking",
            vector_search_is_refused_by_name,
            Need::NoMode(SearchMode::Vector)
        ),
        trial!(
            "lacking",
            keyword_search_is_refused_by_name,
            Need::NoMode(SearchMode::Keyword)
        ),
        trial!(
            "lacking",
            hybrid_search_is_refused_by_name,
            Need::NoMode(SearchMode::Hybrid)
        ),
        trial!("lacking", cosine_is_refused_by_name, Need::NoMetric(Metric::Cosine)),
        trial!("lacking", dot_is_refused_by_name, Need::NoMetric(Metric::Dot)),
        trial!("lacking", l2_is_refused_by_name, Need::NoMetric(Metric::L2)),
    ]
}

async fn refused(subject: &Subject, query: ChunkQuery) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 2.0], "words")])
        .await?;
    let what = format!("a search by `{}`", query.mode().name());
    let outcome = subject.find(query, 1).await;
    expect_named(outcome, &[ErrorKind::Unsupported], "search_mode", &what)
}

async fn vector_search_is_refused_by_name(subject: Subject) -> Verdict {
    refused(&subject, ChunkQuery::Vector(vec![1.0, 2.0])).await
}

async fn keyword_search_is_refused_by_name(subject: Subject) -> Verdict {
    refused(&subject, ChunkQuery::Keyword("words".to_owned())).await
}

async fn hybrid_search_is_refused_by_name(subject: Subject) -> Verdict {
    let query = ChunkQuery::Hybrid {
        vector: vec![1.0, 2.0],
        text: "words".to_owned(),
        fusion: Fusion::default(),
    };
    refused(&subject, query).await
}

async fn refused_metric(subject: &Subject, metric: Metric) -> Verdict {
    let outcome = subject.create(2, metric).await;
    expect_named(outcome, &[ErrorKind::Unsupported], "metric", "an index of this metric")?;
    // No half of it is left behind.
    subject.create_as(INDEX, 2, subject.any_metric()?).await?;
    Ok(())
}

async fn cosine_is_refused_by_name(subject: Subject) -> Verdict {
    refused_metric(&subject, Metric::Cosine).await
}

async fn dot_is_refused_by_name(subject: Subject) -> Verdict {
    refused_metric(&subject, Metric::Dot).await
}

async fn l2_is_refused_by_name(subject: Subject) -> Verdict {
    refused_metric(&subject, Metric::L2).await
}
