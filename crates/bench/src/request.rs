//! The requests that the load sends: chat completions as the official Python client writes them, `messages` first and
//! `model` behind, so that a server that wants the model must go through the whole prompt.

use std::net::SocketAddr;
use std::sync::Arc;

/// A chat completion request to one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChatRequest<'a> {
    /// The server, for the `host` header.
    pub(crate) target: SocketAddr,
    /// The path.
    pub(crate) path: &'a str,
    /// The key that goes into the `authorization` header.
    pub(crate) api_key: Option<&'a str>,
}

impl ChatRequest<'_> {
    /// The whole request with `body`.
    pub(crate) fn with_body(self, body: &[u8]) -> Arc<[u8]> {
        let Self { target, path, api_key } = self;
        let authorization = api_key.map_or(String::new(), |key| format!("authorization: Bearer {key}\r\n"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {target}\r\naccept: application/json\r\ncontent-type: application/json\r\n\
             user-agent: puna-bench\r\n{authorization}content-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat().into()
    }
}

/// A body with a prompt of `prompt_bytes` bytes as they stand in the JSON.
pub(crate) fn chat_body(model: &str, prompt_bytes: usize, streaming: bool) -> Vec<u8> {
    let prompt = prompt(prompt_bytes);
    let model = serde_json::Value::from(model);
    let stream = if streaming { ",\"stream\":true" } else { "" };
    format!(r#"{{"messages":[{{"role":"user","content":"{prompt}"}}],"model":{model}{stream}}}"#).into_bytes()
}

/// Text of short lines, with an escape at each line's end as real prompts have them.
fn prompt(bytes: usize) -> String {
    const LINE: &str = "Tell me how the herders of the high plains count their llamas when snow hides the paths.\\n";
    let mut text = LINE.repeat(bytes / LINE.len());
    text.push_str(&"x".repeat(bytes - text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Decoder, Message};

    #[test]
    fn a_prompt_has_the_size_that_was_asked_for() {
        for size in [0, 1, 89, 90, 1024, 100 * 1024] {
            let body = chat_body("m\"odel", size, true);
            let parsed: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(parsed["model"], "m\"odel");
            assert_eq!(parsed["stream"], true);
            let empty = chat_body("m\"odel", 0, true).len();
            assert_eq!(body.len() - empty, size);
        }
        let whole: serde_json::Value = serde_json::from_slice(&chat_body("m", 3, false)).unwrap();
        assert_eq!(
            whole,
            serde_json::json!({"messages": [{"role": "user", "content": "xxx"}], "model": "m"})
        );
    }

    #[test]
    fn a_request_is_one_message() {
        let target = SocketAddr::from(([127, 0, 0, 1], 80));
        let request = ChatRequest {
            target,
            path: "/v1/x",
            api_key: Some("k"),
        }
        .with_body(b"body");
        let mut decoder = Decoder::new(Message::Request);
        let mut body = Vec::new();
        assert_eq!(
            decoder
                .feed(&request, &mut |piece| body.extend_from_slice(piece))
                .unwrap(),
            Some(request.len())
        );
        assert_eq!(
            (decoder.start_line(), body.as_slice()),
            (b"POST /v1/x HTTP/1.1".as_slice(), b"body".as_slice())
        );
        assert!(String::from_utf8_lossy(&request).contains("\r\nauthorization: Bearer k\r\n"));
    }
}
