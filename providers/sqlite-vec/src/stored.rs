//! How attributes are written in the file: as JSON with numbers as texts, which are read again to the last digit.

use std::collections::BTreeMap;

use puna_api::{AttributeValue, Attributes};
use serde::de::Error;
use serde::{Deserialize, Serialize};

/// A value. A number is an array with its text, which tells it from texts.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Boolean(bool),
    Text(String),
    Number([String; 1]),
}

pub(crate) fn to_json(attributes: &Attributes) -> serde_json::Result<String> {
    let stored: BTreeMap<&String, Stored> = attributes.iter().map(|(name, value)| (name, stored(value))).collect();
    serde_json::to_string(&stored)
}

pub(crate) fn from_json(json: &[u8]) -> serde_json::Result<Attributes> {
    let stored: BTreeMap<String, Stored> = serde_json::from_slice(json)?;
    stored
        .into_iter()
        .map(|(name, stored)| Ok((name, value(stored)?)))
        .collect()
}

fn stored(value: &AttributeValue) -> Stored {
    match value {
        AttributeValue::Boolean(value) => Stored::Boolean(*value),
        AttributeValue::Number(value) => Stored::Number([format!("{value:?}")]),
        AttributeValue::Text(value) => Stored::Text(value.clone()),
    }
}

fn value(stored: Stored) -> serde_json::Result<AttributeValue> {
    Ok(match stored {
        Stored::Boolean(value) => AttributeValue::Boolean(value),
        Stored::Text(value) => AttributeValue::Text(value),
        Stored::Number([text]) => AttributeValue::Number(text.parse().map_err(serde_json::Error::custom)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_as_it_was_written() {
        let mut bits = 1_u64;
        for _ in 0..20_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let attributes = Attributes::from([("n".to_owned(), number.into())]);
                let read = from_json(to_json(&attributes).unwrap().as_bytes()).unwrap();
                assert_eq!(read, attributes);
            }
        }
    }

    #[test]
    fn types_are_kept() {
        let attributes = Attributes::from([
            ("boolean".to_owned(), true.into()),
            ("number".to_owned(), 1843.0.into()),
            ("text".to_owned(), "1843".to_owned().into()),
        ]);
        let json = to_json(&attributes).unwrap();
        assert_eq!(json, r#"{"boolean":true,"number":["1843.0"],"text":"1843"}"#);
        assert_eq!(from_json(json.as_bytes()).unwrap(), attributes);
        assert!(from_json(br#"{"number":["x"]}"#).is_err());
    }
}
