//! `/v1/vector_stores`.

use puna_api::{Api, Json};
use puna_vector_stores::{CreateStore, UpdateStore, VectorStore};
use schemars::JsonSchema;
use serde::Serialize;

use super::error_body;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::routes::{Answer, Parameter, Place, RequestBody, Route, Verb, schema_of};
use page::{AFTER, BEFORE, LIMIT, ListResponse, ORDER, StoresQuery};

mod file_batches;
mod files;
mod page;
mod search;

#[cfg(test)]
pub(crate) use self::{
    file_batches::FIELDS as FILE_BATCH_FIELDS, files::ATTACH_FIELDS, files::ATTRIBUTES_FIELDS,
    search::FIELDS as SEARCH_FIELDS,
};

/// What the server checks of a store to make before the engine is asked.
pub(crate) const CREATE_FIELDS: &[Field] = &[
    Field::optional("chunking_strategy", Rule::Object),
    Field::optional("description", Rule::Text),
    Field::optional("embedding_dimension", Rule::Integer(1, 65_536)),
    Field::optional("embedding_model", Rule::Text),
    Field::optional("expires_after", Rule::Object),
    Field::optional("file_ids", Rule::Array),
    Field::optional("metadata", Rule::Object),
    Field::optional("name", Rule::Text),
    Field::optional("provider_id", Rule::Text),
];

/// What the server checks of a change before the engine is asked.
pub(crate) const UPDATE_FIELDS: &[Field] = &[
    Field::optional("expires_after", Rule::Object),
    Field::optional("metadata", Rule::Object),
    Field::optional("name", Rule::Text),
];

const VECTOR_STORE_ID: Parameter = Parameter {
    place: Place::Path,
    name: "vector_store_id",
    description: "The vector store's id.",
    schema: schema_of::<String>,
};

/// The routes, in the order of the documentation.
pub(crate) const ROUTES: &[Route] = &[
    CREATE,
    LIST,
    RETRIEVE,
    UPDATE,
    DELETE,
    search::SEARCH,
    files::ATTACH,
    files::LIST,
    files::RETRIEVE,
    files::CONTENT,
    files::UPDATE,
    files::DELETE,
    file_batches::CREATE,
    file_batches::RETRIEVE,
    file_batches::CANCEL,
    file_batches::LIST_FILES,
];

const CREATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector_stores",
    operation_id: "createVectorStore",
    tag: "Vector stores",
    summary: "Make a vector store",
    description: "Files that are attached are ingested in the background; `file_counts` tells how far they are.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<CreateStore>)),
    answers: &[Answer::json(schema_of::<VectorStore>)],
    serve: |call| Box::pin(create(call)),
    error_body,
};

const LIST: Route = Route {
    verb: Verb::Get,
    path: "/v1/vector_stores",
    operation_id: "listVectorStores",
    tag: "Vector stores",
    summary: "List the vector stores",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[LIMIT, ORDER, AFTER, BEFORE],
    request: None,
    answers: &[Answer::json(schema_of::<ListResponse<VectorStore>>)],
    serve: |call| Box::pin(list(call)),
    error_body,
};

const RETRIEVE: Route = Route {
    verb: Verb::Get,
    path: "/v1/vector_stores/{vector_store_id}",
    operation_id: "getVectorStore",
    tag: "Vector stores",
    summary: "Describe a vector store",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID],
    request: None,
    answers: &[Answer::json(schema_of::<VectorStore>)],
    serve: |call| Box::pin(retrieve(call)),
    error_body,
};

const UPDATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector_stores/{vector_store_id}",
    operation_id: "modifyVectorStore",
    tag: "Vector stores",
    summary: "Change what is noted about a vector store",
    description: "What is absent stays as it is; what is null is taken away.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID],
    request: Some(RequestBody::json(schema_of::<UpdateStore>)),
    answers: &[Answer::json(schema_of::<VectorStore>)],
    serve: |call| Box::pin(update(call)),
    error_body,
};

const DELETE: Route = Route {
    verb: Verb::Delete,
    path: "/v1/vector_stores/{vector_store_id}",
    operation_id: "deleteVectorStore",
    tag: "Vector stores",
    summary: "Delete a vector store",
    description: "The files that are attached to it stay.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID],
    request: None,
    answers: &[Answer::json(schema_of::<DeleteVectorStoreResponse>)],
    serve: |call| Box::pin(delete(call)),
    error_body,
};

/// A vector store that is gone. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
struct DeleteVectorStoreResponse {
    /// The store's id.
    id: String,
    /// Always `vector_store.deleted`.
    #[schemars(extend("enum" = ["vector_store.deleted"]))]
    object: &'static str,
    /// Always true.
    deleted: bool,
}

async fn create(call: &mut Call) -> Result<Reply> {
    let request: CreateStore = call.request(CREATE_FIELDS).await?;
    let made = call.stack.vector_stores()?.create(&call.context, request).await;
    let store = made.map_err(|error| match error.param() {
        Some("model") => error.with_param("embedding_model"),
        _ => error,
    })?;
    Reply::json(&Json::new(store))
}

async fn list(call: &mut Call) -> Result<Reply> {
    let query = call.query::<StoresQuery>()?.check()?;
    let page = call.stack.vector_stores()?.list(&call.context, &query).await?;
    Reply::json(&Json::new(ListResponse::new(page, |store| &store.id)))
}

async fn retrieve(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("vector_store_id").await?;
    let store = call.stack.vector_stores()?.get(&call.context, &id).await?;
    Reply::json(&Json::new(store))
}

async fn update(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("vector_store_id").await?;
    let update: UpdateStore = call.request(UPDATE_FIELDS).await?;
    let store = call.stack.vector_stores()?.update(&call.context, &id, update).await?;
    Reply::json(&Json::new(store))
}

async fn delete(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("vector_store_id").await?;
    call.stack.vector_stores()?.delete(&call.context, &id).await?;
    Reply::json(&Json::new(DeleteVectorStoreResponse {
        id,
        object: "vector_store.deleted",
        deleted: true,
    }))
}
