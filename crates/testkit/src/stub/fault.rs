//! The ways in which an upstream misbehaves.

use serde_json::{Value, json};

/// A way in which a path misbehaves.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Never answers.
    Hang,
    /// Closes the connection without an answer.
    Disconnect,
    /// Reads this many bytes of the request's body, then closes the connection.
    CutUpload(usize),
    /// Answers with this status, these headers and this body.
    Answer {
        /// The HTTP status.
        status: u16,
        /// Headers besides `content-length`.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Promises a body and closes the connection in the middle of it.
    TruncatedBody,
    /// Streams this many chunks, then closes the connection.
    DisconnectAfter(usize),
    /// Streams this many chunks, then one that is no JSON, then the rest.
    MalformedChunkAfter(usize),
    /// Streams this many chunks, then an error object in place of the rest.
    ErrorAfter(usize),
    /// Streams this many chunks, then neither sends nor closes.
    StallAfter(usize),
    /// Streams this many chunks and ends the body properly, without the rest and without `[DONE]`.
    EndAfter(usize),
}

impl Fault {
    /// The message of the error object that [`Fault::ErrorAfter`] sends.
    pub const STREAM_ERROR_MESSAGE: &'static str = "the stub ran out of words";

    /// An HTML page, as a proxy in front of the upstream answers it.
    pub fn html(status: u16) -> Self {
        Self::Answer {
            status,
            headers: vec![("content-type".to_owned(), "text/html; charset=utf-8".to_owned())],
            body:
                "<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
                    .to_owned(),
        }
    }

    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Answer {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.to_string(),
        }
    }

    /// An error object as OpenAI has it.
    pub fn error(status: u16, message: &str, error_type: &str, code: Option<&str>) -> Self {
        Self::json(
            status,
            &json!({ "error": { "message": message, "type": error_type, "param": null, "code": code } }),
        )
    }

    /// The same answer with another header. Does nothing for a fault that sends no headers of its own.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// How the events of a stream are cut into writes. Each is a valid way to send the same stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Framing {
    /// One write per event, as servers do.
    #[default]
    Events,
    /// One write per byte, so that events, lines and characters are cut anywhere.
    Bytes,
    /// One write for the whole stream.
    Whole,
    /// Lines that end in CR LF, comments between events, no space after the colon, and `id` and `event` fields.
    Ornate,
}
