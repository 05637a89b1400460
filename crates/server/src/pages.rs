//! The description of the server itself: the OpenAPI document, and a page that shows it.

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::call::{Call, Reply};
use crate::error::Result;
use crate::openapi::openapi;
use crate::routes::{Answer, HTML, JSON, Route, Verb, schema_of};
use crate::surface::openai::error_body;

/// What describes the server.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        verb: Verb::Get,
        path: "/openapi.json",
        operation_id: "openapi",
        tag: "Documentation",
        summary: "Describe every operation",
        description: "An OpenAPI 3.1 document.",
        public: true,
        api: None,
        parameters: &[],
        request: None,
        answers: &[Answer::json(schema_of::<Map<String, Value>>)],
        serve: |call| Box::pin(document(call)),
        error_body,
    },
    Route {
        verb: Verb::Get,
        path: "/docs",
        operation_id: "docs",
        tag: "Documentation",
        summary: "Show the description to people",
        description: "A page that needs nothing but this server.",
        public: true,
        api: None,
        parameters: &[],
        request: None,
        answers: &[Answer {
            content_type: HTML,
            schema: schema_of::<String>,
        }],
        serve: |call| Box::pin(page(call)),
        error_body,
    },
];

async fn document(_call: &mut Call) -> Result<Reply> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let body = DOCUMENT.get_or_init(|| openapi().to_string().into()).clone();
    Ok(Reply::Document {
        content_type: JSON,
        body,
    })
}

async fn page(_call: &mut Call) -> Result<Reply> {
    Ok(Reply::Document {
        content_type: HTML,
        body: Bytes::from_static(include_bytes!("pages/docs.html")),
    })
}
