//! `/v1alpha/inference/rerank`.

use puna_api::{Api, Json, RerankRequest, RerankResponse};

use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::metrics::Operation;
use crate::routes::{Answer, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;

/// What the server checks before a provider is asked.
pub(crate) const FIELDS: &[Field] = &[
    Field::required("items", Rule::NonEmptyArray),
    Field::optional("max_num_results", Rule::Integer(1, u32::MAX as i64)),
    Field::required("model", Rule::Text),
    Field::required("query", Rule::TextOrObject),
];

pub(super) const RERANK: Route = Route {
    verb: Verb::Post,
    path: "/v1alpha/inference/rerank",
    operation_id: "rerank",
    tag: "Inference",
    summary: "Order documents by relevance to a query",
    description: "The most relevant comes first; `index` is a document's place in the request.",
    public: false,
    api: Some(Api::Inference),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<RerankRequest>)),
    answers: &[Answer::json(schema_of::<RerankResponse>)],
    serve: |call| Box::pin(rerank(call)),
    error_body,
};

async fn rerank(call: &mut Call) -> Result<Reply> {
    let body = call.body().await?;
    let head = call.head(&body, FIELDS)?;
    let model = head.text("model");
    call.note_model(Operation::Rerank, &model, false);
    let response = call
        .stack
        .rerank(&call.context, &model, Json::from_bytes(body.clone()))
        .await?;
    Reply::json(&Json::new(response))
}
