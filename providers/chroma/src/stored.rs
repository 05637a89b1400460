//! How a chunk is written as a record.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use puna_api::{AttributeValue, Attributes, Chunk, Metric, Result, distinct_words};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::answers::WholeRecord;
use crate::error::not_ours;
use crate::filter::{equality, is_number};

pub(crate) const DOCUMENT_ID: &str = "document_id";
pub(crate) const POSITION: &str = "position";
/// Each attribute with its value as one text, and the names of those that are numbers: what equality looks at.
pub(crate) const EQUALS: &str = "equals";
/// The different words of the text: what searches by words look at.
pub(crate) const WORDS: &str = "words";
/// What else the chunk has, as a text of JSON.
const KEPT: &str = "kept";

/// A record to write.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    /// The numbers of 32 bits in base64, so that they are written bit by bit.
    pub(crate) embedding: String,
    pub(crate) document: String,
    pub(crate) metadata: Map<String, Value>,
}

/// What is handed back and not looked at. Every upsert writes all of it.
#[derive(Serialize)]
struct Kept<'a> {
    attributes: &'a Attributes,
    metadata: &'a Map<String, Value>,
    /// How long the vector was before it was made to have length 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    norm: Option<f64>,
    /// Tells the vector that belongs to it from another.
    vector: String,
}

#[derive(Deserialize)]
struct ReadKept {
    attributes: BTreeMap<String, Box<RawValue>>,
    metadata: Map<String, Value>,
    #[serde(default)]
    norm: Option<f64>,
    vector: String,
}

/// Where Chroma looks for a number: a field for each name.
pub(crate) fn number(name: &str) -> String {
    format!("number:{name}")
}

/// A vector as Chroma is to compare it, with what its length was where that does not count.
///
/// Chroma's own cosine is not used: vectors come back as it has changed them, and zeros have no score there. The inner product of vectors of length 1 is
/// the same.
pub(crate) fn compared(metric: Metric, vector: &[f32]) -> (Vec<f32>, Option<f64>) {
    if metric != Metric::Cosine {
        return (vector.to_vec(), None);
    }
    let squares = vector.iter().map(|number| f64::from(*number).powi(2));
    let norm = squares.sum::<f64>().sqrt();
    let scaled = vector.iter().map(|number| match norm > 0.0 {
        true => (f64::from(*number) / norm) as f32,
        false => 0.0,
    });
    (scaled.collect(), Some(norm))
}

/// A chunk as a record.
pub(crate) fn record(metric: Metric, chunk: &Chunk) -> Record {
    let (vector, norm) = compared(metric, &chunk.vector);
    let kept = json!(Kept {
        attributes: &chunk.attributes,
        metadata: &chunk.metadata,
        norm,
        vector: fingerprint(&vector),
    });
    let mut equals = Vec::new();
    let mut metadata = Map::new();
    for (name, value) in &chunk.attributes {
        equals.push(equality(name, value));
        if let AttributeValue::Number(value) = value {
            equals.push(is_number(name));
            metadata.insert(number(name), (value + 0.0).into());
        }
    }
    metadata.insert(DOCUMENT_ID.to_owned(), chunk.document_id.as_str().into());
    metadata.insert(POSITION.to_owned(), chunk.position.into());
    metadata.insert(EQUALS.to_owned(), equals.into());
    metadata.insert(WORDS.to_owned(), distinct_words(&chunk.text).into_iter().collect());
    metadata.insert(KEPT.to_owned(), kept.to_string().into());
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    Record {
        id: chunk.chunk_id.clone(),
        embedding: STANDARD.encode(bytes),
        document: chunk.text.clone(),
        metadata,
    }
}

impl Record {
    /// About how many bytes it is on the way.
    pub(crate) fn size(&self) -> usize {
        let of_value = |value: &Value| match value {
            Value::String(text) => text.len() + 4,
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(|text| text.len() + 4).sum(),
            _ => 24,
        };
        let metadata = self.metadata.iter().map(|(name, value)| name.len() + of_value(value));
        self.id.len() + self.embedding.len() + self.document.len() + metadata.sum::<usize>()
    }
}

/// The chunk of a record; none if the vector is that of an older or a newer one than the rest.
pub(crate) fn chunk(record: WholeRecord) -> Result<Option<Chunk>> {
    let WholeRecord {
        id,
        document: text,
        metadata,
        vector,
    } = record;
    let read = || {
        let kept: ReadKept = serde_json::from_str(metadata.kept?.as_str()?).ok()?;
        let chunk = Chunk {
            chunk_id: id,
            document_id: metadata.document_id?.as_str()?.to_owned(),
            position: u32::try_from(metadata.position?.as_u64()?).ok()?,
            text,
            vector: Vec::new(),
            attributes: attributes(&kept.attributes).ok()?,
            metadata: kept.metadata,
        };
        Some((chunk, kept.norm, kept.vector))
    };
    let (chunk, norm, written) = read().ok_or_else(|| not_ours("a record"))?;
    Ok((fingerprint(&vector) == written).then(|| Chunk {
        vector: restored(vector, norm),
        ..chunk
    }))
}

fn restored(vector: Vec<f32>, norm: Option<f64>) -> Vec<f32> {
    match norm {
        Some(norm) => vector
            .into_iter()
            .map(|number| (f64::from(number) * norm) as f32)
            .collect(),
        None => vector,
    }
}

/// FNV-1a of 64 bits. It is stored, and must never be another.
fn fingerprint(vector: &[f32]) -> String {
    let bytes = vector.iter().flat_map(|number| number.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The attributes, with numbers read by the standard library: to the last digit.
fn attributes(raw: &BTreeMap<String, Box<RawValue>>) -> serde_json::Result<Attributes> {
    let values = raw.iter().map(|(name, raw)| {
        let value = match raw.get().parse() {
            Ok(number) => AttributeValue::Number(number),
            Err(_) => serde_json::from_str(raw.get())?,
        };
        Ok((name.clone(), value))
    });
    values.collect()
}

#[cfg(test)]
mod tests;
