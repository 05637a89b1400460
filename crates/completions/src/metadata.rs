//! The notes on a chat completion.

use std::collections::BTreeMap;

use puna_api::{Error, Result};

/// How many notes there are at most, and how long in characters: the bounds of OpenAI's specification.
const MOST: usize = 16;
const LONGEST_NAME: usize = 64;
const LONGEST_VALUE: usize = 512;

/// Notes on a chat completion, by which it can be found again: at most 16, with names of 64 and values of 512 characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// Fails as an invalid request when there are too many notes, or when one is too long.
    pub fn new(notes: BTreeMap<String, String>) -> Result<Self> {
        let wrong = |message: String| Err(Error::invalid_request(message).with_param("metadata"));
        if notes.len() > MOST {
            return wrong(format!("`metadata` has {} keys; send {MOST} at most", notes.len()));
        }
        for (name, value) in &notes {
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            for (what, text, longest) in [("key", name, LONGEST_NAME), ("value", value, LONGEST_VALUE)] {
                let length = text.chars().count();
                if length > longest {
                    return wrong(format!(
                        "`metadata` has a {what} of {length} characters (`{shown}`); {longest} are the most"
                    ));
                }
                if text.contains('\0') {
                    return wrong(format!(
                        "`metadata` has a {what} with a zero character (`{shown}`); leave it out"
                    ));
                }
            }
        }
        Ok(Self(notes))
    }

    /// Reads a JSON object of texts; null is an empty one.
    pub fn parse(json: &str) -> Result<Self> {
        let notes = serde_json::from_str::<Option<BTreeMap<String, String>>>(json).map_err(|error| {
            Error::invalid_request(format!(
                "`metadata` must be an object whose values are strings: {error}"
            ))
            .with_param("metadata")
        })?;
        Self::new(notes.unwrap_or_default())
    }

    /// The notes, by name.
    pub fn notes(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// A JSON object.
    pub(crate) fn to_json(&self) -> String {
        // Texts by texts always have a JSON form.
        serde_json::to_string(&self.0).unwrap_or_else(|_| "{}".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_openai() {
        let notes = |count: usize, name: usize, value: usize| {
            let note = |number: usize| (format!("{number:0>name$}"), "ä".repeat(value));
            Metadata::new((0..count).map(note).collect())
        };
        assert_eq!(notes(16, 64, 512).unwrap().notes().len(), 16);
        for (count, name, value) in [(17, 2, 1), (1, 65, 1), (1, 1, 513)] {
            let error = notes(count, name, value).unwrap_err();
            assert_eq!(error.param(), Some("metadata"));
        }
        assert!(
            Metadata::parse(r#"{"a":"\u0000"}"#)
                .unwrap_err()
                .message()
                .contains("zero")
        );
    }

    #[test]
    fn values_are_texts() {
        assert_eq!(Metadata::parse("null").unwrap(), Metadata::default());
        assert_eq!(
            Metadata::parse(r#"{ "b": "2", "a": "1" }"#).unwrap().to_json(),
            r#"{"a":"1","b":"2"}"#
        );
        assert!(Metadata::parse(r#"{"a":1}"#).unwrap_err().message().contains("strings"));
    }
}
