//! Indexes are made, kept apart and removed.

use puna_api::{ChunkSelection, ErrorKind, Metric};

use super::found::{ids, only};
use super::material::chunk;
use super::subject::{INDEX, Subject};
use super::trial::{Need, Trial, trial};
use crate::conformance::outcome::{Verdict, ensure, ensure_eq, expect_error, expect_named};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!("indexes", made_again_nothing_changes),
        trial!("indexes", another_dimension_is_a_conflict),
        trial!(
            "indexes",
            another_metric_is_a_conflict,
            Need::Metric(Metric::Cosine),
            Need::Metric(Metric::L2)
        ),
        trial!("indexes", made_at_once_there_is_one),
        trial!("indexes", deleted_it_is_gone),
        trial!("indexes", deleted_and_made_again_it_is_empty),
        trial!("indexes", a_missing_one_is_not_found),
        trial!("indexes", deletions_of_and_in_a_missing_one_succeed),
        trial!("indexes", know_nothing_of_each_other),
        trial!("indexes", ids_of_odd_characters_are_kept_apart),
        trial!("indexes", ids_of_other_characters_are_refused),
        trial!("indexes", a_dimension_out_of_bounds_is_refused),
    ]
}

async fn made_again_nothing_changes(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    subject.filled(metric, &[chunk("a", &[1.0, 2.0], "words")]).await?;
    subject.create(2, metric).await?;
    ensure_eq!(
        subject.list("of a", None, 10).await?.chunks.len(),
        1,
        "the chunks there"
    );
    Ok(())
}

async fn another_dimension_is_a_conflict(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    subject.create(2, metric).await?;
    expect_error(
        subject.create(3, metric).await,
        &[ErrorKind::Conflict],
        "another dimension",
    )?;
    subject.upsert(vec![chunk("a", &[1.0, 2.0], "words")]).await?;
    Ok(())
}

async fn another_metric_is_a_conflict(subject: Subject) -> Verdict {
    subject.create(2, Metric::Cosine).await?;
    expect_error(
        subject.create(2, Metric::L2).await,
        &[ErrorKind::Conflict],
        "another metric",
    )?;
    Ok(())
}

async fn made_at_once_there_is_one(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    let made = futures::future::join_all((0..8).map(|_| subject.create(2, metric))).await;
    made.into_iter().collect::<Result<Vec<()>, _>>()?;
    subject.upsert(vec![chunk("a", &[1.0, 2.0], "words")]).await?;
    let subject = subject.restarted().await?;
    ensure_eq!(
        subject.list("of a", None, 10).await?.chunks.len(),
        1,
        "the chunks there"
    );
    Ok(())
}

async fn deleted_it_is_gone(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    subject.filled(metric, &[chunk("a", &[1.0, 2.0], "words")]).await?;
    subject.delete_index(INDEX).await?;
    for query in subject.queries(&[1.0, 2.0], "words") {
        expect_error(
            subject.find(query, 1).await,
            &[ErrorKind::NotFound],
            "a search in a deleted index",
        )?;
    }
    let subject = subject.restarted().await?;
    let outcome = subject.list("of a", None, 1).await;
    expect_error(
        outcome,
        &[ErrorKind::NotFound],
        "a list of a deleted index after a restart",
    )?;
    Ok(())
}

async fn deleted_and_made_again_it_is_empty(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    subject.filled(metric, &[chunk("a", &[1.0, 2.0], "words")]).await?;
    for _ in 0..3 {
        subject.delete_index(INDEX).await?;
        subject.create(3, metric).await?;
        ensure_eq!(
            subject.list("of a", None, 10).await?.chunks.len(),
            0,
            "the chunks there"
        );
        for query in subject.queries(&[1.0, 2.0, 3.0], "words") {
            ensure_eq!(
                ids(&subject.find(query, 10).await?),
                Vec::<&str>::new(),
                "what is found"
            );
        }
        subject.upsert(vec![chunk("a", &[1.0, 2.0, 3.0], "words")]).await?;
        subject.delete_index(INDEX).await?;
        subject.create(2, metric).await?;
    }
    Ok(())
}

async fn a_missing_one_is_not_found(subject: Subject) -> Verdict {
    let outcome = subject.upsert(vec![chunk("a", &[1.0, 2.0], "words")]).await;
    let error = expect_error(outcome, &[ErrorKind::NotFound], "chunks for a missing index")?;
    ensure!(
        error.message().contains(INDEX),
        "the message does not name it: {error:?}"
    );
    let outcome = subject.upsert(Vec::new()).await;
    expect_error(outcome, &[ErrorKind::NotFound], "no chunks for a missing index")?;
    let outcome = subject.list("of a", None, 1).await;
    expect_error(outcome, &[ErrorKind::NotFound], "a list of a missing index")?;
    for query in subject.queries(&[1.0, 2.0], "words") {
        let outcome = subject.find(query, 1).await;
        expect_error(outcome, &[ErrorKind::NotFound], "a search in a missing index")?;
    }
    Ok(())
}

async fn deletions_of_and_in_a_missing_one_succeed(subject: Subject) -> Verdict {
    subject.delete_index(INDEX).await?;
    let chunks = ChunkSelection::Chunks(vec!["a".to_owned()]);
    subject.delete(INDEX, chunks).await?;
    let document = ChunkSelection::Document("of a".to_owned());
    subject.delete(INDEX, document).await?;
    Ok(())
}

async fn know_nothing_of_each_other(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    subject.create_as("one", 2, metric).await?;
    subject.create_as("other", 3, metric).await?;
    subject
        .upsert_to("one", vec![chunk("a", &[1.0, 2.0], "words of one")])
        .await?;
    subject
        .upsert_to("other", vec![chunk("a", &[1.0, 2.0, 3.0], "words of the other")])
        .await?;
    let chunks = ChunkSelection::Chunks(vec!["a".to_owned()]);
    subject.delete("one", chunks).await?;
    ensure_eq!(subject.list_in("one", "of a", None, 10).await?.chunks.len(), 0, "one");
    let left = subject.list_in("other", "of a", None, 10).await?.chunks;
    ensure_eq!(left.len(), 1, "the other");
    ensure_eq!(left[0].text, "words of the other", "its text");
    subject.delete_index("one").await?;
    ensure_eq!(
        subject.list_in("other", "of a", None, 10).await?.chunks.len(),
        1,
        "the other"
    );
    Ok(())
}

async fn ids_of_odd_characters_are_kept_apart(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    let long = "x".repeat(128);
    let odd = [
        ".",
        "..",
        "...",
        "-",
        "--",
        "-rf",
        "_",
        "a",
        "A",
        "a.b",
        "a_b",
        "a-b",
        "con",
        "index.sqlite",
        ".hidden",
        &long,
    ];
    for id in odd {
        subject.create_as(id, 2, metric).await?;
        subject.upsert_to(id, vec![chunk("c", &[1.0, 2.0], id)]).await?;
    }
    let subject = subject.restarted().await?;
    for id in odd {
        let chunks = subject.list_in(id, "of c", None, 10).await?.chunks;
        let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
        ensure_eq!(texts, [id], "the chunks of `{id}`");
        subject.delete_index(id).await?;
    }
    Ok(())
}

async fn ids_of_other_characters_are_refused(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    let long = "x".repeat(129);
    for id in [
        "", "a/b", "../a", "/etc/a", "a\\b", "a b", "a\0", "ä", "a:b", "a\n", &long,
    ] {
        let outcome = subject.create_as(id, 2, metric).await;
        expect_named(
            outcome,
            &[ErrorKind::InvalidRequest],
            "index_id",
            &format!("an index of the id {id:?}"),
        )?;
    }
    Ok(())
}

async fn a_dimension_out_of_bounds_is_refused(subject: Subject) -> Verdict {
    let metric = subject.any_metric()?;
    for dimension in [0, 65_537, u32::MAX] {
        let outcome = subject.create(dimension, metric).await;
        let what = format!("an index of dimension {dimension}");
        expect_named(outcome, &[ErrorKind::InvalidRequest], "dimension", &what)?;
    }
    subject.create(1, metric).await?;
    subject.upsert(vec![chunk("a", &[1.0], "words")]).await?;
    for query in subject.queries(&[2.0], "words") {
        only(subject.find(query, 5).await?)?;
    }
    Ok(())
}
