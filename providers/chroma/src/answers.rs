//! What the server answers. Wire shapes: `Collection`, `GetResponse`, `QueryResponse` and `ChecklistResponse` of Chroma's API v2.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use serde_json::value::RawValue;

/// A collection.
#[derive(Debug, Deserialize)]
pub(crate) struct Collection {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) metadata: Option<CollectionMetadata>,
}

/// What this provider says of a collection; all is missing where somebody else has made it.
#[derive(Debug, Deserialize)]
pub(crate) struct CollectionMetadata {
    #[serde(default)]
    pub(crate) puna_dimension: Option<Value>,
    #[serde(default)]
    pub(crate) puna_metric: Option<Value>,
}

/// Records, as lists side by side; what was not asked for is missing.
#[derive(Debug, Deserialize)]
pub(crate) struct Records {
    pub(crate) ids: Vec<String>,
    #[serde(default)]
    pub(crate) embeddings: Option<Vec<Option<Embedding>>>,
    #[serde(default)]
    pub(crate) documents: Option<Vec<Option<String>>>,
    #[serde(default)]
    pub(crate) metadatas: Option<Vec<Option<RecordMetadata>>>,
}

/// A record with all that it has.
#[derive(Debug)]
pub(crate) struct WholeRecord {
    pub(crate) id: String,
    pub(crate) document: String,
    pub(crate) metadata: RecordMetadata,
    pub(crate) vector: Vec<f32>,
}

/// What is read again of a record's metadata.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RecordMetadata {
    #[serde(default)]
    pub(crate) document_id: Option<Value>,
    #[serde(default)]
    pub(crate) position: Option<Value>,
    #[serde(default)]
    pub(crate) kept: Option<Value>,
}

/// The nearest records to each of several vectors.
#[derive(Debug, Deserialize)]
pub(crate) struct Nearest {
    pub(crate) ids: Vec<Vec<String>>,
    #[serde(default)]
    pub(crate) distances: Option<Vec<Vec<Option<f32>>>>,
}

/// What the server can take.
#[derive(Debug, Deserialize)]
pub(crate) struct Checklist {
    pub(crate) max_batch_size: usize,
}

/// A vector, whose numbers are read by the standard library: bit by bit as they were written.
#[derive(Debug)]
pub(crate) struct Embedding(pub(crate) Vec<f32>);

impl Records {
    /// The records one by one; none if a list is shorter than another.
    pub(crate) fn whole(self) -> Option<Vec<WholeRecord>> {
        let count = self.ids.len();
        let documents = self.documents.into_iter().flatten();
        let metadatas = self.metadatas.into_iter().flatten();
        let embeddings = self.embeddings.into_iter().flatten();
        let records = self.ids.into_iter().zip(documents).zip(metadatas).zip(embeddings);
        let records = records.map(|(((id, document), metadata), embedding)| WholeRecord {
            id,
            document: document.unwrap_or_default(),
            metadata: metadata.unwrap_or_default(),
            vector: embedding.map(|Embedding(vector)| vector).unwrap_or_default(),
        });
        let records: Vec<WholeRecord> = records.collect();
        (records.len() == count).then_some(records)
    }
}

impl<'de> Deserialize<'de> for Embedding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let numbers = raw.get().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let numbers = numbers.ok_or_else(|| de::Error::custom("a vector that is no list"))?;
        let read = numbers.split(',').map(|number| number.trim().parse());
        read.collect::<Result<_, _>>().map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_was_asked_for_is_nothing() {
        let read = |answer: &str| serde_json::from_str::<Records>(answer).unwrap().whole();
        let whole = read(r#"{ "ids": ["a"], "documents": [null], "metadatas": [null], "embeddings": [[1.5]] }"#);
        assert_eq!(whole.unwrap()[0].vector, [1.5]);
        assert!(read(r#"{ "ids": [] }"#).unwrap().is_empty());
        assert!(read(r#"{ "ids": ["a"], "documents": ["b"], "metadatas": [null], "embeddings": null }"#).is_none());
        assert!(read(r#"{ "ids": ["a"], "documents": [], "metadatas": [null], "embeddings": [[1.5]] }"#).is_none());
    }

    #[test]
    fn vectors_are_read_bit_by_bit() {
        let mut random = fastrand::Rng::with_seed(3);
        let numbers = (0..5000).map(|_| f32::from_bits(random.u32(..)));
        let numbers: Vec<f32> = numbers
            .filter(|number| number.is_finite())
            .chain([-0.0, 1e-45])
            .collect();
        let Embedding(read) = serde_json::from_str(&serde_json::to_string(&numbers).unwrap()).unwrap();
        assert!(
            read.iter()
                .zip(&numbers)
                .all(|(one, other)| one.to_bits() == other.to_bits())
        );
        assert_eq!(read.len(), numbers.len());
        for wrong in ["[]", "1", "[\"a\"]", "[[1.0]]", "{}"] {
            assert!(serde_json::from_str::<Embedding>(wrong).is_err(), "{wrong}");
        }
    }
}
