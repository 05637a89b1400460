//! What the mock upstream answers, prepared in advance: the shapes are those of OpenAI's chat completions.

use std::time::Duration;

use crate::event_stream::{STAMP_DIGITS, STAMP_MARK, write_stamp};

/// The only model of the mock upstream.
pub(crate) const MODEL: &str = "mock-model";

/// How the mock streams an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamShape {
    /// How many chunks carry text.
    pub chunks: u32,
    /// The time from one chunk to the next.
    pub interval: Duration,
}

impl Default for StreamShape {
    /// 64 chunks at 20 ms.
    fn default() -> Self {
        Self {
            chunks: 64,
            interval: Duration::from_millis(20),
        }
    }
}

impl StreamShape {
    /// The time from the first chunk to the last.
    pub(crate) fn length(self) -> Duration {
        self.interval * self.chunks.saturating_sub(1)
    }
}

/// Whole answers, from status line to last byte, and the parts of a stream.
#[derive(Debug)]
pub(crate) struct Answers {
    /// A chat completion.
    pub(crate) completion: Vec<u8>,
    /// The list of models.
    pub(crate) models: Vec<u8>,
    /// Says that all is well.
    pub(crate) health: Vec<u8>,
    /// For a path that the mock does not have.
    pub(crate) not_found: Vec<u8>,
    stream_head: Vec<u8>,
    chunk: Chunk,
    last_chunk: Chunk,
    stream_end: Vec<u8>,
    shape: StreamShape,
}

/// An event in the framing of a chunked body, with a place for the time at which it is sent.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    stamp_at: usize,
}

impl Answers {
    /// Answers whose streams have the given shape.
    pub(crate) fn new(shape: StreamShape) -> Self {
        let models = format!(
            r#"{{"object":"list","data":[{{"id":"{MODEL}","object":"model","created":1763600000,"owned_by":"puna-bench"}}]}}"#
        );
        Self {
            completion: json_answer("200 OK", &completion_body()),
            models: json_answer("200 OK", &models),
            health: json_answer("200 OK", r#"{"status":"OK"}"#),
            not_found: json_answer(
                "404 Not Found",
                r#"{"error":{"message":"the mock upstream has no such path","type":"invalid_request_error","param":null,"code":null}}"#,
            ),
            // nginx buffers an answer unless it is told not to, by its configuration or by this header.
            stream_head: b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                cache-control: no-cache\r\nx-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n"
                .to_vec(),
            chunk: Chunk::new("null"),
            last_chunk: Chunk::new("\"stop\""),
            stream_end: [framed(b"data: [DONE]\n\n").as_slice(), b"0\r\n\r\n"].concat(),
            shape,
        }
    }

    /// The shape of a stream.
    pub(crate) fn shape(&self) -> StreamShape {
        self.shape
    }

    /// Appends to `out` what is to be written at the `number`th chunk, the first being 0, which carries the time `now`.
    ///
    /// The first comes with the head, the last with the end of the stream.
    pub(crate) fn append_chunk(&self, number: u32, now: u64, out: &mut Vec<u8>) {
        if number == 0 {
            out.extend_from_slice(&self.stream_head);
        }
        let is_last = number + 1 >= self.shape.chunks;
        let chunk = if is_last { &self.last_chunk } else { &self.chunk };
        let stamp_at = out.len() + chunk.stamp_at;
        out.extend_from_slice(&chunk.bytes);
        write_stamp(&mut out[stamp_at..stamp_at + STAMP_DIGITS], now);
        if is_last {
            out.extend_from_slice(&self.stream_end);
        }
    }
}

/// The body of a chat completion.
pub(crate) fn completion_body() -> String {
    let text =
        "The puna is the high grassland of the Andes, between the last trees and the snow, and llamas live there.";
    format!(
        r#"{{"id":"chatcmpl-0123456789abcdef","object":"chat.completion","created":1763600000,"model":"{MODEL}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":256,"completion_tokens":24,"total_tokens":280}},"system_fingerprint":null}}"#
    )
}

/// The body of a whole stream in which each time of sending is 0.
pub(crate) fn stream_body(shape: StreamShape) -> Vec<u8> {
    let mut body = Vec::new();
    for number in 1..=shape.chunks {
        body.extend_from_slice(&event(if number == shape.chunks { "\"stop\"" } else { "null" }));
    }
    body.extend_from_slice(b"data: [DONE]\n\n");
    body
}

impl Chunk {
    fn new(finish_reason: &str) -> Self {
        let bytes = framed(&event(finish_reason));
        let stamp_at = memchr::memmem::find(&bytes, STAMP_MARK).unwrap_or_default() + STAMP_MARK.len();
        Self { bytes, stamp_at }
    }
}

fn event(finish_reason: &str) -> Vec<u8> {
    let start = format!(
        r#"data: {{"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1763600000,"model":"{MODEL}","choices":[{{"index":0,"delta":{{"#
    );
    let end = format!("\"}},\"logprobs\":null,\"finish_reason\":{finish_reason}}}]}}\n\n");
    [start.as_bytes(), STAMP_MARK, &[b'0'; STAMP_DIGITS], end.as_bytes()].concat()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn json_answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::event_stream::{EventReader, stamp};
    use crate::http1::{Decoder, Message};

    fn body_of(answer: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new(Message::Answer);
        let mut body = Vec::new();
        assert_eq!(
            decoder
                .feed(answer, &mut |piece| body.extend_from_slice(piece))
                .unwrap(),
            Some(answer.len())
        );
        body
    }

    #[test]
    fn whole_answers_are_json() {
        let answers = Answers::new(StreamShape::default());
        let completion: Value = serde_json::from_slice(&body_of(&answers.completion)).unwrap();
        assert_eq!(completion["choices"][0]["message"]["role"], "assistant");
        assert_eq!(completion["model"], MODEL);
        let models: Value = serde_json::from_slice(&body_of(&answers.models)).unwrap();
        assert_eq!(models["data"][0]["id"], MODEL);
        for other in [&answers.health, &answers.not_found] {
            serde_json::from_slice::<Value>(&body_of(other)).unwrap();
        }
    }

    #[test]
    fn a_stream_has_its_chunks_with_their_times_and_an_end() {
        let shape = StreamShape {
            chunks: 3,
            interval: Duration::from_millis(1),
        };
        let answers = Answers::new(shape);
        let mut wire = Vec::new();
        for number in 0..3 {
            answers.append_chunk(number, u64::from(number) + 5, &mut wire);
        }
        let body = body_of(&wire);
        let mut events = Vec::new();
        EventReader::default().feed(&body, |event| events.push(event.to_vec()));
        assert_eq!(
            events.iter().map(|event| stamp(event)).collect::<Vec<_>>(),
            [Some(5), Some(6), Some(7), None]
        );
        assert_eq!(events[3], b"data: [DONE]");
        let finish: Vec<Value> = events[..3]
            .iter()
            .map(|event| serde_json::from_slice::<Value>(&event[6..]).unwrap()["choices"][0]["finish_reason"].clone())
            .collect();
        assert_eq!(finish, [Value::Null, Value::Null, "stop".into()]);

        let mut unstamped = Vec::new();
        for number in 0..3 {
            answers.append_chunk(number, 0, &mut unstamped);
        }
        assert_eq!(body_of(&unstamped), stream_body(shape));
    }
}
