//! JSON that is converted only when somebody looks at it.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// A JSON document as raw bytes, as a `T`, or as both; each conversion happens at most once, and only when asked for.
///
/// A surface that only routes a request hands on the bytes that came in, and a provider that speaks the same dialect sends them on:
/// nothing is decoded and encoded again. A provider that needs to look asks for the typed view.
pub struct Json<T> {
    // At least one of the two is set.
    raw: OnceLock<Bytes>,
    value: OnceLock<T>,
}

/// Why a document is not a `T`: the place, as a path like `messages[0].content`, and what was wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// The path from the root; empty when the document itself is at fault.
    pub path: String,
    /// What was wrong, with line and column.
    pub message: String,
}

impl<T> Json<T> {
    /// A document whose bytes are at hand. They are not looked at here.
    pub fn from_bytes(raw: impl Into<Bytes>) -> Self {
        Self {
            raw: OnceLock::from(raw.into()),
            value: OnceLock::new(),
        }
    }

    /// A document whose value is at hand.
    pub fn new(value: T) -> Self {
        Self {
            raw: OnceLock::new(),
            value: OnceLock::from(value),
        }
    }

    /// The bytes, if the document came as bytes or was encoded before.
    pub fn raw(&self) -> Option<&Bytes> {
        self.raw.get()
    }

    /// The value, if the document came as a value or was decoded before.
    pub fn value(&self) -> Option<&T> {
        self.value.get()
    }
}

impl<T: DeserializeOwned> Json<T> {
    /// The typed view; decodes on first use.
    pub fn get(&self) -> Result<&T, JsonError> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = decode(self.raw.get().map_or(&[], |raw| &raw[..]))?;
        Ok(self.value.get_or_init(|| value))
    }

    /// The value itself.
    pub fn into_value(self) -> Result<T, JsonError> {
        match self.value.into_inner() {
            Some(value) => Ok(value),
            None => decode(self.raw.get().map_or(&[], |raw| &raw[..])),
        }
    }
}

impl<T: Serialize> Json<T> {
    /// The bytes; encodes on first use. Fails only where `T` has no JSON form, such as a map whose keys are not strings.
    pub fn bytes(&self) -> Result<&Bytes> {
        if let Some(raw) = self.raw.get() {
            return Ok(raw);
        }
        let raw = match self.value.get() {
            Some(value) => serde_json::to_vec(value)
                .map_err(|error| Error::internal("failed to encode a JSON document").with_source(error))?,
            None => return Err(Error::internal("an empty JSON document")),
        };
        Ok(self.raw.get_or_init(|| raw.into()))
    }
}

/// Decodes one document and names the place of a mistake.
fn decode<T: DeserializeOwned>(raw: &[u8]) -> Result<T, JsonError> {
    // The plain decoder is faster; the path is only worth its price when something is wrong.
    serde_json::from_slice(raw).or_else(|_| {
        let mut decoder = serde_json::Deserializer::from_slice(raw);
        let value = serde_path_to_error::deserialize(&mut decoder).map_err(|error| {
            let path = match error.path().to_string() {
                path if path == "." => String::new(),
                path => path,
            };
            JsonError {
                path,
                message: error.into_inner().to_string(),
            }
        })?;
        decoder.end().map_err(|error| JsonError {
            path: String::new(),
            message: error.to_string(),
        })?;
        Ok(value)
    })
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "{}", self.message),
            path => write!(f, "`{path}`: {}", self.message),
        }
    }
}

impl std::error::Error for JsonError {}

/// A request that is not what it should be. What an upstream answers wrongly is another matter: convert that by hand.
impl From<JsonError> for Error {
    fn from(error: JsonError) -> Self {
        let message = error.to_string();
        match error.path.as_str() {
            "" => Error::invalid_request(message),
            path => Error::invalid_request(message).with_param(path),
        }
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Clone> Clone for Json<T> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            value: self.value.clone(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Json<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value.get(), self.raw.get()) {
            (Some(value), _) => f.debug_tuple("Json").field(value).finish(),
            (None, raw) => f
                .debug_tuple("Json")
                .field(&raw.map(|raw| String::from_utf8_lossy(raw)))
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Point {
        at: Vec<i32>,
    }

    #[test]
    fn bytes_that_came_in_go_out_untouched() {
        let json = Json::<Point>::from_bytes(&b"{ \"at\" : [1,2],\"more\":1e2 }"[..]);
        assert_eq!(json.get().unwrap(), &Point { at: vec![1, 2] });
        assert_eq!(json.bytes().unwrap(), &b"{ \"at\" : [1,2],\"more\":1e2 }"[..]);
    }

    #[test]
    fn a_value_is_encoded_once() {
        let json = Json::new(Point { at: vec![3] });
        let first = json.bytes().unwrap().as_ptr();
        assert_eq!(json.bytes().unwrap().as_ptr(), first);
        assert_eq!(json.raw().unwrap(), &b"{\"at\":[3]}"[..]);
    }

    #[test]
    fn a_mistake_is_named_with_its_path() {
        for (raw, path) in [
            ("{\"at\":[1,\"x\"]}", "at[1]"),
            ("{\"at\":[1]} x", ""),
            ("", ""),
            ("[1", "[0]"),
        ] {
            let error = Json::<Point>::from_bytes(raw.as_bytes()).into_value().unwrap_err();
            assert_eq!(error.path, path, "{raw}: {error}");
        }
    }
}
