//! `/v1/chat/completions`.

use puna_api::{Api, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Json};

use super::error_body;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::metrics::Operation;
use crate::routes::{Answer, RequestBody, Route, Verb, schema_of};

mod stored;

#[cfg(test)]
pub(crate) use stored::UPDATE_FIELDS;
pub(super) use stored::{DELETE, LIST, MESSAGES, RETRIEVE, UPDATE};

/// What the server checks before a provider is asked. The bounds are those that OpenAI's specification sets.
pub(crate) const FIELDS: &[Field] = &[
    Field::optional("frequency_penalty", Rule::Number(-2.0, 2.0)),
    Field::optional("logprobs", Rule::Flag),
    Field::optional("max_completion_tokens", Rule::Integer(1, u32::MAX as i64)),
    Field::optional("max_tokens", Rule::Integer(1, u32::MAX as i64)),
    Field::required("messages", Rule::NonEmptyArray),
    Field::optional("metadata", Rule::Object),
    Field::required("model", Rule::Text),
    Field::optional("n", Rule::Integer(1, 128)),
    Field::optional("parallel_tool_calls", Rule::Flag),
    Field::optional("presence_penalty", Rule::Number(-2.0, 2.0)),
    Field::optional("response_format", Rule::Object),
    Field::optional("seed", Rule::Integer(i64::MIN, i64::MAX)),
    Field::optional("stop", Rule::TextOrTexts),
    Field::optional("store", Rule::Flag),
    Field::optional("stream", Rule::Flag),
    Field::optional("stream_options", Rule::Object),
    Field::optional("temperature", Rule::Number(0.0, 2.0)),
    Field::optional("tool_choice", Rule::TextOrObject),
    Field::optional("tools", Rule::Array),
    Field::optional("top_p", Rule::Number(0.0, 1.0)),
    Field::optional("user", Rule::Text),
];

pub(super) const CREATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/chat/completions",
    operation_id: "createChatCompletion",
    tag: "Chat",
    summary: "Answer a conversation",
    description: "With `stream`, the answer comes as server-sent events: one `data:` line for each chunk as soon as the model has made it, \
                  and `data: [DONE]` at the end. `stream_options.include_usage` asks for one more chunk with the token counts. What fails \
                  in the middle of a stream ends it with a line that holds an error object. With `store`, the answer is kept by this server and \
                  not by the provider: it is on the disk before the answer ends. Without `store`, the configuration decides.",
    public: false,
    api: Some(Api::Inference),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<ChatCompletionRequest>)),
    answers: &[
        Answer::json(schema_of::<ChatCompletion>),
        Answer::events(schema_of::<ChatCompletionChunk>),
    ],
    serve: |call| Box::pin(create(call)),
    error_body,
};

async fn create(call: &mut Call) -> Result<Reply> {
    let body = call.body().await?;
    let head = call.head(&body, FIELDS)?;
    let (model, stream) = (head.text("model"), head.stream()?);
    call.note_model(Operation::Chat, &model, stream);
    let recording = stored::recording(call, &head, &body)?;
    let request = Json::from_bytes(match &recording {
        Some(recording) => recording.request()?,
        None => body.clone(),
    });
    if stream {
        let chunks = call
            .stack
            .chat_completion_stream(&call.context, &model, request)
            .await?;
        Reply::events(match recording {
            Some(recording) => recording.stream(chunks),
            None => chunks,
        })
        .await
    } else {
        let answer = call.stack.chat_completion(&call.context, &model, request).await?;
        match recording {
            Some(recording) => Reply::json(&recording.keep(&answer).await?),
            None => Reply::json(&answer),
        }
    }
}
