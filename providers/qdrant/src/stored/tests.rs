use qdrant_client::qdrant::{DenseVector, NamedVectorsOutput, VectorsOutput, vector, vectors, vectors_output};
use serde_json::json;

use super::*;

fn sample() -> Chunk {
    Chunk {
        chunk_id: "c\0 1".to_owned(),
        document_id: "d".to_owned(),
        position: u32::MAX,
        text: "Two words".to_owned(),
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

/// The point as Qdrant hands it back.
fn handed_back(point: PointStruct) -> RetrievedPoint {
    let Some(vectors::VectorsOptions::Vectors(named)) = point.vectors.unwrap().vectors_options else {
        panic!("vectors without names");
    };
    let Some(vector::Vector::Dense(dense)) = named.vectors[DENSE].vector.clone() else {
        panic!("no dense vector");
    };
    let output = qdrant_client::qdrant::VectorOutput {
        vector: Some(VectorOutput::Dense(DenseVector { data: dense.data })),
        ..Default::default()
    };
    RetrievedPoint {
        id: point.id,
        payload: point.payload,
        vectors: Some(VectorsOutput {
            vectors_options: Some(vectors_output::VectorsOptions::Vectors(NamedVectorsOutput {
                vectors: HashMap::from([(DENSE.to_owned(), output)]),
            })),
        }),
        ..RetrievedPoint::default()
    }
}

#[test]
fn chunks_are_read_as_they_were_written() {
    for is_shared in [false, true] {
        let chunk = sample();
        let read = super::chunk(handed_back(point(&Index::sample(is_shared), &chunk))).unwrap();
        assert_eq!(read, chunk);
    }
}

#[test]
fn what_others_wrote_is_refused() {
    let whole = || handed_back(point(&Index::sample(false), &sample()));
    for field in [CHUNK_ID, DOCUMENT_ID, POSITION, TEXT, ATTRIBUTES, METADATA] {
        let mut without = whole();
        without.payload.remove(field);
        let error = super::chunk(without).unwrap_err();
        assert!(error.message().contains("`collection_prefix`"), "{error:?}");
        let mut other = whole();
        other.payload.insert(field.to_owned(), true.into());
        super::chunk(other).unwrap_err();
    }
    let without = RetrievedPoint {
        vectors: None,
        ..whole()
    };
    super::chunk(without).unwrap_err();
}

#[test]
fn ids_of_points_stay() {
    // The start of SHA-256 of "vs\0a", with the bits that make it a UUID of version 8.
    assert_eq!(
        point_id("vs", "a"),
        PointId::from("0debdc5b-eb2d-8678-aee6-d335cd1a28d9")
    );
    assert_ne!(point_id("vs", "a"), point_id("vs", "b"));
    assert_ne!(point_id("vs", "a"), point_id("v", "sa"));
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
fn every_number_is_read_as_it_was_written() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let number = f64::from_bits(random.u64(..));
        if number.is_finite() {
            let there = Attributes::from([("n".to_owned(), number.into())]);
            assert_eq!(attributes(&attributes_to_json(&there)).unwrap(), there);
        }
    }
}
