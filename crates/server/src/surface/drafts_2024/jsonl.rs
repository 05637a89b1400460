//! Answers of one JSON document to a line.

use puna_api::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;

use crate::call::Reply;
use crate::routes::{Answer, schema_of};

const JSONL: &str = "application/jsonl";

/// An answer whose lines are each a `T`.
pub(super) const fn lines_of<T: JsonSchema>() -> Answer {
    Answer {
        content_type: JSONL,
        schema: schema_of::<T>,
    }
}

/// The lines of an answer.
pub(super) fn reply<T: Serialize>(items: impl IntoIterator<Item = T>) -> Result<Reply> {
    let mut body = Vec::new();
    for item in items {
        serde_json::to_writer(&mut body, &item)
            .map_err(|error| Error::internal("failed to encode a line of an answer").with_source(error))?;
        body.push(b'\n');
    }
    Ok(Reply::Document {
        content_type: JSONL,
        body: body.into(),
    })
}
