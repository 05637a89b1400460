//! `/v1/completions`.

use puna_api::{Api, Completion, CompletionRequest, Json};

use super::error_body;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::metrics::Operation;
use crate::routes::{Answer, RequestBody, Route, Verb, schema_of};

/// What the server checks before a provider is asked. The bounds are those that OpenAI's specification sets.
pub(crate) const FIELDS: &[Field] = &[
    Field::optional("best_of", Rule::Integer(1, u32::MAX as i64)),
    Field::optional("echo", Rule::Flag),
    Field::optional("frequency_penalty", Rule::Number(-2.0, 2.0)),
    // With `echo`, no new token may be wanted at all, only the prompt's log probabilities.
    Field::optional("max_tokens", Rule::Integer(0, u32::MAX as i64)),
    Field::required("model", Rule::Text),
    Field::optional("n", Rule::Integer(1, 128)),
    Field::optional("presence_penalty", Rule::Number(-2.0, 2.0)),
    Field::required("prompt", Rule::TextOrNonEmptyArray),
    Field::optional("seed", Rule::Integer(i64::MIN, i64::MAX)),
    Field::optional("stop", Rule::TextOrTexts),
    Field::optional("stream", Rule::Flag),
    Field::optional("stream_options", Rule::Object),
    Field::optional("suffix", Rule::Text),
    Field::optional("temperature", Rule::Number(0.0, 2.0)),
    Field::optional("top_p", Rule::Number(0.0, 1.0)),
    Field::optional("user", Rule::Text),
];

pub(super) const CREATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/completions",
    operation_id: "createCompletion",
    tag: "Completions",
    summary: "Continue a text",
    description: "With `stream`, the answer comes as server-sent events, as for chat completions.",
    public: false,
    api: Some(Api::Inference),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<CompletionRequest>)),
    answers: &[
        Answer::json(schema_of::<Completion>),
        Answer::events(schema_of::<Completion>),
    ],
    serve: |call| Box::pin(create(call)),
    error_body,
};

async fn create(call: &mut Call) -> Result<Reply> {
    let body = call.body().await?;
    let head = call.head(&body, FIELDS)?;
    let (model, stream) = (head.text("model"), head.stream()?);
    call.note_model(Operation::TextCompletion, &model, stream);
    let request = Json::from_bytes(body.clone());
    if stream {
        Reply::events(call.stack.completion_stream(&call.context, &model, request).await?).await
    } else {
        Reply::json(&call.stack.completion(&call.context, &model, request).await?)
    }
}
