//! `/v1/vector_stores/{vector_store_id}/file_batches`.

use puna_api::{Api, Json};
use puna_vector_stores::{CreateFileBatch, FileBatch, StoreFile};

use super::VECTOR_STORE_ID;
use super::page::{AFTER, BEFORE, FILTER, LIMIT, ListResponse, ORDER, StoreFilesQuery};
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::routes::{Answer, Parameter, Place, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;

/// What the server checks before the engine is asked.
pub(crate) const FIELDS: &[Field] = &[
    Field::optional("attributes", Rule::Object),
    Field::optional("chunking_strategy", Rule::Object),
    Field::optional("file_ids", Rule::Array),
    Field::optional("files", Rule::Array),
];

const BATCH_ID: Parameter = Parameter {
    place: Place::Path,
    name: "batch_id",
    description: "The batch's id.",
    schema: schema_of::<String>,
};

pub(super) const CREATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector_stores/{vector_store_id}/file_batches",
    operation_id: "createVectorStoreFileBatch",
    tag: "Vector stores",
    summary: "Attach several files together",
    description: "Either `file_ids`, with one chunking strategy and the same attributes for all, or `files`, each with its own. All of them or, \
                  when one is missing, none.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID],
    request: Some(RequestBody::json(schema_of::<CreateFileBatch>)),
    answers: &[Answer::json(schema_of::<FileBatch>)],
    serve: |call| Box::pin(create(call)),
    error_body,
};

pub(super) const RETRIEVE: Route = Route {
    verb: Verb::Get,
    path: "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}",
    operation_id: "getVectorStoreFileBatch",
    tag: "Vector stores",
    summary: "Describe a batch of files",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID, BATCH_ID],
    request: None,
    answers: &[Answer::json(schema_of::<FileBatch>)],
    serve: |call| Box::pin(retrieve(call)),
    error_body,
};

pub(super) const CANCEL: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel",
    operation_id: "cancelVectorStoreFileBatch",
    tag: "Vector stores",
    summary: "Cancel a batch of files",
    description: "Files that are ingested already stay; a batch that is over stays as it is.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID, BATCH_ID],
    request: None,
    answers: &[Answer::json(schema_of::<FileBatch>)],
    serve: |call| Box::pin(cancel(call)),
    error_body,
};

pub(super) const LIST_FILES: Route = Route {
    verb: Verb::Get,
    path: "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files",
    operation_id: "listFilesInVectorStoreBatch",
    tag: "Vector stores",
    summary: "List the files of a batch",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID, BATCH_ID, LIMIT, ORDER, AFTER, BEFORE, FILTER],
    request: None,
    answers: &[Answer::json(schema_of::<ListResponse<StoreFile>>)],
    serve: |call| Box::pin(list_files(call)),
    error_body,
};

async fn create(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("vector_store_id").await?;
    let request: CreateFileBatch = call.request(FIELDS).await?;
    let stores = call.stack.vector_stores()?;
    let batch = stores.create_batch(&call.context, &id, request).await?;
    Reply::json(&Json::new(batch))
}

async fn retrieve(call: &mut Call) -> Result<Reply> {
    let (id, batch_id) = ids(call).await?;
    let batch = call.stack.vector_stores()?.batch(&call.context, &id, &batch_id).await?;
    Reply::json(&Json::new(batch))
}

async fn cancel(call: &mut Call) -> Result<Reply> {
    let (id, batch_id) = ids(call).await?;
    let stores = call.stack.vector_stores()?;
    let batch = stores.cancel_batch(&call.context, &id, &batch_id).await?;
    Reply::json(&Json::new(batch))
}

async fn list_files(call: &mut Call) -> Result<Reply> {
    let (id, batch_id) = ids(call).await?;
    let query = call.query::<StoreFilesQuery>()?.check()?;
    let stores = call.stack.vector_stores()?;
    let page = stores.batch_files(&call.context, &id, &batch_id, &query).await?;
    Reply::json(&Json::new(ListResponse::new(page, |file| &file.id)))
}

/// The ids of the store and of the batch in the path.
async fn ids(call: &mut Call) -> Result<(String, String)> {
    let id = call.path_parameter("vector_store_id").await?;
    Ok((id, call.path_parameter("batch_id").await?))
}
