//! What was acknowledged stays, and many may write and search at once.

use futures::future::{join_all, try_join_all};
use puna_api::{Chunk, ChunkSelection, Filter, Metric, SearchChunks};

use super::found::{ids, in_order, is_about, is_whole, scores};
use super::material::{chunk, clustered};
use super::subject::{INDEX, Subject, filtered};
use super::trial::{Trial, trial};
use crate::conformance::outcome::{Failure, Verdict, ensure, ensure_eq};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!("durability", all_is_there_after_a_restart),
        trial!("durability", deletions_hold_after_a_restart),
        trial!("durability", every_restart_goes_on),
        trial!("durability", a_search_after_an_answer_sees_it),
        trial!("durability", writers_and_readers_at_once),
        trial!("durability", a_dropped_request_disturbs_nobody),
    ]
}

async fn all_is_there_after_a_restart(subject: Subject) -> Verdict {
    let metrics: Vec<Metric> = subject.capabilities().metrics.to_vec();
    let mut chunks = clustered(300, 8, 20);
    for (number, chunk) in chunks.iter_mut().enumerate() {
        chunk.attributes.insert("number".to_owned(), (number as f64).into());
        chunk.metadata.insert("page".to_owned(), number.into());
    }
    for metric in &metrics {
        subject.create_as(metric.name(), 8, *metric).await?;
        subject.upsert_to(metric.name(), chunks.clone()).await?;
    }
    let mut requests = Vec::new();
    for metric in &metrics {
        for query in subject.queries(&chunks[17].vector, "words w17") {
            let filter = Filter::Gt {
                key: "number".to_owned(),
                value: 9.0,
            };
            requests.push(SearchChunks {
                index_id: metric.name().to_owned(),
                ..filtered(query, filter, 20)
            });
        }
    }
    let before = answers(&subject, &requests).await?;
    let subject = subject.restarted().await?;
    let after = answers(&subject, &requests).await?;
    ensure_eq!(after, before, "what searches find after the restart");
    for metric in &metrics {
        // It is still the same index.
        subject.create_as(metric.name(), 8, *metric).await?;
        ensure!(
            subject.create_as(metric.name(), 9, *metric).await.is_err(),
            "the dimension was forgotten"
        );
        let page = subject.list_in(metric.name(), "of c0005", None, 5).await?;
        ensure_eq!(page.chunks.len(), 1, "the chunks of a document");
        is_whole(&page.chunks[0], &chunks[5])?;
    }
    Ok(())
}

async fn answers(subject: &Subject, requests: &[SearchChunks]) -> Result<Vec<Vec<(String, f32)>>, Failure> {
    let mut answers = Vec::new();
    for request in requests {
        answers.push(scores(&subject.search(request.clone()).await?));
    }
    Ok(answers)
}

async fn deletions_hold_after_a_restart(subject: Subject) -> Verdict {
    subject.filled(subject.any_metric()?, &clustered(100, 4, 21)).await?;
    let gone = ChunkSelection::Chunks((0..50).map(|number| format!("c{number:04}")).collect());
    subject.delete(INDEX, gone).await?;
    let document = ChunkSelection::Document("of c0050".to_owned());
    subject.delete(INDEX, document).await?;
    let subject = subject.restarted().await?;
    for query in subject.queries(&[1.0; 4], "words") {
        let found = subject.find(query, 1000).await?;
        ensure_eq!(found.len(), 49, "the number of chunks");
        ensure!(ids(&found).iter().all(|id| *id > "c0050"), "found {:?}", ids(&found));
    }
    Ok(())
}

async fn every_restart_goes_on(mut subject: Subject) -> Verdict {
    subject.create(4, subject.any_metric()?).await?;
    for round in 0..5 {
        let chunks: Vec<Chunk> = (0..10)
            .map(|number| {
                chunk(
                    &format!("c{}", 8 * round + number),
                    &[number as f32, 1.0, round as f32, 2.0],
                    "words",
                )
            })
            .collect();
        subject.upsert(chunks).await?;
        subject = subject.restarted().await?;
        for query in subject.queries(&[1.0; 4], "words") {
            let found = subject.find(query, 1000).await?;
            ensure_eq!(found.len(), 8 * round + 10, "the number of chunks in round {round}");
        }
    }
    Ok(())
}

async fn a_search_after_an_answer_sees_it(subject: Subject) -> Verdict {
    subject.create(2, subject.any_metric()?).await?;
    for number in 0..60 {
        let (id, word) = (format!("c{number}"), format!("word{number}"));
        let vector = [(number as f32).cos(), (number as f32).sin()];
        subject.upsert(vec![chunk(&id, &vector, &word)]).await?;
        for query in subject.queries(&vector, &word) {
            ensure_eq!(
                ids(&subject.find(query, 1).await?),
                [id.as_str()],
                "the best after an upsert"
            );
        }
        if number % 3 == 0 {
            subject.delete(INDEX, ChunkSelection::Chunks(vec![id.clone()])).await?;
            for query in subject.queries(&vector, &word) {
                let found = subject.find(query, 1000).await?;
                ensure!(
                    !ids(&found).contains(&id.as_str()),
                    "`{id}` is found after its deletion"
                );
            }
        }
    }
    Ok(())
}

async fn writers_and_readers_at_once(subject: Subject) -> Verdict {
    const WRITERS: usize = 6;
    const ROUNDS: usize = 12;
    subject.create(4, subject.any_metric()?).await?;
    let write = |writer: usize| {
        let subject = &subject;
        async move {
            for round in 0..ROUNDS {
                // Each writer has chunks of its own and one that all of them write.
                let mut chunks: Vec<Chunk> = (0..10)
                    .map(|number| {
                        let place = writer as f32 + round as f32 / 10.0;
                        chunk(
                            &format!("w{writer}-{round}-{number}"),
                            &[place, number as f32, 1.0, 0.5],
                            "words of all",
                        )
                    })
                    .collect();
                chunks.push(chunk(
                    "shared",
                    &[writer as f32, 1.0, 1.0, 1.0],
                    &format!("words of {writer}"),
                ));
                subject.upsert(chunks).await?;
                if round % 4 == 3 {
                    let gone = (0..10)
                        .map(|number| format!("w{writer}-{}-{number}", round - 1))
                        .collect();
                    subject.delete(INDEX, ChunkSelection::Chunks(gone)).await?;
                }
            }
            Ok::<(), Failure>(())
        }
    };
    let read = |reader: usize| {
        let subject = &subject;
        async move {
            for _ in 0..40 {
                for query in subject.queries(&[reader as f32, 1.0, 1.0, 1.0], "words") {
                    let found = subject.find(query, 20).await?;
                    in_order(&found)?;
                    for found in found {
                        // No half of a chunk is seen.
                        let chunk = found.chunk;
                        let right = if chunk.chunk_id == "shared" {
                            chunk.text == format!("words of {}", chunk.vector[0].round())
                        } else {
                            chunk.text == "words of all" && is_about(chunk.vector[3], 0.5)
                        };
                        ensure!(right, "a chunk of two: {chunk:?}");
                    }
                }
            }
            Ok(())
        }
    };
    let (wrote, seen) = futures::join!(try_join_all((0..WRITERS).map(write)), try_join_all((0..3).map(read)));
    wrote?;
    seen?;
    let expected = WRITERS * (ROUNDS - ROUNDS / 4) * 10 + 1;
    let subject = subject.restarted().await?;
    for query in subject.queries(&[1.0; 4], "words") {
        ensure_eq!(
            subject.find(query, 100_000).await?.len(),
            expected,
            "the number of chunks"
        );
    }
    Ok(())
}

async fn a_dropped_request_disturbs_nobody(subject: Subject) -> Verdict {
    let chunks = clustered(100, 4, 22);
    subject.filled(subject.any_metric()?, &chunks).await?;
    for round in 0..20 {
        let begun = async {
            let again = subject.upsert(chunks.clone());
            let searches = subject.queries(&[1.0; 4], "words");
            let searches = join_all(searches.into_iter().map(|query| subject.find(query, 10)));
            futures::join!(again, searches)
        };
        let mut begun = Box::pin(begun);
        for _ in 0..round {
            if futures::poll!(begun.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    subject.upsert(chunks).await?;
    for query in subject.queries(&[1.0; 4], "words") {
        ensure_eq!(subject.find(query, 1000).await?.len(), 100, "the number of chunks");
    }
    Ok(())
}
