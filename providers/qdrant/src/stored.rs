//! How a chunk is written as a point.

use std::collections::{BTreeMap, HashMap};

use puna_api::{AttributeValue, Attributes, Chunk, Metric, Result};
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vector_output::Vector as VectorOutput;
use qdrant_client::qdrant::{
    ListValue, NamedVectors, PointId, PointStruct, RetrievedPoint, Struct, Value, Vector, Vectors,
};
use ring::digest::{SHA256, digest};
use serde_json::value::RawValue;

use crate::error::not_ours;
use crate::fields::{
    ATTRIBUTES, CHUNK_ID, DOCUMENT_ID, EQUALS, INDEX_ID, METADATA, NORM, NUMBERS, POSITION, TEXT, written,
};
use crate::filter::equality;
use crate::indexes::Index;
use crate::words;

/// The vectors of each point: one to compare, and one of the words.
pub(crate) const DENSE: &str = "dense";
pub(crate) const WORDS: &str = "words";

/// The id of a chunk's point: a UUID (version 8) of what a hash has of both ids, as Qdrant takes no other texts.
pub(crate) fn point_id(index_id: &str, chunk_id: &str) -> PointId {
    // The id of an index has no character 0.
    let hash = digest(&SHA256, format!("{index_id}\0{chunk_id}").as_bytes());
    let mut hex = hex::encode(&hash.as_ref()[..16]);
    hex.replace_range(12..13, "8");
    let variant = u8::from_str_radix(&hex[16..17], 16).unwrap_or_default() & 0x3 | 0x8;
    hex.replace_range(16..17, &format!("{variant:x}"));
    for place in [20, 16, 12, 8] {
        hex.insert(place, '-');
    }
    hex.into()
}

/// A vector as Qdrant is to compare it, with what its length was where that does not count.
pub(crate) fn compared(metric: Metric, vector: &[f32]) -> (Vec<f32>, Option<f64>) {
    if metric != Metric::Cosine {
        return (vector.to_vec(), None);
    }
    // Qdrant does so itself, but for vectors that are very short, and forgets the length.
    let norm = vector
        .iter()
        .map(|number| f64::from(*number).powi(2))
        .sum::<f64>()
        .sqrt();
    let scaled = vector.iter().map(|number| match norm > 0.0 {
        true => (f64::from(*number) / norm) as f32,
        false => 0.0,
    });
    (scaled.collect(), Some(norm))
}

/// A chunk as a point, with all that it has.
pub(crate) fn point(index: &Index, chunk: &Chunk) -> PointStruct {
    let (vector, norm) = compared(index.about.metric, &chunk.vector);
    let mut vectors = HashMap::from([(DENSE.to_owned(), Vector::new_dense(vector))]);
    if let Some(words) = words::of_text(&chunk.text) {
        vectors.insert(WORDS.to_owned(), words.into());
    }
    let equals = chunk
        .attributes
        .iter()
        .map(|(name, value)| equality(name, value).into());
    let numbers = chunk.attributes.iter().filter_map(|(name, value)| match value {
        AttributeValue::Number(number) => Some((written(name), (*number).into())),
        AttributeValue::Boolean(_) | AttributeValue::Text(_) => None,
    });
    let mut payload: HashMap<String, Value> = HashMap::from([
        (CHUNK_ID.to_owned(), chunk.chunk_id.clone().into()),
        (DOCUMENT_ID.to_owned(), chunk.document_id.clone().into()),
        (POSITION.to_owned(), i64::from(chunk.position).into()),
        (TEXT.to_owned(), chunk.text.clone().into()),
        (ATTRIBUTES.to_owned(), attributes_to_json(&chunk.attributes).into()),
        (
            METADATA.to_owned(),
            serde_json::Value::Object(chunk.metadata.clone()).to_string().into(),
        ),
        (
            EQUALS.to_owned(),
            Kind::ListValue(ListValue {
                values: equals.collect(),
            })
            .into(),
        ),
        (
            NUMBERS.to_owned(),
            Kind::StructValue(Struct {
                fields: numbers.collect(),
            })
            .into(),
        ),
    ]);
    if let Some(norm) = norm {
        payload.insert(NORM.to_owned(), norm.into());
    }
    if index.is_shared {
        payload.insert(INDEX_ID.to_owned(), index.about.index_id.clone().into());
    }
    PointStruct {
        id: Some(point_id(&index.about.index_id, &chunk.chunk_id)),
        payload,
        vectors: Some(Vectors::from(NamedVectors { vectors })),
    }
}

/// The chunk of a point.
pub(crate) fn chunk(mut point: RetrievedPoint) -> Result<Chunk> {
    let vector = point
        .vectors
        .as_ref()
        .and_then(|vectors| vectors.get_vector_by_name(DENSE));
    let read = || {
        let Some(VectorOutput::Dense(vector)) = vector else {
            return None;
        };
        let payload = &mut point.payload;
        let norm = match payload.remove(NORM) {
            Some(norm) => Some(number(&norm)?),
            None => None,
        };
        Some(Chunk {
            chunk_id: take_text(payload, CHUNK_ID)?,
            document_id: take_text(payload, DOCUMENT_ID)?,
            position: payload.get(POSITION).and_then(position)?,
            text: take_text(payload, TEXT)?,
            vector: restored(vector.data, norm),
            attributes: attributes(&take_text(payload, ATTRIBUTES)?).ok()?,
            metadata: serde_json::from_str(&take_text(payload, METADATA)?).ok()?,
        })
    };
    read().ok_or_else(|| not_ours("a point"))
}

/// Takes a text out of a payload.
pub(crate) fn take_text(payload: &mut HashMap<String, Value>, name: &str) -> Option<String> {
    match payload.remove(name)?.kind? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

fn position(value: &Value) -> Option<u32> {
    match value.kind.as_ref()? {
        Kind::IntegerValue(value) => u32::try_from(*value).ok(),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value.kind.as_ref()? {
        Kind::DoubleValue(value) => Some(*value),
        Kind::IntegerValue(value) => Some(*value as f64),
        _ => None,
    }
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

fn attributes_to_json(attributes: &Attributes) -> String {
    let values = attributes.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::Boolean(value) => serde_json::Value::from(*value),
            AttributeValue::Number(value) => (*value).into(),
            AttributeValue::Text(value) => value.as_str().into(),
        };
        (name.clone(), value)
    });
    values.collect::<serde_json::Value>().to_string()
}

/// The attributes, with numbers read by the standard library: to the last digit.
fn attributes(json: &str) -> serde_json::Result<Attributes> {
    let raw: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
    let values = raw.into_iter().map(|(name, raw)| {
        let value = match raw.get().parse() {
            Ok(number) => AttributeValue::Number(number),
            Err(_) => serde_json::from_str(raw.get())?,
        };
        Ok((name, value))
    });
    values.collect()
}

#[cfg(test)]
mod tests;
