//! Requests to the router, without a socket.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use puna_server::{Limits, ServerSettings};
use serde_json::Value;
use tower::ServiceExt;

use crate::scripted::{CONFIG, Probe, stack};

/// A server in this process.
pub(crate) struct Client {
    pub(crate) router: Router,
    pub(crate) probe: Arc<Probe>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) async fn new() -> Self {
        Self::with(ServerSettings::default()).await
    }

    pub(crate) async fn with(settings: ServerSettings) -> Self {
        Self::over(CONFIG, settings).await
    }

    pub(crate) async fn over(config: &str, settings: ServerSettings) -> Self {
        let (stack, probe) = stack(config).await;
        Self {
            router: puna_server::app(stack, &settings),
            probe,
        }
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        Self::with(ServerSettings {
            limits,
            ..ServerSettings::default()
        })
        .await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.send(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.answer(request(Method::GET, path, Body::empty())).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.answer(request(Method::POST, path, body.into())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.answer(request(Method::DELETE, path, Body::empty())).await
    }

    /// A chat of one message with a model of the scripted provider.
    pub(crate) async fn chat(&self, model: &str) -> Answer {
        self.post("/v1/chat/completions", chat_body(model, "")).await
    }

    /// The same as a stream.
    pub(crate) async fn chat_stream(&self, model: &str) -> Answer {
        self.post("/v1/chat/completions", chat_body(model, r#","stream":true"#))
            .await
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The text that the scripted provider answered with.
    pub(crate) fn content(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.json()["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Status, `param`, `code` and message of an error, whose shape is checked.
    pub(crate) fn error(&self) -> (u16, Option<String>, Option<String>, String) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        let json = self.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "{json}");
        let error = json["error"].as_object().unwrap();
        let keys: Vec<_> = error.keys().map(String::as_str).collect();
        assert_eq!(keys, ["message", "type", "param", "code"]);
        let text = |key: &str| error[key].as_str().map(str::to_owned);
        assert!(error["type"].is_string());
        (
            self.status.as_u16(),
            text("param"),
            text("code"),
            text("message").unwrap(),
        )
    }
}

pub(crate) fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

pub(crate) fn chat_body(model: &str, more: &str) -> String {
    format!(r#"{{"model":"scripted/{model}","messages":[{{"role":"user","content":"hi"}}]{more}}}"#)
}
