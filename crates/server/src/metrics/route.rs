//! `/metrics`.

use puna_api::Error;

use super::text::CONTENT_TYPE;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::routes::{Answer, Route, Verb, schema_of};
use crate::surface::openai::error_body;

/// What shows the measurements.
pub(crate) const ROUTES: &[Route] = &[Route {
    verb: Verb::Get,
    path: "/metrics",
    operation_id: "metrics",
    tag: "Inspect",
    summary: "Show what is measured",
    description: "In the text format of Prometheus, version 0.0.4. Asks for a key as every other operation does where the server has keys.",
    public: false,
    api: None,
    parameters: &[],
    request: None,
    answers: &[Answer {
        content_type: CONTENT_TYPE,
        schema: schema_of::<String>,
    }],
    serve: |call| Box::pin(show(call)),
    error_body,
}];

async fn show(call: &mut Call) -> Result<Reply> {
    let Some(metrics) = call.metrics() else {
        let message = "this server measures nothing; set `server.metrics.enabled` to true in its configuration";
        return Err(Error::not_found(message).with_code("metrics_disabled").into());
    };
    // Many models make a text of megabytes; the thread has requests to serve meanwhile.
    let metrics = metrics.clone();
    let text = tokio::task::spawn_blocking(move || metrics.render()).await;
    let text = text.map_err(|error| Error::internal("the measurements could not be written").with_source(error))?;
    Ok(Reply::Document {
        content_type: CONTENT_TYPE,
        body: text.into(),
    })
}
