//! Chunks are kept as they came, replaced, removed and listed.

use puna_api::{Attributes, Chunk, ChunkPage, ChunkQuery, ChunkSelection, Error, ErrorKind, SearchMode};
use serde_json::{Map, json};

use super::found::{ids, is_whole, only};
use super::material::{chunk, clustered};
use super::subject::{INDEX, Subject};
use super::trial::{Need, Trial, trial};
use crate::conformance::outcome::{Failure, Verdict, ensure, ensure_eq, expect_error, expect_named};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!("chunks", come_back_as_they_came),
        trial!("chunks", a_namesake_takes_the_place),
        trial!(
            "chunks",
            a_namesake_takes_the_place_in_searches_by_words,
            Need::Mode(SearchMode::Keyword)
        ),
        trial!("chunks", a_namesake_may_change_the_document),
        trial!("chunks", the_last_of_namesakes_in_a_request_stays),
        trial!("chunks", none_of_a_request_with_another_dimension_is_kept),
        trial!("chunks", numbers_that_are_none_are_refused),
        trial!("chunks", ids_without_characters_are_refused),
        trial!("chunks", are_deleted_by_their_ids),
        trial!("chunks", are_deleted_by_their_document),
        trial!("chunks", are_listed_in_their_order_by_pages),
        trial!("chunks", a_limit_of_0_is_refused),
        trial!("chunks", a_big_batch_is_kept_whole),
        trial!("chunks", none_is_a_request_too),
    ]
}

/// Ids, texts and values that something on the way may stumble over.
const ODD: &[&str] = &[
    "a",
    "A",
    " ",
    "'; DROP TABLE chunks; --",
    "\"quoted\"",
    "back\\slash",
    "new\nline",
    "nul\0byte",
    "%_*?",
    "üñïçødé",
    "u\u{308}",
    "日本語",
    "🦙🏔️",
    "\u{202e}right to left",
    "{\"json\": [1]}",
    "00000000-0000-0000-0000-000000000000",
    "0",
    "-1",
    "NaN",
];

fn odd_chunks() -> Vec<Chunk> {
    let chunk = |(number, odd): (usize, &&str)| {
        let odd = (*odd).to_owned();
        Chunk {
            chunk_id: odd.clone(),
            document_id: format!("document {odd}"),
            position: u32::try_from(number).unwrap_or(u32::MAX) * 1_000_000,
            text: format!("words {odd}"),
            vector: vec![1.0 + number as f32, 0.1, -1e-20, 3.0e8],
            attributes: Attributes::from([
                (odd.clone(), odd.clone().into()),
                ("number".to_owned(), (number as f64 + 0.1).into()),
                ("large".to_owned(), 9_007_199_254_740_992.0.into()),
                ("is odd".to_owned(), (number % 2 == 1).into()),
            ]),
            metadata: nested(&odd),
        }
    };
    ODD.iter().enumerate().map(chunk).collect()
}

fn nested(odd: &str) -> Map<String, serde_json::Value> {
    let mut metadata = Map::new();
    metadata.insert("page".to_owned(), json!(7));
    metadata.insert(odd.to_owned(), json!([null, true, -0.25, { "headings": [odd, ""] }]));
    metadata
}

async fn come_back_as_they_came(subject: Subject) -> Verdict {
    let chunks = odd_chunks();
    subject.filled(subject.any_metric()?, &chunks).await?;
    for chunk in &chunks {
        let page = subject.list(&chunk.document_id, None, 10).await?;
        ensure_eq!(page.chunks.len(), 1, "the chunks of {:?}", chunk.document_id);
        is_whole(&page.chunks[0], chunk)?;
    }
    for query in subject.queries(&[1.0, 1.0, 1.0, 1.0], "words") {
        let found = subject.find(query, ODD.len()).await?;
        ensure_eq!(found.len(), ODD.len(), "the number of chunks found");
        for found in found {
            let expected = chunks.iter().find(|chunk| chunk.chunk_id == found.chunk.chunk_id);
            is_whole(&found.chunk, expected.ok_or("an id that no chunk has")?)?;
        }
    }
    Ok(())
}

async fn a_namesake_takes_the_place(subject: Subject) -> Verdict {
    let old = chunk("a", &[1.0, 0.0], "old words");
    let mut new = chunk("a", &[0.0, 1.0], "new words");
    new.attributes.insert("year".to_owned(), 1843.0.into());
    subject
        .filled(subject.any_metric()?, &[old, chunk("b", &[1.0, 1.0], "others")])
        .await?;
    subject.upsert(vec![new.clone()]).await?;
    let page = subject.list("of a", None, 10).await?;
    ensure_eq!(page.chunks.len(), 1, "the chunks of the document");
    is_whole(&page.chunks[0], &new)?;
    for query in subject.queries(&[0.0, 1.0], "new") {
        let found = subject.find(query, 1).await?;
        is_whole(&only(found)?.chunk, &new)?;
    }
    Ok(())
}

async fn a_namesake_takes_the_place_in_searches_by_words(subject: Subject) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 0.0], "old words")])
        .await?;
    subject.upsert(vec![chunk("a", &[1.0, 0.0], "new words")]).await?;
    let find = |word: &str| subject.find(ChunkQuery::Keyword(word.to_owned()), 10);
    ensure_eq!(ids(&find("old").await?), Vec::<&str>::new(), "what the old words find");
    ensure_eq!(ids(&find("new").await?), ["a"], "what the new words find");
    ensure_eq!(ids(&find("words").await?), ["a"], "what words of both find");
    Ok(())
}

async fn a_namesake_may_change_the_document(subject: Subject) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 0.0], "words")])
        .await?;
    let moved = Chunk {
        document_id: "another".to_owned(),
        ..chunk("a", &[1.0, 0.0], "words")
    };
    subject.upsert(vec![moved.clone()]).await?;
    ensure_eq!(
        subject.list("of a", None, 10).await?.chunks.len(),
        0,
        "the first document's"
    );
    is_whole(&subject.list("another", None, 10).await?.chunks[0], &moved)?;
    Ok(())
}

async fn the_last_of_namesakes_in_a_request_stays(subject: Subject) -> Verdict {
    let last = chunk("a", &[0.0, 1.0], "last words");
    let chunks = [
        chunk("a", &[1.0, 0.0], "first"),
        chunk("b", &[0.5, 0.0], "b"),
        last.clone(),
    ];
    subject.filled(subject.any_metric()?, &chunks).await?;
    let page = subject.list("of a", None, 10).await?;
    ensure_eq!(page.chunks.len(), 1, "the chunks of the document");
    is_whole(&page.chunks[0], &last)?;
    for query in subject.queries(&[0.0, 1.0], "last") {
        let found = subject.find(query, 10).await?;
        let of_a = found.iter().filter(|found| found.chunk.chunk_id == "a").count();
        ensure_eq!(of_a, 1, "how often it is found");
    }
    Ok(())
}

/// Checks that chunks of which the last is faulty are refused with all before it.
async fn refused(subject: &Subject, faulty: Chunk, field: &str) -> Result<Error, Failure> {
    let outcome = subject
        .upsert(vec![chunk("before", &[1.0, 2.0], "before"), faulty])
        .await;
    let place = format!("chunks[1].{field}");
    let error = expect_error(outcome, &[ErrorKind::InvalidRequest], &place)?;
    ensure_eq!(error.param(), Some(place.as_str()), "the place that the error names");
    let before = subject.list("of before", None, 10).await?;
    ensure!(before.chunks.is_empty(), "a part of a refused request was kept");
    Ok(error)
}

async fn none_of_a_request_with_another_dimension_is_kept(subject: Subject) -> Verdict {
    subject.create(2, subject.any_metric()?).await?;
    let error = refused(&subject, chunk("a", &[1.0, 2.0, 3.0], "words"), "vector").await?;
    let says_both = error.message().contains("dimension 3") && error.message().contains("dimension 2");
    ensure!(says_both, "the message does not say both dimensions: {error:?}");
    refused(&subject, chunk("a", &[], "words"), "vector").await?;
    Ok(())
}

async fn numbers_that_are_none_are_refused(subject: Subject) -> Verdict {
    subject.create(2, subject.any_metric()?).await?;
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        refused(&subject, chunk("a", &[1.0, number], "words"), "vector").await?;
    }
    for (name, value) in [("year", f64::NAN), ("year", f64::INFINITY), ("", 1.0)] {
        let mut faulty = chunk("a", &[1.0, 2.0], "words");
        faulty.attributes.insert(name.to_owned(), value.into());
        refused(&subject, faulty, "attributes").await?;
    }
    Ok(())
}

async fn ids_without_characters_are_refused(subject: Subject) -> Verdict {
    subject.create(2, subject.any_metric()?).await?;
    for id in [String::new(), "x".repeat(1025)] {
        let nameless = chunk(&id, &[1.0, 2.0], "words");
        refused(&subject, nameless, "chunk_id").await?;
        let mut homeless = chunk("a", &[1.0, 2.0], "words");
        homeless.document_id = id;
        refused(&subject, homeless, "document_id").await?;
    }
    let mut longest = chunk(&"x".repeat(1024), &[1.0, 2.0], "words");
    longest.document_id = "y".repeat(1024);
    subject.upsert(vec![longest]).await?;
    Ok(())
}

async fn are_deleted_by_their_ids(subject: Subject) -> Verdict {
    subject.filled(subject.any_metric()?, &odd_chunks()).await?;
    let (gone, kept) = ODD.split_at(ODD.len() / 2);
    let mut selection: Vec<String> = gone.iter().map(|id| (*id).to_owned()).collect();
    selection.push("not there".to_owned());
    subject.delete(INDEX, ChunkSelection::Chunks(selection)).await?;
    subject.delete(INDEX, ChunkSelection::Chunks(Vec::new())).await?;
    for query in subject.queries(&[1.0, 1.0, 1.0, 1.0], "words") {
        let found = subject.find(query, 100).await?;
        let mut left = ids(&found);
        left.sort_unstable();
        let mut kept = kept.to_vec();
        kept.sort_unstable();
        ensure_eq!(left, kept, "what is left");
    }
    Ok(())
}

async fn are_deleted_by_their_document(subject: Subject) -> Verdict {
    let mut chunks = clustered(60, 4, 1);
    for (number, chunk) in chunks.iter_mut().enumerate() {
        chunk.document_id = format!("document {}", number % 3);
    }
    subject.filled(subject.any_metric()?, &chunks).await?;
    for document in ["document 1", "not there"] {
        let selection = ChunkSelection::Document(document.to_owned());
        subject.delete(INDEX, selection).await?;
    }
    for query in subject.queries(&chunks[0].vector, "words") {
        let found = subject.find(query, 100).await?;
        ensure_eq!(found.len(), 40, "the number of chunks left");
        let of_it = found.iter().any(|found| found.chunk.document_id == "document 1");
        ensure!(!of_it, "a chunk of the deleted document is found");
    }
    let page = subject.list("document 1", None, 100).await?;
    ensure_eq!(page, ChunkPage::default(), "the chunks of the document");
    Ok(())
}

async fn are_listed_in_their_order_by_pages(subject: Subject) -> Verdict {
    // Ids and places whose order as texts is another than as numbers, in another order still.
    let mut chunks: Vec<Chunk> = [9_u32, 2, 100, 0, 11, 1, 10, u32::MAX]
        .iter()
        .map(|position| {
            let mut chunk = chunk(&format!("c{}", 1000 - position.min(&1000)), &[1.0, 2.0], "words");
            chunk.document_id = "d".to_owned();
            chunk.position = *position;
            chunk
        })
        .collect();
    chunks.push(chunk("of another document", &[1.0, 2.0], "words"));
    subject.filled(subject.any_metric()?, &chunks).await?;
    for limit in [1, 3, 8, 1000] {
        let (mut places, mut after) = (Vec::new(), None);
        loop {
            let page = subject.list("d", after, limit).await?;
            ensure!(page.chunks.len() <= limit, "a page of {} chunks", page.chunks.len());
            places.extend(page.chunks.iter().map(|chunk| chunk.position));
            after = places.last().copied();
            if !page.has_more {
                break;
            }
            ensure_eq!(page.chunks.len(), limit, "the size of a page that others follow");
        }
        ensure_eq!(places, [0, 1, 2, 9, 10, 11, 100, u32::MAX], "the places, by {limit}");
    }
    ensure_eq!(
        subject.list("no such", None, 5).await?,
        ChunkPage::default(),
        "no document"
    );
    Ok(())
}

async fn a_limit_of_0_is_refused(subject: Subject) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 2.0], "words")])
        .await?;
    let refused = &[ErrorKind::InvalidRequest];
    expect_named(subject.list("of a", None, 0).await, refused, "limit", "a list of none")?;
    for query in subject.queries(&[1.0, 2.0], "words") {
        expect_named(subject.find(query, 0).await, refused, "limit", "a search for none")?;
    }
    Ok(())
}

async fn a_big_batch_is_kept_whole(subject: Subject) -> Verdict {
    let mut chunks = clustered(6_000, 8, 2);
    for (position, chunk) in (0..).zip(&mut chunks) {
        chunk.document_id = "large".to_owned();
        chunk.position = position;
    }
    subject.filled(subject.any_metric()?, &chunks).await?;
    let page = subject.list("large", None, 10_000).await?;
    ensure_eq!(page.chunks.len(), chunks.len(), "the number of chunks");
    for (chunk, expected) in page.chunks.iter().zip(&chunks) {
        is_whole(chunk, expected)?;
    }
    for query in subject.queries(&chunks[4321].vector, "w4321") {
        ensure_eq!(ids(&subject.find(query, 1).await?), ["c4321"], "the nearest");
    }
    Ok(())
}

async fn none_is_a_request_too(subject: Subject) -> Verdict {
    subject.create(2, subject.any_metric()?).await?;
    subject.upsert(Vec::new()).await?;
    for query in subject.queries(&[1.0, 2.0], "words") {
        ensure_eq!(subject.find(query, 3).await?.len(), 0, "what an empty index finds");
    }
    Ok(())
}
