//! Filters mean what [`Filter::matches`] says, in every search mode.

use puna_api::{Attributes, Chunk, ErrorKind, Filter};
use serde_json::{Value, json};

use super::found::{ids, in_order};
use super::material::{chunk, vector};
use super::subject::{Subject, filtered};
use super::trial::{Trial, trial};
use crate::conformance::outcome::{Failure, Verdict, ensure, ensure_eq, expect_error};
use crate::filters::{random_attributes, random_filter};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!("filters", each_operator_means_what_it_should),
        trial!("filters", random_ones_mean_what_they_should),
        trial!("filters", hold_before_the_best_are_chosen),
        trial!("filters", hold_before_the_best_of_many_are_chosen),
        trial!("filters", follow_what_replaces_a_chunk),
        trial!("filters", names_and_texts_of_odd_characters_are_taken_as_they_are),
        trial!("filters", what_is_out_of_bounds_is_refused_with_its_place),
    ]
}

fn read(wire: &Value) -> Result<Filter, Failure> {
    serde_json::from_value(wire.clone()).map_err(|error| format!("the trial's filter {wire}: {error}").into())
}

/// Checks what each mode finds with the filter against the meaning of filters.
async fn agrees(subject: &Subject, chunks: &[Chunk], filter: &Filter) -> Verdict {
    let mut expected: Vec<&str> = chunks
        .iter()
        .filter(|chunk| filter.matches(&chunk.attributes))
        .map(|chunk| chunk.chunk_id.as_str())
        .collect();
    expected.sort_unstable();
    for query in subject.queries(&[1.0, 0.5, -0.5], "words") {
        let mode = query.mode().name();
        let found = subject.search(filtered(query, filter.clone(), chunks.len())).await?;
        in_order(&found)?;
        let mut found = ids(&found);
        found.sort_unstable();
        ensure_eq!(found, expected, "what {filter:?} lets through by {mode}");
    }
    Ok(())
}

fn with_attributes(sets: impl IntoIterator<Item = Attributes>) -> Vec<Chunk> {
    let mut random = fastrand::Rng::with_seed(30);
    let chunks = sets.into_iter().enumerate().map(|(number, attributes)| Chunk {
        attributes,
        ..chunk(&format!("c{number:03}"), &vector(&mut random, 3), "words")
    });
    chunks.collect()
}

async fn each_operator_means_what_it_should(subject: Subject) -> Verdict {
    let sets = [
        json!({}),
        json!({ "year": 1843 }),
        json!({ "year": 1843.5 }),
        json!({ "year": -1 }),
        json!({ "year": 0 }),
        json!({ "year": "1843" }),
        json!({ "year": true }),
        json!({ "author": "Ada" }),
        json!({ "author": "ada" }),
        json!({ "author": "" }),
        json!({ "author": "Ada Lovelace", "year": 1842 }),
        json!({ "printed": true }),
        json!({ "printed": false }),
        json!({ "printed": 1 }),
        json!({ "printed": 0 }),
        json!({ "printed": "true" }),
        json!({ "year": 1e300 }),
        json!({ "year": 9_007_199_254_740_992_i64 }),
        json!({ "year": 0.1 }),
        json!({ "author": "Ada", "year": 1843, "printed": true }),
    ];
    let attributes: Result<Vec<Attributes>, _> = sets.into_iter().map(serde_json::from_value).collect();
    let chunks = with_attributes(attributes.map_err(|error| error.to_string())?);
    subject.filled(subject.any_metric()?, &chunks).await?;
    let values = [
        json!(1843),
        json!(1843.5),
        json!(0),
        json!(-0.0),
        json!(1),
        json!(0.1),
        json!(0.30000000000000004),
        json!(1e300),
        json!(9_007_199_254_740_992_i64),
        json!("1843"),
        json!("Ada"),
        json!(""),
        json!("true"),
        json!(true),
        json!(false),
    ];
    for key in ["year", "author", "printed", "missing"] {
        for value in &values {
            for operator in ["eq", "ne", "gt", "gte", "lt", "lte"] {
                if matches!(operator, "eq" | "ne") || value.is_number() {
                    let wire = json!({ "type": operator, "key": key, "value": value });
                    agrees(&subject, &chunks, &read(&wire)?).await?;
                }
            }
        }
        for list in [json!([]), json!([1843]), json!(["Ada", 1843, true]), json!(values)] {
            for operator in ["in", "nin"] {
                let wire = json!({ "type": operator, "key": key, "value": list });
                agrees(&subject, &chunks, &read(&wire)?).await?;
            }
        }
    }
    let year = json!({ "type": "gte", "key": "year", "value": 1843 });
    let ada = json!({ "type": "eq", "key": "author", "value": "Ada" });
    for wire in [
        json!({ "type": "and", "filters": [] }),
        json!({ "type": "or", "filters": [] }),
        json!({ "type": "and", "filters": [year, ada] }),
        json!({ "type": "or", "filters": [year, ada] }),
        json!({ "type": "or", "filters": [{ "type": "and", "filters": [] }, ada] }),
        json!({ "type": "and", "filters": [{ "type": "or", "filters": [] }, ada] }),
        json!({ "type": "and", "filters": [{ "type": "or", "filters": [year, ada] },
            { "type": "nin", "key": "printed", "value": [true] }] }),
    ] {
        agrees(&subject, &chunks, &read(&wire)?).await?;
    }
    Ok(())
}

async fn random_ones_mean_what_they_should(subject: Subject) -> Verdict {
    let mut random = fastrand::Rng::with_seed(31);
    let chunks = with_attributes((0..150).map(|_| random_attributes(&mut random)));
    subject.filled(subject.any_metric()?, &chunks).await?;
    for _ in 0..250 {
        agrees(&subject, &chunks, &random_filter(&mut random)).await?;
    }
    Ok(())
}

/// The nearest and the first by words never match, a few others do.
async fn few_match(subject: &Subject, count: usize) -> Verdict {
    let every = count / 12;
    let chunks: Vec<Chunk> = (0..count)
        .map(|number| {
            let far = if number % every == every - 1 { -1.0 } else { 1.0 };
            let mut chunk = chunk(
                &format!("c{number:05}"),
                &[far, number as f32 / count as f32, 0.1],
                if far < 0.0 {
                    "words and many more of others besides, long and far between"
                } else {
                    "words words"
                },
            );
            chunk.attributes.insert("number".to_owned(), (number as f64).into());
            chunk.attributes.insert("rare".to_owned(), (far < 0.0).into());
            chunk
        })
        .collect();
    subject.filled(subject.any_metric()?, &chunks).await?;
    let rare = read(&json!({ "type": "eq", "key": "rare", "value": true }))?;
    let half = read(&json!({ "type": "lt", "key": "number", "value": count / 2 }))?;
    for query in subject.queries(&[1.0, 0.5, 0.1], "words") {
        let mode = query.mode().name();
        let found = subject.search(filtered(query.clone(), rare.clone(), 10)).await?;
        ensure_eq!(found.len(), 10, "the number of chunks by {mode}");
        ensure!(
            found.iter().all(|found| rare.matches(&found.chunk.attributes)),
            "a chunk that does not match"
        );
        let found = subject.search(filtered(query.clone(), half.clone(), 10)).await?;
        ensure_eq!(found.len(), 10, "the number of chunks by {mode}");
        ensure!(
            found.iter().all(|found| half.matches(&found.chunk.attributes)),
            "a chunk that does not match"
        );
        let nothing = read(&json!({ "type": "or", "filters": [] }))?;
        ensure_eq!(
            subject.search(filtered(query, nothing, 10)).await?.len(),
            0,
            "nothing matches"
        );
    }
    Ok(())
}

async fn hold_before_the_best_are_chosen(subject: Subject) -> Verdict {
    few_match(&subject, 600).await
}

async fn hold_before_the_best_of_many_are_chosen(subject: Subject) -> Verdict {
    few_match(&subject, 12_000).await
}

async fn follow_what_replaces_a_chunk(subject: Subject) -> Verdict {
    let with = |value: &str| {
        let mut chunk = chunk("a", &[1.0, 2.0, 3.0], "words");
        chunk.attributes.insert("state".to_owned(), value.to_owned().into());
        chunk
    };
    subject.filled(subject.any_metric()?, &[with("draft")]).await?;
    for (state, chunk) in [("final", with("final")), ("draft", with("draft"))] {
        subject.upsert(vec![chunk.clone()]).await?;
        for state in [state, "draft", "final"] {
            let filter = read(&json!({ "type": "eq", "key": "state", "value": state }))?;
            agrees(&subject, std::slice::from_ref(&chunk), &filter).await?;
        }
    }
    let bare = chunk("a", &[1.0, 2.0, 3.0], "words");
    subject.upsert(vec![bare.clone()]).await?;
    let filter = read(&json!({ "type": "ne", "key": "state", "value": "draft" }))?;
    agrees(&subject, &[bare], &filter).await
}

async fn names_and_texts_of_odd_characters_are_taken_as_they_are(subject: Subject) -> Verdict {
    let odd = [
        "a",
        "A",
        "a.b",
        "a[0]",
        "a[]",
        "$.a",
        "a\"b",
        "a'b",
        "'; DROP TABLE chunks; --",
        "a b",
        " a",
        "a\\b",
        "a\nb",
        "a\0b",
        "%",
        "_",
        "*",
        "ä",
        "a\u{308}",
        "日本",
        "🦙",
        "attributes",
        "id",
        "document_id",
        "text",
        "position",
        "rowid",
    ];
    let mut chunks = with_attributes(
        odd.iter()
            .map(|odd| Attributes::from([((*odd).to_owned(), (*odd).to_owned().into())])),
    );
    chunks.extend(
        with_attributes([Attributes::from([("other".to_owned(), "a".to_owned().into())])])
            .into_iter()
            .map(|chunk| Chunk {
                chunk_id: "other".to_owned(),
                ..chunk
            }),
    );
    subject.filled(subject.any_metric()?, &chunks).await?;
    for name in odd {
        for (key, value) in [(name, name), (name, "a"), ("other", name)] {
            for operator in ["eq", "ne"] {
                let filter = read(&json!({ "type": operator, "key": key, "value": value }))?;
                agrees(&subject, &chunks, &filter).await?;
            }
        }
    }
    Ok(())
}

async fn what_is_out_of_bounds_is_refused_with_its_place(subject: Subject) -> Verdict {
    subject
        .filled(subject.any_metric()?, &[chunk("a", &[1.0, 2.0, 3.0], "words")])
        .await?;
    let nameless = Filter::Or {
        filters: vec![Filter::Gt {
            key: String::new(),
            value: 1.0,
        }],
    };
    let endless = Filter::Lt {
        key: "a".to_owned(),
        value: f64::INFINITY,
    };
    let deep = (0..40).fold(Filter::And { filters: Vec::new() }, |inner, _| Filter::And {
        filters: vec![inner],
    });
    for query in subject.queries(&[1.0, 2.0, 3.0], "words") {
        for (filter, place) in [
            (&nameless, "filter.filters[0].key"),
            (&endless, "filter.value"),
            (&deep, "filter.filters[0]"),
        ] {
            let outcome = subject.search(filtered(query.clone(), filter.clone(), 1)).await;
            let error = expect_error(outcome, &[ErrorKind::InvalidRequest], place)?;
            let named = error.param().is_some_and(|param| param.starts_with(place));
            ensure!(named, "{error:?} does not name {place}");
        }
    }
    Ok(())
}
