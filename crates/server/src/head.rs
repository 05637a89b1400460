//! The few fields of a request body that the server itself looks at.
//!
//! One pass checks that the body is JSON and picks out the fields of a table, as the text they are written in; nothing else is decoded. What
//! is wrong gets the error that names the field. The body itself travels on as it came.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use puna_api::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::json_depth::is_deeper_than;

mod rule;

pub(crate) use rule::{Field, Rule};

/// No table is longer than this.
pub(crate) const MAX_FIELDS: usize = 24;

/// The fields of a table that a body has.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    table: &'static [Field],
    values: [Option<&'a str>; MAX_FIELDS],
}

impl<'a> Head<'a> {
    /// Reads a body and checks the fields of `table`, which is sorted by name.
    pub(crate) fn parse(body: &'a [u8], table: &'static [Field], max_depth: usize) -> Result<Self> {
        let text = std::str::from_utf8(body).map_err(|error| {
            invalid_json(format!(
                "the request body is not valid UTF-8: a wrong byte at offset {}",
                error.valid_up_to()
            ))
        })?;
        if text.trim_ascii().is_empty() {
            return Err(invalid_json("the request body is empty; send a JSON object"));
        }
        if is_deeper_than(body, max_depth) {
            return Err(Error::invalid_request(format!(
                "the request body nests more than {max_depth} arrays and objects in each other (max_json_depth)"
            ))
            .with_code("json_too_deep"));
        }
        let head = Self::pick(text, table)?;
        for (field, value) in table.iter().zip(head.values) {
            field.check(value)?;
        }
        Ok(head)
    }

    fn pick(text: &'a str, table: &'static [Field]) -> Result<Self> {
        let place = Place::default();
        let mut decoder = serde_json::Deserializer::from_str(text);
        let picked = Pick { table, place: &place }.deserialize(&mut decoder);
        let values = picked.and_then(|values| decoder.end().map(|()| values));
        let error = match values {
            Ok(values) => return Ok(Self { table, values }),
            Err(error) => error,
        };
        let field = place.field.get().map(|field| table[field].name);
        if let (Some(name), true) = (field, place.duplicate.get()) {
            return Err(Error::invalid_request(format!("`{name}` is there twice; send it once"))
                .with_param(name)
                .with_code("duplicate_parameter"));
        }
        if error.classify() == Category::Data {
            return Err(invalid_json("the request body is not a JSON object"));
        }
        Err(match field {
            Some(name) => {
                invalid_json(format!("the request body is not valid JSON: {error}, in `{name}`")).with_param(name)
            }
            None => invalid_json(format!("the request body is not valid JSON: {error}")),
        })
    }

    /// The field's value as it is written; `None` where it is absent or null.
    fn raw(&self, name: &str) -> Option<&'a str> {
        let place = self.table.binary_search_by(|field| field.name.cmp(name)).ok()?;
        self.values[place].filter(|raw| *raw != "null")
    }

    /// The text of a field with [`Rule::Text`]; empty where it is absent.
    pub(crate) fn text(&self, name: &str) -> Cow<'a, str> {
        let Some(raw) = self.raw(name) else {
            return Cow::Borrowed("");
        };
        match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
            _ => Cow::Owned(serde_json::from_str(raw).unwrap_or_default()),
        }
    }

    /// The value of a field with [`Rule::Flag`]; false where it is absent.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.raw(name) == Some("true")
    }
}

fn invalid_json(message: impl Into<String>) -> Error {
    Error::invalid_request(message).with_code("invalid_json")
}

/// Where the decoder is, for the error message: which field of the table it is in, and whether it is there again.
#[derive(Default)]
struct Place {
    field: Cell<Option<usize>>,
    duplicate: Cell<bool>,
}

/// Picks the fields of the table out of an object.
struct Pick<'p> {
    table: &'static [Field],
    place: &'p Place,
}

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = [Option<&'de str>; MAX_FIELDS];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = [Option<&'de str>; MAX_FIELDS];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; MAX_FIELDS];
        while let Some(field) = map.next_key_seed(Key(self.table))? {
            self.place.field.set(field);
            let Some(field) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if values[field].is_some() {
                self.place.duplicate.set(true);
                return Err(serde::de::Error::custom("duplicate"));
            }
            values[field] = Some(map.next_value::<&RawValue>()?.get());
            self.place.field.set(None);
        }
        Ok(values)
    }
}

/// Finds a key's place in the table.
struct Key(&'static [Field]);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.binary_search_by(|field| field.name.cmp(key)).ok())
    }
}

#[cfg(test)]
mod tests;
