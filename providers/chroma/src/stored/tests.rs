use std::collections::BTreeMap;

use super::*;
use crate::answers::{Embedding, Records};

fn sample() -> Chunk {
    Chunk {
        chunk_id: "c\0 1".to_owned(),
        document_id: "d".to_owned(),
        position: u32::MAX,
        text: "Two words, two".to_owned(),
        vector: vec![3.0, -4.0],
        attributes: Attributes::from([
            ("is.odd".to_owned(), true.into()),
            ("sum".to_owned(), (0.1 + 0.2).into()),
            ("large".to_owned(), 9_007_199_254_740_992.0.into()),
            ("text".to_owned(), "18\"\0 43".to_owned().into()),
        ]),
        metadata: json!({ "page": 7, "nested": [null, { "large": u64::MAX }] })
            .as_object()
            .unwrap()
            .clone(),
    }
}

/// What the server answers for a record: the vector as numbers, and all else as it came.
fn handed_back(record: &Record) -> Records {
    let bytes = STANDARD.decode(&record.embedding).unwrap();
    let vector: Vec<f32> = bytes
        .chunks(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    let answer = json!({ "ids": [record.id], "documents": [record.document], "metadatas": [record.metadata], "embeddings": [vector] });
    serde_json::from_str(&answer.to_string()).unwrap()
}

fn read(records: Records) -> Result<Option<Chunk>> {
    chunk(records.whole().unwrap().remove(0))
}

#[test]
fn chunks_are_read_as_they_were_written() {
    for metric in Metric::ALL {
        let chunk = sample();
        assert_eq!(read(handed_back(&record(*metric, &chunk))).unwrap(), Some(chunk));
    }
}

#[test]
fn the_words_and_attributes_stand_in_lists() {
    let record = record(Metric::Dot, &sample());
    assert_eq!(record.metadata["words"], json!(["two", "words"]));
    let equals = [
        r#"["is.odd",true]"#,
        r#"["large",9007199254740992.0]"#,
        r#"["large"]"#,
        r#"["sum",0.30000000000000004]"#,
        r#"["sum"]"#,
        "[\"text\",\"18\\\"\\u0000 43\"]",
    ];
    assert_eq!(record.metadata["equals"], json!(equals));
    // With a point, so that Chroma never takes it for a whole number.
    assert_eq!(record.metadata["number:large"].to_string(), "9007199254740992.0");
    let names: Vec<&str> = record
        .metadata
        .keys()
        .map(String::as_str)
        .filter(|name| name.starts_with("number:"))
        .collect();
    assert_eq!(names, ["number:large", "number:sum"]);
}

#[test]
fn the_vector_of_another_version_is_no_chunk() {
    let written = record(Metric::L2, &sample());
    let mut torn = handed_back(&written);
    torn.embeddings = Some(vec![Some(Embedding(vec![3.0, -4.000_000_5]))]);
    assert_eq!(read(torn).unwrap(), None);
}

#[test]
fn what_others_wrote_is_refused() {
    for field in [DOCUMENT_ID, POSITION, KEPT] {
        for other in [None, Some(json!(true)), Some(json!("{}"))] {
            let mut written = record(Metric::L2, &sample());
            written.metadata.remove(field);
            if let Some(other) = other.filter(|other| field != DOCUMENT_ID || !other.is_string()) {
                written.metadata.insert(field.to_owned(), other);
            }
            let error = read(handed_back(&written)).unwrap_err();
            assert!(error.message().contains("`collection_prefix`"), "{field}: {error:?}");
        }
    }
}

#[test]
fn directions_have_length_1() {
    assert_eq!(compared(Metric::Cosine, &[3.0, -4.0]), (vec![0.6, -0.8], Some(5.0)));
    assert_eq!(compared(Metric::Cosine, &[0.0, 0.0]), (vec![0.0, 0.0], Some(0.0)));
    assert_eq!(compared(Metric::L2, &[3.0, -4.0]), (vec![3.0, -4.0], None));
    // Neither too short nor too long for it.
    for length in [1e-30_f32, 3e38] {
        let (vector, norm) = compared(Metric::Cosine, &[length, 0.0]);
        assert_eq!(
            (vector.as_slice(), norm),
            ([1.0, 0.0].as_slice(), Some(f64::from(length)))
        );
        assert_eq!(restored(vector, norm), [length, 0.0]);
    }
}

#[test]
fn fingerprints_stay() {
    // FNV-1a of nothing, and of four bytes 0.
    assert_eq!(fingerprint(&[]), "cbf29ce484222325");
    assert_eq!(fingerprint(&[0.0]), "4d25767f9dce13f5");
    assert_ne!(fingerprint(&[1.0, 2.0]), fingerprint(&[2.0, 1.0]));
}

#[test]
fn every_number_is_read_as_it_was_written() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let number = f64::from_bits(random.u64(..));
        if number.is_finite() {
            let there = Attributes::from([("n".to_owned(), number.into())]);
            let written: BTreeMap<String, Box<RawValue>> =
                serde_json::from_str(&serde_json::to_string(&there).unwrap()).unwrap();
            assert_eq!(attributes(&written).unwrap(), there);
        }
    }
}
