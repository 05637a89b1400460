//! Whether a server hands bytes on as they came: a benchmark of one that does not would compare different work.

use std::net::SocketAddr;
use std::time::Duration;

use crate::answers::{MODEL, StreamShape, completion_body, stream_body};
use crate::error::{Error, Result};
use crate::event_stream::{STAMP_DIGITS, STAMP_MARK};
use crate::load::Workload;
use crate::request::ChatRequest;
use crate::rig::Rig;

/// How many bytes around a difference are shown.
const SHOWN_BYTES: usize = 40;

/// Sends requests whose JSON is written in an odd way, and compares what the mock got, and what came back.
///
/// Only the model may differ: a request that names `model` may arrive as the mock's own, and an answer may name either.
///
/// # Errors
/// When a request fails or other bytes differ; the message shows where.
pub(crate) fn check(rig: &Rig, request: ChatRequest<'_>, model: &str, shape: StreamShape) -> Result<()> {
    for streaming in [false, true] {
        let sent = odd_body(model, streaming);
        let workload = single(request.target, request.with_body(&sent), streaming);
        let (outcome, arrived) = rig.run_and_capture(workload)?;
        if let Some(failure) = outcome.first_failure {
            return Err(Error::new(failure));
        }
        if outcome.answered != 1 {
            return Err(Error::new("the request was not answered in time"));
        }
        let stream = if streaming { " for a stream" } else { "" };
        let unchanged = [sent, odd_body(MODEL, streaming)];
        compare(&unchanged, &arrived).map_err(|difference| {
            Error::new(format!(
                "the request{stream} does not arrive as it was sent: {difference}"
            ))
        })?;
        let answer = if streaming {
            without_stamps(outcome.answer)
        } else {
            outcome.answer
        };
        let unchanged = if streaming {
            stream_body(shape)
        } else {
            completion_body().into_bytes()
        };
        let renamed = rename_model(&unchanged, model);
        compare(&[unchanged, renamed], &answer).map_err(|difference| {
            Error::new(format!(
                "the answer{stream} does not come back as it was sent: {difference}"
            ))
        })?;
    }
    Ok(())
}

/// One request.
pub(crate) fn single(target: SocketAddr, request: std::sync::Arc<[u8]>, streaming: bool) -> Workload {
    Workload {
        target,
        request,
        streaming,
        connections: 1,
        spacing: Duration::ZERO,
        warm_up: Duration::ZERO,
        duration: Duration::ZERO,
        requests_per_connection: Some(1),
        keep_answer: true,
    }
}

/// JSON that any re-encoding would change: spaces, escapes, numbers in unusual forms, keys out of order and unknown.
fn odd_body(model: &str, streaming: bool) -> Vec<u8> {
    let model = serde_json::Value::from(model);
    let messages = "{ \"x_vendor\" : {\"z\":1.50, \"a\":[ ], \"big\":12345678901234567890}\t,\r\n  \"messages\":[ {\"role\" :\"user\", \
                    \"content\":\"\\u0070una \\/ p\u{00fa}na \\u00fa\"} ],";
    let stream = if streaming { " , \"stream\" : true" } else { "" };
    format!("{messages} \"temperature\":0.70, \"top_p\":1e0 , \"model\" :  {model}{stream} }}").into_bytes()
}

fn rename_model(body: &[u8], model: &str) -> Vec<u8> {
    let from = format!("\"model\":\"{MODEL}\"");
    let to = format!("\"model\":{}", serde_json::Value::from(model));
    String::from_utf8_lossy(body).replace(&from, &to).into_bytes()
}

fn without_stamps(mut body: Vec<u8>) -> Vec<u8> {
    let places: Vec<usize> = memchr::memmem::find_iter(&body, STAMP_MARK).collect();
    for place in places {
        let start = place + STAMP_MARK.len();
        if let Some(digits) = body.get_mut(start..start + STAMP_DIGITS) {
            digits
                .iter_mut()
                .filter(|digit| digit.is_ascii_digit())
                .for_each(|digit| *digit = b'0');
        }
    }
    body
}

/// Whether `actual` is one of `expected`; else where it leaves the one that it follows furthest.
fn compare(expected: &[Vec<u8>], actual: &[u8]) -> std::result::Result<(), String> {
    let mut furthest: Option<(usize, &[u8])> = None;
    for candidate in expected {
        if candidate == actual {
            return Ok(());
        }
        let same = candidate
            .iter()
            .zip(actual)
            .take_while(|(one, other)| one == other)
            .count();
        if furthest.is_none_or(|(most, _)| same > most) {
            furthest = Some((same, candidate));
        }
    }
    let (at, candidate) = furthest.unwrap_or_default();
    Err(format!(
        "at byte {at} it should be \"{}\" and is \"{}\"",
        around(candidate, at).escape_ascii(),
        around(actual, at).escape_ascii()
    ))
}

fn around(bytes: &[u8], at: usize) -> &[u8] {
    let start = at.saturating_sub(SHOWN_BYTES / 2).min(bytes.len());
    &bytes[start..(start + SHOWN_BYTES).min(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_body_is_json_that_a_plain_writer_would_change() {
        for streaming in [false, true] {
            let body = odd_body("m", streaming);
            let parsed: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(parsed["messages"][0]["content"], "puna / púna ú");
            assert_eq!(parsed["stream"].as_bool(), streaming.then_some(true));
            assert_ne!(serde_json::to_vec(&parsed).unwrap(), body);
        }
    }

    #[test]
    fn only_the_expected_bytes_pass() {
        let expected = [
            b"{\"model\": \"a\", \"n\": 1.50}".to_vec(),
            b"{\"model\": \"b\", \"n\": 1.50}".to_vec(),
        ];
        assert_eq!(compare(&expected, &expected[1]), Ok(()));
        let complaint = compare(&expected, b"{\"model\": \"b\", \"n\": 1.5}").unwrap_err();
        assert!(complaint.contains("at byte 23"), "{complaint}");
        assert!(compare(&expected, b"").is_err());
        assert!(compare(&expected, b"{\"model\":\"a\",\"n\":1.50}").is_err());
    }

    #[test]
    fn stamps_and_models_are_set_aside() {
        let shape = StreamShape {
            chunks: 2,
            interval: Duration::ZERO,
        };
        let body = stream_body(shape);
        let stamped = String::from_utf8(body.clone())
            .unwrap()
            .replace("t=00000000000000000000", "t=00000000123456789012");
        assert_eq!(without_stamps(stamped.into_bytes()), body);
        let renamed = String::from_utf8(rename_model(&body, "bench/other")).unwrap();
        assert_eq!(renamed.matches("\"model\":\"bench/other\"").count(), 2);
    }
}
