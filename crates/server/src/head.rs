//! The few fields of a request body that the server itself looks at.
//!
//! One pass checks that the body is JSON and picks out the fields of a table, as the text they are written in; nothing else is decoded. What
//! is wrong gets the error that names the field. The body itself travels on as it came.

use std::borrow::Cow;

use puna_api::scan::{ScanError, check_array_within, members_within};
use puna_api::{Error, Result};
use serde::de::IgnoredAny;

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
        let text = text(body, "object")?;
        let head = Self::pick(text, table, max_depth)?;
        for (field, value) in table.iter().zip(head.values) {
            field.check(value)?;
        }
        Ok(head)
    }

    fn pick(text: &'a str, table: &'static [Field], max_depth: usize) -> Result<Self> {
        let place = |name: &[u8]| table.binary_search_by(|field| field.name.as_bytes().cmp(name)).ok();
        let mut values = [None; MAX_FIELDS];
        let mut duplicate = None;
        let scanned = members_within(text.as_bytes(), max_depth, |member| {
            if let Some(field) = place(&member.name)
                && values[field].replace(&text[member.value]).is_some()
            {
                duplicate.get_or_insert(table[field].name);
            }
        });
        match (scanned, duplicate) {
            (Err(error), _) => Err(unreadable(&error, text, "object", place, table, max_depth)),
            (Ok(()), Some(name)) => Err(Error::invalid_request(format!("`{name}` is there twice; send it once"))
                .with_param(name)
                .with_code("duplicate_parameter")),
            (Ok(()), None) => Ok(Self { table, values }),
        }
    }

    /// The field's value as it is written; `None` where it is absent or null.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
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

    /// The value of a field with [`Rule::Flag`]; `None` where it is absent.
    pub(crate) fn flag_if_any(&self, name: &str) -> Option<bool> {
        self.raw(name).map(|raw| raw == "true")
    }

    /// Whether the answer is to be a stream. Fails where there are `stream_options` for one that is not.
    pub(crate) fn stream(&self) -> Result<bool> {
        let stream = self.flag("stream");
        if !stream && self.raw("stream_options").is_some() {
            let message = "`stream_options` is for streams alone; leave it out, or set `stream` to true";
            return Err(Error::invalid_request(message).with_param("stream_options"));
        }
        Ok(stream)
    }
}

/// Checks that a body is one JSON array that nests no deeper than `max_depth`.
pub(crate) fn check_array(body: &[u8], max_depth: usize) -> Result<()> {
    let text = text(body, "array")?;
    check_array_within(body, max_depth).map_err(|error| unreadable(&error, text, "array", |_| None, &[], max_depth))
}

/// A body's text; `root` is what it is to be.
fn text<'a>(body: &'a [u8], root: &str) -> Result<&'a str> {
    let text = std::str::from_utf8(body).map_err(|error| {
        invalid_json(format!(
            "the request body is not valid UTF-8: a wrong byte at offset {}",
            error.valid_up_to()
        ))
    })?;
    if text.trim_ascii().is_empty() {
        return Err(invalid_json(format!("the request body is empty; send a JSON {root}")));
    }
    Ok(text)
}

fn invalid_json(message: impl Into<String>) -> Error {
    Error::invalid_request(message).with_code("invalid_json")
}

/// What is wrong with a body that was not read to its end.
fn unreadable(
    error: &ScanError,
    text: &str,
    root: &str,
    place: impl Fn(&[u8]) -> Option<usize>,
    table: &'static [Field],
    max_depth: usize,
) -> Error {
    if error.is_too_deep {
        return Error::invalid_request(format!(
            "the request body nests more than {max_depth} arrays and objects in each other (max_json_depth)"
        ))
        .with_code("json_too_deep");
    }
    let is_whole_value = serde_json::from_str::<IgnoredAny>(text).is_ok();
    if is_whole_value {
        return invalid_json(format!("the request body is not a JSON {root}"));
    }
    let (line, column) = error.position(text.as_bytes());
    let expected = error.expected;
    let message = format!("the request body is not valid JSON: expected {expected} at line {line} column {column}");
    let field = error.member.clone().and_then(|name| place(text[name].as_bytes()));
    match field.map(|field| table[field].name) {
        Some(name) => invalid_json(format!("{message}, in `{name}`")).with_param(name),
        None => invalid_json(message),
    }
}

#[cfg(test)]
mod tests;
