//! Streams of chunks: events in, documents with the requested model id out.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use puna_api::{Error, Json, Result};
use puna_http::ResponseBody;

use crate::edit::Edits;
use crate::error::{Credential, excerpt, from_error_object};
use crate::sse::{EventTooLong, SseParser};
use puna_api::scan::{items, members};

/// The longest event. A chunk of a stream is a few hundred bytes; one with a large tool call or audio may be more.
const MAX_EVENT: usize = 16 << 20;

/// A stream of chunks of an answer. Dropping it closes the connection to the upstream.
pub(crate) struct ChunkStream<T> {
    provider: Arc<str>,
    credential: Credential,
    /// The body; gone after the end.
    body: Option<ResponseBody>,
    events: SseParser,
    /// The requested model id as JSON.
    model: Bytes,
    include_usage: bool,
    /// A choice has ended.
    is_finished: bool,
    chunk: PhantomData<fn() -> T>,
}

/// What a chunk says, besides passing through.
#[derive(Default)]
struct Seen {
    model: Option<std::ops::Range<usize>>,
    members: usize,
    is_error: bool,
    has_choices: bool,
    has_usage: bool,
    is_finished: bool,
}

impl<T> ChunkStream<T> {
    pub(crate) fn new(
        provider: Arc<str>,
        credential: Credential,
        body: ResponseBody,
        model: Bytes,
        include_usage: bool,
    ) -> Self {
        Self {
            provider,
            credential,
            body: Some(body),
            events: SseParser::new(MAX_EVENT),
            model,
            include_usage,
            is_finished: false,
            chunk: PhantomData,
        }
    }

    /// What is made of an event: a chunk, nothing, or the end.
    fn take(&mut self, data: &Bytes) -> Result<Option<Json<T>>> {
        let seen = look(data).map_err(|why| self.malformed(data, &why))?;
        if seen.is_error {
            return Err(from_error_object(&self.provider, data, &self.credential));
        }
        self.is_finished |= seen.is_finished;
        // Some servers tell the usage although nobody asked.
        if seen.has_usage && !seen.has_choices && !self.include_usage {
            return Ok(None);
        }
        let mut edits = Edits::default();
        match seen.model {
            Some(place) if data[place.clone()] == *self.model => {}
            Some(place) => edits.replace(place, self.model.clone()),
            None => edits.add("model", &self.model),
        }
        Ok(Some(Json::from_bytes(edits.into_bytes(data, seen.members > 0))))
    }

    fn malformed(&self, data: &[u8], why: &str) -> Error {
        Error::unavailable(format!(
            "provider `{}` sent a chunk that is not a JSON object: {why}",
            self.provider
        ))
        .with_context(format!("the chunk begins with {:?}", excerpt(data)))
    }

    fn too_long(&self, error: EventTooLong) -> Error {
        Error::unavailable(format!(
            "provider `{}` sent a chunk of more than {} bytes",
            self.provider, error.limit
        ))
        .with_source(error)
    }

    fn ended_early(&self) -> Error {
        Error::unavailable(format!(
            "provider `{}` ended its stream before the answer was complete",
            self.provider
        ))
    }

    /// The next chunk; `None` at the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Json<T>>>> {
        loop {
            while let Some(event) = self.events.next_event().map_err(|error| self.too_long(error))? {
                if is_done(&event.data) {
                    // The body's own end is of no interest to the client, so it is not waited for.
                    if let Some(body) = self.body.take() {
                        body.finish();
                    }
                    return Poll::Ready(None);
                }
                if let Some(chunk) = self.take(&event.data)? {
                    return Poll::Ready(Some(Ok(chunk)));
                }
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match ready!(body.poll_next_piece(cx)) {
                Some(piece) => self.events.push(piece?),
                None => {
                    self.body = None;
                    return Poll::Ready(self.at_end().transpose());
                }
            }
        }
    }

    /// What the end of the body leaves.
    fn at_end(&mut self) -> Result<Option<Json<T>>> {
        if let Some(event) = self.events.finish().map_err(|error| self.too_long(error))? {
            if is_done(&event.data) {
                return Ok(None);
            }
            // Half a chunk at the end is one that the connection's end cut off.
            if look(&event.data).is_err() {
                return Err(self.ended_early());
            }
            if let Some(chunk) = self.take(&event.data)? {
                return if self.is_finished {
                    Ok(Some(chunk))
                } else {
                    Err(self.ended_early())
                };
            }
        }
        if self.is_finished {
            Ok(None)
        } else {
            Err(self.ended_early())
        }
    }
}

impl<T> Stream for ChunkStream<T> {
    type Item = Result<Json<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Json<T>>>> {
        let chunk = self.poll_chunk(cx);
        if let Poll::Ready(Some(Err(_)) | None) = &chunk {
            // Nothing comes after the end, or after a fault; what is left unread is cancelled.
            self.body = None;
            self.events = SseParser::new(MAX_EVENT);
        }
        chunk
    }
}

fn is_done(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]"
}

/// Looks at a chunk; the error says why it is none.
fn look(data: &[u8]) -> Result<Seen, String> {
    let mut seen = Seen::default();
    members(data, |member| {
        seen.members += 1;
        let value = &data[member.value.clone()];
        match &*member.name {
            b"model" => seen.model = Some(member.value),
            b"choices" => {
                // A value that is not an array has no choices.
                let _ = items(value, |choice| {
                    seen.has_choices = true;
                    seen.is_finished |= has_finish_reason(&value[choice]);
                });
            }
            b"usage" => seen.has_usage = value != b"null",
            b"error" => seen.is_error |= value != b"null",
            b"object" => seen.is_error |= value == b"\"error\"",
            _ => {}
        }
    })
    .map_err(|error| error.to_string())?;
    match std::str::from_utf8(data) {
        Ok(_) => Ok(seen),
        Err(error) => Err(error.to_string()),
    }
}

fn has_finish_reason(choice: &[u8]) -> bool {
    let mut found = false;
    let scanned = members(choice, |member| {
        found |= &*member.name == b"finish_reason" && &choice[member.value] != b"null";
    });
    scanned.is_ok() && found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_seen_for_what_it_is() {
        for (data, is_error, has_choices, has_usage, is_finished) in [
            (
                r#"{"choices":[{"delta":{"content":"finish_reason"},"finish_reason":null}]}"#,
                false,
                true,
                false,
                false,
            ),
            (
                r#"{"choices":[{"finish_reason":null},{"finish_reason":"stop"}]}"#,
                false,
                true,
                false,
                true,
            ),
            (
                r#"{"choices":[],"usage":{"total_tokens":1}}"#,
                false,
                false,
                true,
                false,
            ),
            (r#"{"choices":[{}],"usage":null}"#, false, true, false, false),
            (r#"{"error":null,"choices":null}"#, false, false, false, false),
            (r#"{"error":{"message":"m"}}"#, true, false, false, false),
            (r#"{"object":"error","message":"m"}"#, true, false, false, false),
        ] {
            let seen = look(data.as_bytes()).unwrap();
            let found = (seen.is_error, seen.has_choices, seen.has_usage, seen.is_finished);
            assert_eq!(found, (is_error, has_choices, has_usage, is_finished), "{data}");
        }
        for data in [&b"not json"[..], b"[]", b"{\"a\":", b"{\"a\":\"\xff\"}"] {
            assert!(look(data).is_err());
        }
    }
}
