//! Chat completions that are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use puna_api::{ChatCompletion, ChatMessage, ChatTool, Error, Json, ResponseFormat, SortOrder, ToolChoice};
use puna_completions::{Metadata, Recording, StoredCompletions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error_body;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Head, Rule};
use crate::routes::{Answer, JSON, Parameter, Place, RequestBody, Route, Verb, schema_of};

mod query;

const COMPLETION_ID: Parameter = Parameter {
    place: Place::Path,
    name: "completion_id",
    description: "The completion's id.",
    schema: schema_of::<String>,
};

const LIMIT: Parameter = Parameter {
    place: Place::Query,
    name: "limit",
    description: "How many at most, 1 to 1000; 20 by default. Very long ones come fewer at a time, with `has_more`.",
    schema: schema_of::<u32>,
};

const ORDER: Parameter = Parameter {
    place: Place::Query,
    name: "order",
    description: "By time: `asc`, the oldest first, by default.",
    schema: schema_of::<SortOrder>,
};

const AFTER: Parameter = Parameter {
    place: Place::Query,
    name: "after",
    description: "Only those that come after this one in the list: the `last_id` of the page before.",
    schema: schema_of::<String>,
};

/// What is checked before the body is decoded.
pub(crate) const UPDATE_FIELDS: &[Field] = &[Field::optional("metadata", Rule::Object)];

pub(in crate::surface::openai) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/v1/chat/completions",
    operation_id: "listChatCompletions",
    tag: "Chat",
    summary: "List the stored chat completions",
    description: "Those whose request said `store: true`; where the configuration has a store (`storage.stores.inference`), all but those whose \
                  request said `store: false`.",
    public: false,
    api: None,
    parameters: &[
        Parameter {
            place: Place::Query,
            name: "model",
            description: "Only those of this model, as its requests named it.",
            schema: schema_of::<String>,
        },
        Parameter {
            place: Place::Query,
            name: "metadata",
            description: "Only those with this metadata: `metadata[key]=value`, as often as there are keys.",
            schema: |_| schemars::json_schema!({ "type": "object", "additionalProperties": { "type": "string" } }),
        },
        AFTER,
        LIMIT,
        ORDER,
    ],
    request: None,
    answers: &[Answer::json(schema_of::<ChatCompletionList>)],
    serve: |call| Box::pin(list(call)),
    error_body,
};

pub(in crate::surface::openai) const RETRIEVE: Route = Route {
    verb: Verb::Get,
    path: "/v1/chat/completions/{completion_id}",
    operation_id: "getChatCompletion",
    tag: "Chat",
    summary: "Read a stored chat completion",
    description: "",
    public: false,
    api: None,
    parameters: &[COMPLETION_ID],
    request: None,
    answers: &[Answer::json(schema_of::<StoredChatCompletion>)],
    serve: |call| Box::pin(retrieve(call)),
    error_body,
};

pub(in crate::surface::openai) const UPDATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/chat/completions/{completion_id}",
    operation_id: "updateChatCompletion",
    tag: "Chat",
    summary: "Replace the metadata of a stored chat completion",
    description: "",
    public: false,
    api: None,
    parameters: &[COMPLETION_ID],
    request: Some(RequestBody::json(schema_of::<UpdateChatCompletionRequest>)),
    answers: &[Answer::json(schema_of::<StoredChatCompletion>)],
    serve: |call| Box::pin(update(call)),
    error_body,
};

pub(in crate::surface::openai) const DELETE: Route = Route {
    verb: Verb::Delete,
    path: "/v1/chat/completions/{completion_id}",
    operation_id: "deleteChatCompletion",
    tag: "Chat",
    summary: "Delete a stored chat completion",
    description: "",
    public: false,
    api: None,
    parameters: &[COMPLETION_ID],
    request: None,
    answers: &[Answer::json(schema_of::<ChatCompletionDeleted>)],
    serve: |call| Box::pin(delete(call)),
    error_body,
};

pub(in crate::surface::openai) const MESSAGES: Route = Route {
    verb: Verb::Get,
    path: "/v1/chat/completions/{completion_id}/messages",
    operation_id: "getChatCompletionMessages",
    tag: "Chat",
    summary: "List the messages of a stored chat completion's request",
    description: "",
    public: false,
    api: None,
    parameters: &[COMPLETION_ID, AFTER, LIMIT, ORDER],
    request: None,
    answers: &[Answer::json(schema_of::<ChatCompletionMessageList>)],
    serve: |call| Box::pin(messages(call)),
    error_body,
};

/// Some stored chat completions. (OpenAI, Llama Stack)
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ChatCompletionList {
    /// Always `list`.
    #[schemars(extend("enum" = ["list"]))]
    object: String,
    /// The completions.
    data: Vec<StoredChatCompletion>,
    /// The id of the first one; empty when there is none.
    first_id: String,
    /// The id of the last one; empty when there is none.
    last_id: String,
    /// Whether there are more after them.
    has_more: bool,
}

/// A chat completion as it is kept: the answer as the client had it, and something of its request. (OpenAI, Llama Stack)
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct StoredChatCompletion {
    #[serde(flatten)]
    answer: ChatCompletion,
    /// The id of the request, as in the header `x-request-id`.
    request_id: String,
    /// What the request said of the tools that the model has to call.
    tool_choice: Option<ToolChoice>,
    /// The request's seed.
    seed: Option<i64>,
    /// The request's `top_p`.
    top_p: Option<f64>,
    /// The request's temperature.
    temperature: Option<f64>,
    /// The request's `presence_penalty`.
    presence_penalty: Option<f64>,
    /// The request's `frequency_penalty`.
    frequency_penalty: Option<f64>,
    /// The request's `user`.
    input_user: Option<String>,
    /// The tools that the request offered.
    tools: Option<Vec<ChatTool>>,
    /// The form that the request asked for.
    response_format: Option<ResponseFormat>,
    /// Notes by which it is found again: of the request, or of an update since.
    metadata: BTreeMap<String, String>,
    /// The messages of the request, as they were sent.
    input_messages: Vec<ChatMessage>,
}

/// What is to change of a stored chat completion. (OpenAI)
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an update: an object with `metadata`")]
struct UpdateChatCompletionRequest {
    /// The metadata, in place of what there was: at most 16 keys of 64 characters, with values of 512 characters. Null is none. Must be there.
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

/// A stored chat completion that is gone. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
struct ChatCompletionDeleted {
    /// The completion's id.
    id: String,
    /// Always `chat.completion.deleted`.
    #[schemars(extend("enum" = ["chat.completion.deleted"]))]
    object: &'static str,
    /// Always true.
    deleted: bool,
}

/// Some messages of a stored chat completion's request. (OpenAI, Llama Stack)
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ChatCompletionMessageList {
    /// Always `list`.
    #[schemars(extend("enum" = ["list"]))]
    object: String,
    /// The messages.
    data: Vec<StoredChatCompletionMessage>,
    /// The id of the first one; empty when there is none.
    first_id: String,
    /// The id of the last one; empty when there is none.
    last_id: String,
    /// Whether there are more after them.
    has_more: bool,
}

/// A message of a stored chat completion's request. Fields not named here are as they were sent. (OpenAI, Llama Stack)
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct StoredChatCompletionMessage {
    /// The completion's id and the message's place, such as `chatcmpl-…-0`.
    id: String,
    /// Who says it.
    role: String,
    /// What it says; of content in parts the text, a line for each part.
    content: Option<String>,
    /// The parts, where content came in parts.
    content_parts: Option<Vec<puna_api::ContentPart>>,
    /// What the model said when it refused.
    refusal: Option<String>,
    /// Who speaks, where several share the role.
    name: Option<String>,
    /// The call that the message of a tool answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
    /// The tools that the model called.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<puna_api::ToolCall>>,
    /// The function that the model called. Deprecated by OpenAI for `tool_calls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<puna_api::FunctionCall>,
    /// What the text refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Vec<puna_api::Annotation>>,
    /// What the model said aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<StoredAudio>,
}

/// What the model said aloud. (OpenAI)
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct StoredAudio {
    /// The id by which a request refers to it.
    id: String,
    /// Until when it can, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    /// The audio, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    /// What is said, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<String>,
}

/// Begins to record the answer to a request, where it is to be kept. Fails where its metadata cannot be kept.
pub(super) fn recording(call: &Call, head: &Head<'_>, body: &Bytes) -> puna_api::Result<Option<Recording>> {
    let asked = head.flag_if_any("store");
    let Some(store) = call.stack.completions().filter(|store| store.keeps(asked)) else {
        return Ok(None);
    };
    let metadata = head.raw("metadata").map(Metadata::parse).transpose()?;
    let recording = store.record(
        &call.context,
        &head.text("model"),
        body.clone(),
        metadata.unwrap_or_default(),
        asked == Some(true),
    );
    Ok(Some(recording))
}

fn store(call: &Call) -> puna_api::Result<&Arc<StoredCompletions>> {
    call.stack.completions().ok_or_else(|| {
        Error::unsupported(
            "this server keeps no chat completions; its configuration switches `storage.stores.inference` off",
        )
    })
}

async fn list(call: &mut Call) -> Result<Reply> {
    let list = store(call)?.list(&query::completions(call.query()?)?).await?;
    let documents = list.completions.iter().map(|it| (it.id.as_str(), &it.document));
    Ok(page(&documents.collect::<Vec<_>>(), list.has_more))
}

async fn retrieve(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("completion_id").await?;
    Ok(document(store(call)?.get(&id).await?.document))
}

async fn update(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("completion_id").await?;
    let body = call.body().await?;
    call.head(&body, UPDATE_FIELDS)?;
    let request = Json::<Map<String, Value>>::from_bytes(body.clone());
    if !request.get().map_err(Error::from)?.contains_key("metadata") {
        let message = "`metadata` is missing; send an object, or null to have none";
        return Err(Error::invalid_request(message)
            .with_param("metadata")
            .with_code("missing_required_parameter")
            .into());
    }
    let request = Json::<UpdateChatCompletionRequest>::from_bytes(body);
    let request = request.into_value().map_err(Error::from)?;
    let metadata = Metadata::new(request.metadata.unwrap_or_default())?;
    Ok(document(store(call)?.update(&id, &metadata).await?.document))
}

async fn delete(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("completion_id").await?;
    store(call)?.delete(&id).await?;
    Reply::json(&Json::new(ChatCompletionDeleted {
        id,
        object: "chat.completion.deleted",
        deleted: true,
    }))
}

async fn messages(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("completion_id").await?;
    let list = store(call)?.messages(&id, &query::messages(call.query()?)?).await?;
    let documents = list.messages.iter().map(|it| (it.id.as_str(), &it.document));
    Ok(page(&documents.collect::<Vec<_>>(), list.has_more))
}

fn document(body: Bytes) -> Reply {
    Reply::Document {
        content_type: JSON,
        body,
    }
}

/// A list of documents that are JSON already.
fn page(documents: &[(&str, &Bytes)], has_more: bool) -> Reply {
    let length: usize = documents.iter().map(|(_, document)| document.len() + 1).sum();
    let mut body = Vec::with_capacity(length + 256);
    body.extend_from_slice(br#"{"object":"list","data":["#);
    for (place, (_, document)) in documents.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(document);
    }
    // Ids of ours have nothing to escape.
    let id = |listed: Option<&(&str, &Bytes)>| listed.map_or("", |(id, _)| *id).to_owned();
    let (first_id, last_id) = (id(documents.first()), id(documents.last()));
    let rest = format!(r#"],"first_id":"{first_id}","last_id":"{last_id}","has_more":{has_more}}}"#);
    body.extend_from_slice(rest.as_bytes());
    document(body.into())
}
