//! Embeddings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use puna_api::{Capability, ErrorKind};
use serde_json::{Value, json};

use super::outcome::{Failure, Verdict, ensure, ensure_eq, expect_named, list};
use super::subject::{REQUESTED_MODEL, Subject, embeddings_body};
use super::trial::{Need, Trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    const EMBEDDINGS: Need = Need::Can(Capability::Embeddings);
    vec![
        trial!("embeddings", answers_in_the_shape_of_a_list, EMBEDDINGS),
        trial!("embeddings", shows_the_requested_model, EMBEDDINGS),
        trial!("embeddings", keeps_the_order_of_the_input, EMBEDDINGS),
        trial!("embeddings", the_same_text_has_the_same_vector, EMBEDDINGS),
        trial!("embeddings", different_texts_have_different_vectors, EMBEDDINGS),
        trial!("embeddings", shared_words_point_the_same_way, EMBEDDINGS, Need::Echo),
        trial!("embeddings", base64_holds_the_same_numbers, EMBEDDINGS),
        trial!("embeddings", an_unknown_encoding_is_named, EMBEDDINGS, Need::Ours),
        trial!(
            "embeddings",
            dimensions_sets_the_length,
            EMBEDDINGS,
            Need::Can(Capability::EmbeddingDimensions)
        ),
        trial!("embeddings", dimensions_of_0_is_named, EMBEDDINGS, Need::Ours),
        trial!("embeddings", token_ids_are_taken_or_refused_by_name, EMBEDDINGS),
        trial!("embeddings", usage_adds_up, EMBEDDINGS),
        trial!("embeddings", an_empty_list_is_named, EMBEDDINGS, Need::Ours),
        trial!("embeddings", an_empty_text_is_named, EMBEDDINGS, Need::Ours),
        trial!("embeddings", a_wrong_type_is_named, EMBEDDINGS, Need::Ours),
    ]
}

const TEXTS: [&str; 3] = [
    "llamas live in the puna",
    "rust is a programming language",
    "llamas live on the altiplano",
];

/// The vectors of an answer, in its order; checks the indexes.
fn vectors(answer: &Value) -> Result<Vec<Vec<f64>>, Failure> {
    list(answer, "data")?
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            ensure_eq!(entry["index"], json!(index), "the index of an embedding");
            ensure_eq!(entry["object"], "embedding", "the `object` of an embedding");
            let numbers: Option<Vec<f64>> = list(entry, "embedding")?.iter().map(Value::as_f64).collect();
            numbers.ok_or_else(|| format!("an embedding that is not all numbers: {entry}").into())
        })
        .collect()
}

/// How far two vectors point the same way: 1 for the same direction.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

async fn answers_in_the_shape_of_a_list(subject: Subject) -> Verdict {
    let answer = subject.embed(&embeddings_body(json!(TEXTS[0]), json!({}))).await?;
    ensure_eq!(answer["object"], "list", "the answer's `object`");
    let vectors = vectors(&answer)?;
    ensure_eq!(vectors.len(), 1, "the number of vectors");
    ensure!(
        vectors[0].iter().all(|number| number.is_finite()),
        "a vector that is not finite: {vectors:?}"
    );
    let usage = &answer["usage"];
    ensure!(
        usage["prompt_tokens"].as_u64() > Some(0),
        "an input without tokens: {usage}"
    );
    ensure_eq!(usage["total_tokens"], usage["prompt_tokens"], "the total of the usage");
    Ok(())
}

async fn shows_the_requested_model(subject: Subject) -> Verdict {
    let answer = subject.embed(&embeddings_body(json!(TEXTS[0]), json!({}))).await?;
    ensure_eq!(answer["model"], REQUESTED_MODEL, "the answer's model");
    Ok(())
}

async fn keeps_the_order_of_the_input(subject: Subject) -> Verdict {
    let together = vectors(&subject.embed(&embeddings_body(json!(TEXTS), json!({}))).await?)?;
    ensure_eq!(together.len(), TEXTS.len(), "the number of vectors");
    for (text, vector) in TEXTS.iter().zip(&together) {
        let alone = vectors(&subject.embed(&embeddings_body(json!(text), json!({}))).await?)?;
        ensure_eq!(alone[0].len(), vector.len(), "the length of a vector");
        let cosine = cosine(&alone[0], vector);
        // A batch may be computed in another order of operations.
        ensure!(
            cosine > 0.999,
            "{text:?} alone and among others differ: their cosine is {cosine}"
        );
    }
    Ok(())
}

async fn the_same_text_has_the_same_vector(subject: Subject) -> Verdict {
    let answer = subject
        .embed(&embeddings_body(json!([TEXTS[0], TEXTS[1], TEXTS[0]]), json!({})))
        .await?;
    let vectors = vectors(&answer)?;
    ensure_eq!(vectors.len(), 3, "the number of vectors");
    ensure!(
        cosine(&vectors[0], &vectors[2]) > 0.999,
        "the same text has two vectors: {vectors:?}"
    );
    Ok(())
}

async fn different_texts_have_different_vectors(subject: Subject) -> Verdict {
    let vectors = vectors(
        &subject
            .embed(&embeddings_body(json!([TEXTS[0], TEXTS[1]]), json!({})))
            .await?,
    )?;
    ensure_eq!(vectors.len(), 2, "the number of vectors");
    let cosine = cosine(&vectors[0], &vectors[1]);
    ensure!(cosine < 0.9999, "two texts have one vector: their cosine is {cosine}");
    Ok(())
}

async fn shared_words_point_the_same_way(subject: Subject) -> Verdict {
    let vectors = vectors(&subject.embed(&embeddings_body(json!(TEXTS), json!({}))).await?)?;
    let (near, far) = (cosine(&vectors[0], &vectors[2]), cosine(&vectors[0], &vectors[1]));
    ensure!(
        near > far,
        "texts that share words have the cosine {near}, others {far}"
    );
    Ok(())
}

async fn base64_holds_the_same_numbers(subject: Subject) -> Verdict {
    let floats = vectors(
        &subject
            .embed(&embeddings_body(json!(TEXTS[0]), json!({ "encoding_format": "float" })))
            .await?,
    )?;
    let answer = subject
        .embed(&embeddings_body(
            json!(TEXTS[0]),
            json!({ "encoding_format": "base64" }),
        ))
        .await?;
    let text = answer["data"][0]["embedding"]
        .as_str()
        .ok_or_else(|| format!("the embedding is no text: {answer}"))?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|error| format!("the embedding is no base64: {error}"))?;
    ensure_eq!(
        bytes.len(),
        floats[0].len() * 4,
        "the number of bytes, four for each dimension"
    );
    let numbers: Vec<f64> = bytes
        .chunks_exact(4)
        .map(|bytes| f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
        .collect();
    let cosine = cosine(&numbers, &floats[0]);
    ensure!(cosine > 0.999, "base64 and floats differ: their cosine is {cosine}");
    Ok(())
}

async fn an_unknown_encoding_is_named(subject: Subject) -> Verdict {
    let outcome = subject
        .embed(&embeddings_body(json!(TEXTS[0]), json!({ "encoding_format": "hex" })))
        .await;
    expect_named(
        outcome,
        &[ErrorKind::InvalidRequest, ErrorKind::Unsupported],
        "encoding_format",
        "the encoding `hex`",
    )
}

async fn dimensions_sets_the_length(subject: Subject) -> Verdict {
    for dimensions in [4, 2] {
        let answer = subject
            .embed(&embeddings_body(json!(TEXTS), json!({ "dimensions": dimensions })))
            .await?;
        for vector in vectors(&answer)? {
            ensure_eq!(vector.len(), dimensions, "the length of a vector");
        }
    }
    Ok(())
}

async fn dimensions_of_0_is_named(subject: Subject) -> Verdict {
    let outcome = subject
        .embed(&embeddings_body(json!(TEXTS[0]), json!({ "dimensions": 0 })))
        .await;
    expect_named(
        outcome,
        &[ErrorKind::InvalidRequest, ErrorKind::Unsupported],
        "dimensions",
        "`dimensions` of 0",
    )
}

async fn token_ids_are_taken_or_refused_by_name(subject: Subject) -> Verdict {
    for (input, count) in [(json!([5, 6, 7]), 1), (json!([[5, 6], [7]]), 2)] {
        match subject.embed(&embeddings_body(input.clone(), json!({}))).await {
            Ok(answer) => ensure_eq!(vectors(&answer)?.len(), count, "the number of vectors for {input}"),
            refused => expect_named(
                refused,
                &[ErrorKind::Unsupported, ErrorKind::InvalidRequest],
                "input",
                "token ids",
            )?,
        }
    }
    Ok(())
}

async fn usage_adds_up(subject: Subject) -> Verdict {
    let tokens = async |input: Value| {
        let answer = subject.embed(&embeddings_body(input.clone(), json!({}))).await?;
        let tokens = answer["usage"]["prompt_tokens"].as_u64();
        tokens.ok_or_else(|| Failure::from(format!("{input} without its tokens: {answer}")))
    };
    let (short, long) = ("llamas", TEXTS.join(", "));
    let alone = tokens(json!(short)).await? + tokens(json!(long)).await?;
    // What fills up the shorter text in a batch is nobody's.
    let together = tokens(json!([short, long])).await?;
    ensure_eq!(together, alone, "the tokens of two texts together");
    Ok(())
}

async fn an_empty_list_is_named(subject: Subject) -> Verdict {
    let outcome = subject.embed(&embeddings_body(json!([]), json!({}))).await;
    expect_named(outcome, &[ErrorKind::InvalidRequest], "input", "an empty list of texts")
}

async fn an_empty_text_is_named(subject: Subject) -> Verdict {
    for input in [json!(""), json!([TEXTS[0], ""])] {
        let outcome = subject.embed(&embeddings_body(input.clone(), json!({}))).await;
        expect_named(
            outcome,
            &[ErrorKind::InvalidRequest],
            "input",
            &format!("an `input` of {input}"),
        )?;
    }
    Ok(())
}

async fn a_wrong_type_is_named(subject: Subject) -> Verdict {
    for (field, value) in [
        ("input", json!({ "a": 1 })),
        ("input", json!(["a", true])),
        ("dimensions", json!("many")),
    ] {
        let outcome = subject
            .embed(&embeddings_body(json!(TEXTS[0]), json!({ field: value })))
            .await;
        expect_named(
            outcome,
            &[ErrorKind::InvalidRequest],
            field,
            &format!("`{field}` of {value}"),
        )?;
    }
    Ok(())
}
