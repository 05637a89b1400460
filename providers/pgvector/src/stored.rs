//! How a chunk is written in columns.

use std::borrow::Cow;
use std::collections::BTreeMap;

use puna_api::{AttributeValue, Attributes, Chunk};
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::Row;
use sqlx::postgres::PgRow;

/// The columns that [`chunk`] reads.
pub(crate) const COLUMNS: &str = "chunk_id, document_id, position, text, embedding::REAL[] AS embedding, attributes::TEXT AS attributes, metadata::TEXT AS metadata";

/// A text as PostgreSQL takes it, which knows no character 0: that one is written as two characters 1, and 1 as 1 and 2. Texts keep their order.
pub(crate) fn written(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', '\u{1}']) {
        return text.replace('\u{1}', "\u{1}\u{2}").replace('\0', "\u{1}\u{1}").into();
    }
    text.into()
}

/// The text that was written so.
pub(crate) fn read(text: String) -> String {
    if text.contains('\u{1}') {
        return text.replace("\u{1}\u{1}", "\0").replace("\u{1}\u{2}", "\u{1}");
    }
    text
}

/// Attributes as JSON.
pub(crate) fn attributes_to_json(attributes: &Attributes) -> String {
    attributes
        .iter()
        .map(|(name, value)| (written(name).into_owned(), json(value)))
        .collect::<Value>()
        .to_string()
}

/// One attribute as JSON, for what looks for those that have it.
pub(crate) fn attribute_to_json(name: &str, value: &AttributeValue) -> String {
    Value::from_iter([(written(name).into_owned(), json(value))]).to_string()
}

/// A chunk of a row.
pub(crate) fn chunk(row: &PgRow) -> sqlx::Result<Chunk> {
    let unreadable = |error: serde_json::Error| sqlx::Error::Decode(error.into());
    let position = row.try_get::<i64, _>("position")?;
    Ok(Chunk {
        chunk_id: read(row.try_get("chunk_id")?),
        document_id: read(row.try_get("document_id")?),
        position: u32::try_from(position).map_err(|error| sqlx::Error::Decode(error.into()))?,
        text: read(row.try_get("text")?),
        vector: row.try_get("embedding")?,
        attributes: attributes(row.try_get("attributes")?).map_err(unreadable)?,
        metadata: serde_json::from_str(row.try_get("metadata")?).map_err(unreadable)?,
    })
}

fn json(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::Boolean(value) => (*value).into(),
        AttributeValue::Number(value) => (*value).into(),
        AttributeValue::Text(value) => written(value).into(),
    }
}

/// The attributes in JSON that the database has written: with numbers in all their digits, which the standard library reads to the last one.
fn attributes(json: &str) -> serde_json::Result<Attributes> {
    let raw: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
    raw.into_iter()
        .map(|(name, raw)| {
            let value = match raw.get().parse() {
                Ok(number) => AttributeValue::Number(number),
                Err(_) => match serde_json::from_str(raw.get())? {
                    AttributeValue::Text(text) => AttributeValue::Text(read(text)),
                    other => other,
                },
            };
            Ok((read(name), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_were_written_and_keep_their_order() {
        let characters = ['\0', '\u{1}', '\u{2}', 'a'];
        let mut texts = vec![String::new()];
        for length in 0..3 {
            let longer = texts.iter().filter(|text| text.len() == length);
            let longer: Vec<String> = longer
                .flat_map(|text| characters.map(|character| format!("{text}{character}")))
                .collect();
            texts.extend(longer);
        }
        texts.sort_unstable();
        for pair in texts.windows(2) {
            assert!(written(&pair[0]) < written(&pair[1]), "{pair:?}");
        }
        for text in texts {
            assert!(!written(&text).contains('\0'));
            assert_eq!(read(written(&text).into_owned()), text);
        }
    }

    #[test]
    fn every_number_is_read_as_it_was_written() {
        let mut bits = 1_u64;
        for _ in 0..20_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let there = Attributes::from([("n".to_owned(), number.into())]);
                assert_eq!(attributes(&attributes_to_json(&there)).unwrap(), there);
                // In all digits, as the database has it.
                assert_eq!(attributes(&format!("{{\"n\": {number}}}")).unwrap(), there);
            }
        }
    }

    #[test]
    fn types_are_kept() {
        let there = Attributes::from([
            ("boolean".to_owned(), true.into()),
            ("nul\0".to_owned(), 1843.0.into()),
            ("text".to_owned(), "18\"\0 43".to_owned().into()),
            ("words".to_owned(), "NaN".to_owned().into()),
        ]);
        assert_eq!(attributes(&attributes_to_json(&there)).unwrap(), there);
        assert!(attributes(r#"{"list": []}"#).is_err());
    }
}
