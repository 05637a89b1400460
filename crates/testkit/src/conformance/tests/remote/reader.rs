//! Reads server-sent events.

use std::sync::Arc;

use http_body_util::BodyExt;
use puna_api::{ErrorKind, Result};
use serde_json::{Value, json};

use super::{Answer, Client, Defect};

/// What is read of a stream.
pub(super) struct Reader {
    pub(super) client: Arc<Client>,
    /// None once the stream has ended.
    pub(super) body: Option<Answer>,
    pub(super) buffer: Vec<u8>,
    pub(super) finished: bool,
    pub(super) model: Arc<str>,
}

impl Reader {
    pub(super) async fn next(&mut self) -> Option<Result<Value>> {
        loop {
            while let Some(line) = self.line() {
                let Some(data) = line.strip_prefix("data:").map(str::trim) else {
                    continue;
                };
                if data == "[DONE]" {
                    self.body = None;
                    return None;
                }
                match serde_json::from_str::<Value>(data) {
                    Ok(chunk) if chunk["error"].is_object() && self.client.has(Defect::SkipsErrorChunks) => {}
                    Ok(chunk) if chunk["error"].is_object() => {
                        let message = chunk["error"]["message"].as_str().unwrap_or_default();
                        return Some(Err(self.client.fault(ErrorKind::Unavailable, message)));
                    }
                    Ok(mut chunk) => {
                        self.finished |= chunk["choices"][0]["finish_reason"].is_string();
                        chunk["model"] = json!(&*self.model);
                        return Some(Ok(chunk));
                    }
                    Err(_) if self.client.has(Defect::SkipsMalformedChunks) => {}
                    Err(error) => return Some(Err(self.client.unavailable(error))),
                }
            }
            match self.body.as_mut()?.response.body_mut().frame().await {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    if self.client.has(Defect::ReadsWholeEventsOnly) && !data.ends_with(b"\n\n") {
                        return Some(Err(self.client.unavailable("half an event")));
                    }
                    self.buffer.extend_from_slice(&data);
                }
                Some(Err(_)) if self.client.has(Defect::TakesBrokenStreams) => return None,
                Some(Err(error)) => return Some(Err(self.client.unavailable(error))),
                None if self.finished || self.client.has(Defect::TakesEarlyEnds) => return None,
                None => return Some(Err(self.client.unavailable("the stream ended early"))),
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        Some(String::from_utf8(line).unwrap().trim_end().to_owned())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.client.has(Defect::NeverHangsUp) {
            std::mem::forget(self.body.take());
        }
    }
}
