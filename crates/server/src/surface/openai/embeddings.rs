//! `/v1/embeddings`.

use puna_api::{Api, EmbeddingsRequest, EmbeddingsResponse, Json};

use super::error_body;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::metrics::Operation;
use crate::routes::{Answer, RequestBody, Route, Verb, schema_of};

/// What the server checks before a provider is asked.
pub(crate) const FIELDS: &[Field] = &[
    Field::optional("dimensions", Rule::Integer(1, u32::MAX as i64)),
    Field::optional("encoding_format", Rule::Text),
    Field::required("input", Rule::TextOrNonEmptyArray),
    Field::required("model", Rule::Text),
    Field::optional("user", Rule::Text),
];

pub(super) const CREATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/embeddings",
    operation_id: "createEmbedding",
    tag: "Embeddings",
    summary: "Turn texts into vectors",
    description: "The vectors come in the order of the input, as numbers or, with `encoding_format` `base64`, as the base64 of little-endian \
                  32-bit floats.",
    public: false,
    api: Some(Api::Inference),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<EmbeddingsRequest>)),
    answers: &[Answer::json(schema_of::<EmbeddingsResponse>)],
    serve: |call| Box::pin(create(call)),
    error_body,
};

async fn create(call: &mut Call) -> Result<Reply> {
    let body = call.body().await?;
    let head = call.head(&body, FIELDS)?;
    let model = head.text("model");
    call.note_model(Operation::Embeddings, &model, false);
    Reply::json(
        &call
            .stack
            .embeddings(&call.context, &model, Json::from_bytes(body.clone()))
            .await?,
    )
}
