//! `/memory_bank`: the documents of a bank.

use puna_api::Api;

use super::document::{self, Document};
use super::jsonl;
use super::memory_banks::{BANK_UUID, BankQuery, NAMES, TAG};
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::routes::{RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;

pub(super) const INSERT: Route = Route {
    verb: Verb::Post,
    path: "/memory_bank/insert",
    operation_id: "insertMemoryBankDocuments",
    tag: TAG,
    summary: "Put new documents into a memory bank",
    description: "They can be found when the answer comes. When one of them is there already or cannot be read, nothing changes.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[BANK_UUID],
    request: Some(RequestBody::json(schema_of::<Vec<Document>>)),
    answers: &[],
    serve: |call| Box::pin(insert(call)),
    error_body,
};

pub(super) const UPDATE: Route = Route {
    verb: Verb::Post,
    path: "/memory_bank/update",
    operation_id: "updateMemoryBankDocuments",
    tag: TAG,
    summary: "Replace documents of a memory bank",
    description: "Each takes the place of the one with its id. When one is not there or cannot be read, nothing changes.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[BANK_UUID],
    request: Some(RequestBody::json(schema_of::<Vec<Document>>)),
    answers: &[],
    serve: |call| Box::pin(update(call)),
    error_body,
};

pub(super) const GET: Route = Route {
    verb: Verb::Post,
    path: "/memory_bank/get",
    operation_id: "getMemoryBankDocuments",
    tag: TAG,
    summary: "Read documents of a memory bank",
    description: "Those with these ids, as they were put in, one to a line, in the order of the request.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[BANK_UUID],
    request: Some(RequestBody::json(schema_of::<Vec<String>>)),
    answers: &[jsonl::lines_of::<Document>()],
    serve: |call| Box::pin(get(call)),
    error_body,
};

pub(super) const DELETE: Route = Route {
    verb: Verb::Post,
    path: "/memory_bank/delete",
    operation_id: "deleteMemoryBankDocuments",
    tag: TAG,
    summary: "Take documents out of a memory bank",
    description: "Those with these ids. When one of them is not there, nothing changes.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[BANK_UUID],
    request: Some(RequestBody::json(schema_of::<Vec<String>>)),
    answers: &[],
    serve: |call| Box::pin(delete(call)),
    error_body,
};

async fn insert(call: &mut Call) -> Result<Reply> {
    let bank = call.query::<BankQuery>()?.bank()?;
    let documents = document::kept(call.array().await?, "")?;
    let stores = call.stack.vector_stores()?;
    let done = stores.add_documents(&call.context, &bank, documents, "").await;
    done.map_err(|error| NAMES.of(error))?;
    Ok(Reply::Empty)
}

async fn update(call: &mut Call) -> Result<Reply> {
    let bank = call.query::<BankQuery>()?.bank()?;
    let documents = document::kept(call.array().await?, "")?;
    let stores = call.stack.vector_stores()?;
    let done = stores.replace_documents(&call.context, &bank, documents, "").await;
    done.map_err(|error| NAMES.of(error))?;
    Ok(Reply::Empty)
}

async fn get(call: &mut Call) -> Result<Reply> {
    let bank = call.query::<BankQuery>()?.bank()?;
    let ids: Vec<String> = call.array().await?;
    let stores = call.stack.vector_stores()?;
    let found = stores.kept_documents(&call.context, &bank, &ids, "").await;
    let found = found.map_err(|error| NAMES.of(error))?;
    Ok(jsonl::reply(found.into_iter().map(Document::from))?)
}

async fn delete(call: &mut Call) -> Result<Reply> {
    let bank = call.query::<BankQuery>()?.bank()?;
    let ids: Vec<String> = call.array().await?;
    let stores = call.stack.vector_stores()?;
    let done = stores.remove_files(&call.context, &bank, &ids, "").await;
    done.map_err(|error| NAMES.of(error))?;
    Ok(Reply::Empty)
}
