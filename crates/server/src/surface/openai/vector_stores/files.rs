//! `/v1/vector_stores/{vector_store_id}/files`.

use puna_api::{Api, Attributes, Error, Json};
use puna_vector_stores::{AttachFile, StoreFile};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::VECTOR_STORE_ID;
use super::page::{AFTER, BEFORE, FILTER, LIMIT, ListResponse, ORDER, StoreFilesQuery};
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::routes::{Answer, Parameter, Place, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;

mod content;

pub(super) use content::CONTENT;

/// What the server checks of a file to attach before the engine is asked.
pub(crate) const ATTACH_FIELDS: &[Field] = &[
    Field::optional("attributes", Rule::Object),
    Field::optional("chunking_strategy", Rule::Object),
    Field::required("file_id", Rule::Text),
];

/// What the server checks of new attributes before the engine is asked.
pub(crate) const ATTRIBUTES_FIELDS: &[Field] = &[Field::optional("attributes", Rule::Object)];

const FILE_ID: Parameter = Parameter {
    place: Place::Path,
    name: "file_id",
    description: "The file's id.",
    schema: schema_of::<String>,
};

pub(super) const ATTACH: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector_stores/{vector_store_id}/files",
    operation_id: "createVectorStoreFile",
    tag: "Vector stores",
    summary: "Attach a file",
    description: "It is ingested in the background: read, cut into chunks, embedded. One that is attached already is ingested anew.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID],
    request: Some(RequestBody::json(schema_of::<AttachFile>)),
    answers: &[Answer::json(schema_of::<StoreFile>)],
    serve: |call| Box::pin(attach(call)),
    error_body,
};

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/v1/vector_stores/{vector_store_id}/files",
    operation_id: "listVectorStoreFiles",
    tag: "Vector stores",
    summary: "List the files of a vector store",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID, LIMIT, ORDER, AFTER, BEFORE, FILTER],
    request: None,
    answers: &[Answer::json(schema_of::<ListResponse<StoreFile>>)],
    serve: |call| Box::pin(list(call)),
    error_body,
};

pub(super) const RETRIEVE: Route = Route {
    verb: Verb::Get,
    path: "/v1/vector_stores/{vector_store_id}/files/{file_id}",
    operation_id: "getVectorStoreFile",
    tag: "Vector stores",
    summary: "Describe a file of a vector store",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID, FILE_ID],
    request: None,
    answers: &[Answer::json(schema_of::<StoreFile>)],
    serve: |call| Box::pin(retrieve(call)),
    error_body,
};

pub(super) const UPDATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector_stores/{vector_store_id}/files/{file_id}",
    operation_id: "updateVectorStoreFileAttributes",
    tag: "Vector stores",
    summary: "Replace the attributes of a file",
    description: "Searches that begin later go by the new ones.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID, FILE_ID],
    request: Some(RequestBody::json(schema_of::<UpdateAttributesRequest>)),
    answers: &[Answer::json(schema_of::<StoreFile>)],
    serve: |call| Box::pin(update(call)),
    error_body,
};

pub(super) const DELETE: Route = Route {
    verb: Verb::Delete,
    path: "/v1/vector_stores/{vector_store_id}/files/{file_id}",
    operation_id: "deleteVectorStoreFile",
    tag: "Vector stores",
    summary: "Take a file out of a vector store",
    description: "The file itself stays.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID, FILE_ID],
    request: None,
    answers: &[Answer::json(schema_of::<DeleteVectorStoreFileResponse>)],
    serve: |call| Box::pin(delete(call)),
    error_body,
};

/// New attributes. (OpenAI)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpdateVectorStoreFileAttributesRequest")]
struct UpdateAttributesRequest {
    /// What filters of searches look at, in place of what there was: at most 16, or null for none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(required, with = "Option<Attributes>")]
    attributes: Option<Option<Attributes>>,
}

/// A file that is out of a store. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
struct DeleteVectorStoreFileResponse {
    /// The file's id.
    id: String,
    /// Always `vector_store.file.deleted`.
    #[schemars(extend("enum" = ["vector_store.file.deleted"]))]
    object: &'static str,
    /// Always true.
    deleted: bool,
}

async fn attach(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("vector_store_id").await?;
    let request: AttachFile = call.request(ATTACH_FIELDS).await?;
    let file = call.stack.vector_stores()?.attach(&call.context, &id, request).await?;
    Reply::json(&Json::new(file))
}

async fn list(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("vector_store_id").await?;
    let query = call.query::<StoreFilesQuery>()?.check()?;
    let page = call.stack.vector_stores()?.files(&call.context, &id, &query).await?;
    Reply::json(&Json::new(ListResponse::new(page, |file| &file.id)))
}

async fn retrieve(call: &mut Call) -> Result<Reply> {
    let (id, file_id) = ids(call).await?;
    let file = call.stack.vector_stores()?.file(&call.context, &id, &file_id).await?;
    Reply::json(&Json::new(file))
}

async fn update(call: &mut Call) -> Result<Reply> {
    let (id, file_id) = ids(call).await?;
    let request: UpdateAttributesRequest = call.request(ATTRIBUTES_FIELDS).await?;
    let Some(attributes) = request.attributes else {
        let error = Error::invalid_request("`attributes` is missing; send an object, or null for none");
        return Err(error
            .with_param("attributes")
            .with_code("missing_required_parameter")
            .into());
    };
    let stores = call.stack.vector_stores()?;
    let file = stores
        .set_file_attributes(&call.context, &id, &file_id, attributes.unwrap_or_default())
        .await?;
    Reply::json(&Json::new(file))
}

async fn delete(call: &mut Call) -> Result<Reply> {
    let (id, file_id) = ids(call).await?;
    call.stack.vector_stores()?.detach(&call.context, &id, &file_id).await?;
    Reply::json(&Json::new(DeleteVectorStoreFileResponse {
        id: file_id,
        object: "vector_store.file.deleted",
        deleted: true,
    }))
}

/// The ids of the store and of the file in the path.
async fn ids(call: &mut Call) -> Result<(String, String)> {
    let id = call.path_parameter("vector_store_id").await?;
    Ok((id, call.path_parameter("file_id").await?))
}

/// A field that is there, be it null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
