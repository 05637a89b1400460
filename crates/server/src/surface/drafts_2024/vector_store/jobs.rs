//! `/vector_store/{insert,delete}/jobs`: documents put in and taken out in the background.

use puna_api::{Api, Error, Json, RequestContext};
use puna_vector_stores::{
    BatchStatus, CreateFileBatch, FileBatch, FileCounts, FileRemoval, FileRemovalStatus, FilesQuery, PageQuery,
    StoreFileStatus, VectorStores,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TAG;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::query;
use crate::routes::{Answer, Parameter, Place, RequestBody, Route, Verb, schema_of};
use crate::surface::drafts_2024::document::{self, Document};
use crate::surface::openai::error_body;

/// What the server checks of an insertion before the engine is asked.
pub(crate) const INSERT_FIELDS: &[Field] = &[
    Field::optional("documents", Rule::NonEmptyArray),
    Field::optional("file_ids", Rule::NonEmptyArray),
    Field::required("vector_store_id", Rule::Text),
];

/// What the server checks of a deletion before the engine is asked.
pub(crate) const DELETE_FIELDS: &[Field] = &[
    Field::required("document_ids", Rule::NonEmptyArray),
    Field::required("vector_store_id", Rule::Text),
];

/// What the server checks of a cancellation before the engine is asked.
pub(crate) const CANCEL_FIELDS: &[Field] = &[Field::required("job_id", Rule::Text)];

const JOB_ID: Parameter = Parameter {
    place: Place::RequiredQuery,
    name: "job_id",
    description: "The job's id.",
    schema: schema_of::<String>,
};

pub(in super::super) const SUBMIT_INSERT: Route = Route {
    verb: Verb::Post,
    path: "/vector_store/insert/jobs/submit",
    operation_id: "submitVectorStoreInsertJob",
    tag: TAG,
    summary: "Have documents put into a vector store",
    description: "Either `documents`, which come with the request, or `file_ids` of uploaded files. They are read, cut and embedded in the \
                  background.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<InsertRequest>)),
    answers: &[Answer::json(schema_of::<InsertJob>)],
    serve: |call| Box::pin(submit_insert(call)),
    error_body,
};

pub(in super::super) const INSERT_STATUS: Route = Route {
    verb: Verb::Get,
    path: "/vector_store/insert/jobs/status",
    operation_id: "getVectorStoreInsertJob",
    tag: TAG,
    summary: "Tell how far an insertion is",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[JOB_ID],
    request: None,
    answers: &[Answer::json(schema_of::<InsertJob>)],
    serve: |call| Box::pin(insert_status(call)),
    error_body,
};

pub(in super::super) const CANCEL_INSERT: Route = Route {
    verb: Verb::Post,
    path: "/vector_store/insert/jobs/cancel",
    operation_id: "cancelVectorStoreInsertJob",
    tag: TAG,
    summary: "Cancel an insertion",
    description: "Documents that are in already stay; a job that is over stays as it is.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<CancelRequest>)),
    answers: &[Answer::json(schema_of::<InsertJob>)],
    serve: |call| Box::pin(cancel_insert(call)),
    error_body,
};

pub(in super::super) const SUBMIT_DELETE: Route = Route {
    verb: Verb::Post,
    path: "/vector_store/delete/jobs/submit",
    operation_id: "submitVectorStoreDeleteJob",
    tag: TAG,
    summary: "Have documents taken out of a vector store",
    description: "One after the other, in the background.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<DeleteRequest>)),
    answers: &[Answer::json(schema_of::<DeleteJob>)],
    serve: |call| Box::pin(submit_delete(call)),
    error_body,
};

pub(in super::super) const DELETE_STATUS: Route = Route {
    verb: Verb::Get,
    path: "/vector_store/delete/jobs/status",
    operation_id: "getVectorStoreDeleteJob",
    tag: TAG,
    summary: "Tell how far a deletion is",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[JOB_ID],
    request: None,
    answers: &[Answer::json(schema_of::<DeleteJob>)],
    serve: |call| Box::pin(delete_status(call)),
    error_body,
};

pub(in super::super) const CANCEL_DELETE: Route = Route {
    verb: Verb::Post,
    path: "/vector_store/delete/jobs/cancel",
    operation_id: "cancelVectorStoreDeleteJob",
    tag: TAG,
    summary: "Cancel a deletion",
    description: "Documents that are gone stay gone, the others stay; a job that is over stays as it is.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<CancelRequest>)),
    answers: &[Answer::json(schema_of::<DeleteJob>)],
    serve: |call| Box::pin(cancel_delete(call)),
    error_body,
};

/// What to put into a store: either `documents` or `file_ids`. (Draft of July 2024)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreInsertJobRequest")]
struct InsertRequest {
    /// The store.
    vector_store_id: String,
    /// New documents, 1 to 2,000.
    #[serde(default)]
    documents: Option<Vec<Document>>,
    /// Uploaded files, 1 to 2,000. One that is in already is put in anew.
    #[serde(default)]
    file_ids: Option<Vec<String>>,
}

/// What to take out of a store. (Draft of July 2024)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreDeleteJobRequest")]
struct DeleteRequest {
    /// The store.
    vector_store_id: String,
    /// The ids of documents and of files, 1 to 2,000.
    document_ids: Vec<String>,
}

/// A job to cancel. (Draft of July 2024)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CancelVectorStoreJobRequest")]
struct CancelRequest {
    /// The job.
    job_id: String,
}

/// A job that puts documents into a store. (Draft of July 2024)
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "VectorStoreInsertJob")]
struct InsertJob {
    /// The job's id.
    id: String,
    /// The store.
    vector_store_id: String,
    /// How far it is.
    status: InsertStatus,
    /// How far its documents are. One that was taken out or replaced does not count any more.
    counts: FileCounts,
    /// Why a document could not be put in, the first of them; null when there is none.
    error: Option<String>,
}

/// How far an insertion is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "VectorStoreInsertJobStatus")]
enum InsertStatus {
    /// Some documents are being put in, or wait for it.
    Running,
    /// Each has been put in or has failed, and one at least has not failed.
    Completed,
    /// All have failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// A job that takes documents out of a store. (Draft of July 2024)
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "VectorStoreDeleteJob")]
struct DeleteJob {
    /// The job's id.
    id: String,
    /// The store.
    vector_store_id: String,
    /// How far it is.
    status: FileRemovalStatus,
    /// How many documents are gone, and forgotten by the index; a second old at most.
    done: u64,
    /// How many are to go.
    total: u64,
    /// Why it failed, or what it waits for; null when nothing is wrong.
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobQuery {
    job_id: Option<String>,
}

async fn submit_insert(call: &mut Call) -> Result<Reply> {
    let request: InsertRequest = call.request(INSERT_FIELDS).await?;
    let store_id = &request.vector_store_id;
    let stores = call.stack.vector_stores()?;
    let batch = match (request.documents, request.file_ids) {
        (Some(documents), None) => {
            let documents = document::kept(documents, "documents")?;
            stores
                .submit_documents(&call.context, store_id, documents, "documents")
                .await?
        }
        (None, file_ids @ Some(_)) => {
            let files = CreateFileBatch {
                file_ids,
                ..CreateFileBatch::default()
            };
            stores.create_batch(&call.context, store_id, files).await?
        }
        (Some(_), Some(_)) => {
            let message = "`documents` and `file_ids` exclude each other; send one of them";
            return Err(Error::invalid_request(message).with_param("file_ids").into());
        }
        (None, None) => {
            let error =
                Error::invalid_request("`documents` is missing; send documents, or `file_ids` of uploaded files");
            return Err(error
                .with_param("documents")
                .with_code("missing_required_parameter")
                .into());
        }
    };
    Reply::json(&Json::new(insert_job(stores, &call.context, batch).await?))
}

async fn insert_status(call: &mut Call) -> Result<Reply> {
    let job_id = asked(call)?;
    let stores = call.stack.vector_stores()?;
    let found = async {
        let store_id = stores.store_of_batch(&job_id).await?;
        stores.batch(&call.context, &store_id, &job_id).await
    };
    let batch = found.await.map_err(|error| no_job(error, &job_id))?;
    Reply::json(&Json::new(insert_job(stores, &call.context, batch).await?))
}

async fn cancel_insert(call: &mut Call) -> Result<Reply> {
    let CancelRequest { job_id } = call.request(CANCEL_FIELDS).await?;
    let stores = call.stack.vector_stores()?;
    let cancelled = async {
        let store_id = stores.store_of_batch(&job_id).await?;
        stores.cancel_batch(&call.context, &store_id, &job_id).await
    };
    let batch = cancelled.await.map_err(|error| no_job(error, &job_id))?;
    Reply::json(&Json::new(insert_job(stores, &call.context, batch).await?))
}

async fn submit_delete(call: &mut Call) -> Result<Reply> {
    let request: DeleteRequest = call.request(DELETE_FIELDS).await?;
    let stores = call.stack.vector_stores()?;
    let submitted = stores
        .submit_removal(
            &call.context,
            &request.vector_store_id,
            request.document_ids,
            "document_ids",
        )
        .await?;
    Reply::json(&Json::new(DeleteJob::from(submitted)))
}

async fn delete_status(call: &mut Call) -> Result<Reply> {
    let job_id = asked(call)?;
    let removal = call.stack.vector_stores()?.removal(&call.context, &job_id).await;
    let removal = removal.map_err(|error| no_job(error, &job_id))?;
    Reply::json(&Json::new(DeleteJob::from(removal)))
}

async fn cancel_delete(call: &mut Call) -> Result<Reply> {
    let CancelRequest { job_id } = call.request(CANCEL_FIELDS).await?;
    let stores = call.stack.vector_stores()?;
    let removal = stores.cancel_removal(&call.context, &job_id).await;
    let removal = removal.map_err(|error| no_job(error, &job_id))?;
    Reply::json(&Json::new(DeleteJob::from(removal)))
}

/// The job that a query names.
fn asked(call: &Call) -> Result<String> {
    let asked: JobQuery = call.query()?;
    Ok(query::required("job_id", asked.job_id, "the id of a job")?)
}

/// The answer to a job that is not there, whatever it is that the engine has not found.
fn no_job(error: Error, job_id: &str) -> Error {
    if error.kind() != puna_api::ErrorKind::NotFound {
        return error;
    }
    let shown: String = job_id.chars().take(100).collect();
    Error::not_found(format!("there is no job `{shown}` of this kind"))
        .with_param("job_id")
        .with_source(error)
}

/// A batch as the job that it is here.
async fn insert_job(stores: &VectorStores, context: &RequestContext, batch: FileBatch) -> puna_api::Result<InsertJob> {
    let error = match batch.file_counts.failed {
        0 => None,
        _ => {
            let failed = FilesQuery {
                page: PageQuery {
                    limit: 1,
                    order: puna_api::SortOrder::Asc,
                    ..PageQuery::default()
                },
                status: Some(StoreFileStatus::Failed),
            };
            let page = stores
                .batch_files(context, &batch.vector_store_id, &batch.id, &failed)
                .await?;
            let first = page.data.into_iter().next();
            first.and_then(|file| {
                let why = file.last_error?.message;
                Some(format!("`{}`: {why}", file.id))
            })
        }
    };
    Ok(InsertJob {
        id: batch.id,
        vector_store_id: batch.vector_store_id,
        status: match batch.status {
            BatchStatus::InProgress => InsertStatus::Running,
            BatchStatus::Completed => InsertStatus::Completed,
            BatchStatus::Cancelled => InsertStatus::Cancelled,
            BatchStatus::Failed => InsertStatus::Failed,
        },
        counts: batch.file_counts,
        error,
    })
}

impl From<FileRemoval> for DeleteJob {
    fn from(removal: FileRemoval) -> Self {
        Self {
            id: removal.id,
            vector_store_id: removal.vector_store_id,
            status: removal.status,
            done: removal.done,
            total: removal.total,
            error: removal.error,
        }
    }
}
