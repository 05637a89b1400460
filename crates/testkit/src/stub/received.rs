//! What a stub upstream received.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

/// A request that reached a stub upstream.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// The method, such as `POST`.
    pub method: String,
    /// The path without the query, such as `/v1/models`.
    pub path: String,
    /// The query without its question mark.
    pub query: Option<String>,
    /// The headers, names in lower case; several values of one name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
    pub(super) outcome: watch::Receiver<Outcome>,
}

/// How the answer to a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended yet.
    Open,
    /// The last byte was handed to the connection.
    Answered,
    /// The client closed the connection before that.
    Abandoned,
}

impl ReceivedRequest {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// How the answer ended; waits until it has.
    pub async fn outcome(&self) -> Outcome {
        let mut outcome = self.outcome.clone();
        // An error means that the server is gone, and then nothing changes any more.
        let ended = outcome
            .wait_for(|outcome| *outcome != Outcome::Open)
            .await
            .map(|outcome| *outcome);
        ended.unwrap_or_else(|_| *self.outcome.borrow())
    }

    /// Method, path, headers and body as one JSON value, for golden files. Headers that differ from run to run (`host`,
    /// `content-length`, `date`) are left out.
    pub fn golden(&self) -> Value {
        let headers: BTreeMap<_, _> = self
            .headers
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "host" | "content-length" | "date" | "user-agent"))
            .collect();
        json!({ "method": self.method, "path": self.path, "query": self.query, "headers": headers, "body": self.json() })
    }
}
