//! JSON values that are a string or something else.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A string, or a value of the other shape that the place allows.
pub(super) enum StringOr<T> {
    String(String),
    Value(T),
}

/// Reads a string or an array. Faults inside the array keep their path; `expecting` is what to say about another shape.
pub(super) fn string_or_array<'de, D, T>(deserializer: D, expecting: &'static str) -> Result<StringOr<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(StringOrArray {
        expecting,
        items: PhantomData,
    })
}

/// Reads a string or an object. Faults inside the object keep their path; `expecting` is what to say about another shape.
pub(super) fn string_or_object<'de, D, T>(deserializer: D, expecting: &'static str) -> Result<StringOr<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(StringOrObject {
        expecting,
        object: PhantomData,
    })
}

struct StringOrArray<T> {
    expecting: &'static str,
    items: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for StringOrArray<T> {
    type Value = StringOr<Vec<T>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(StringOr::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(StringOr::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(StringOr::Value)
    }
}

struct StringOrObject<T> {
    expecting: &'static str,
    object: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for StringOrObject<T> {
    type Value = StringOr<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expecting)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(StringOr::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(StringOr::String(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(StringOr::Value)
    }
}
