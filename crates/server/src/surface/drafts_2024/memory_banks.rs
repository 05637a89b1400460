//! `/memory_banks`: banks made, listed and dropped.

use puna_api::{Api, ErrorKind};
use puna_vector_stores::{CreateStore, VectorStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bank::{self, Names};
use super::document::{self, Document};
use super::jsonl;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::query;
use crate::routes::{Parameter, Place, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;

/// What this document calls a store's id and its name.
pub(super) const NAMES: Names = Names {
    id: "bank_uuid",
    name: "bank_name",
};

/// The bank that a request is about.
pub(super) const BANK_UUID: Parameter = Parameter {
    place: Place::RequiredQuery,
    name: NAMES.id,
    description: "The bank's id: 1 to 128 letters, digits, `-`, `_` and `.`. It is that of a vector store.",
    schema: schema_of::<String>,
};

const BANK_NAME: Parameter = Parameter {
    place: Place::RequiredQuery,
    name: NAMES.name,
    description: "What it is called.",
    schema: schema_of::<String>,
};

pub(super) const TAG: &str = "Memory banks (2024 draft)";

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/memory_banks/get",
    operation_id: "listMemoryBanks",
    tag: TAG,
    summary: "List the memory banks",
    description: "The oldest first, one to a line. Every vector store is one.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: None,
    answers: &[jsonl::lines_of::<MemoryBank>()],
    serve: |call| Box::pin(list(call)),
    error_body,
};

pub(super) const CREATE: Route = Route {
    verb: Verb::Post,
    path: "/memory_banks/create",
    operation_id: "createMemoryBank",
    tag: TAG,
    summary: "Make a memory bank of documents",
    description: "They can be found when the answer comes. When one of them cannot be read, no bank is made.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[BANK_UUID, BANK_NAME],
    request: Some(RequestBody::json(schema_of::<Vec<Document>>)),
    answers: &[],
    serve: |call| Box::pin(create(call)),
    error_body,
};

pub(super) const DROP: Route = Route {
    verb: Verb::Delete,
    path: "/memory_banks/drop",
    operation_id: "dropMemoryBank",
    tag: TAG,
    summary: "Drop a memory bank with its documents",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[BANK_UUID],
    request: None,
    answers: &[],
    serve: |call| Box::pin(drop_bank(call)),
    error_body,
};

/// A bank. (Draft of July 2024)
#[derive(Debug, Serialize, JsonSchema)]
struct MemoryBank {
    /// The id that requests name.
    uuid: String,
    /// What it is called; empty when it has no name.
    name: String,
}

/// What the query of a request about a bank says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BankQuery {
    bank_uuid: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateQuery {
    bank_uuid: Option<String>,
    bank_name: Option<String>,
}

impl BankQuery {
    /// The bank that is meant.
    pub(super) fn bank(self) -> puna_api::Result<String> {
        query::required(NAMES.id, self.bank_uuid, "the id of a memory bank")
    }
}

async fn list(call: &mut Call) -> Result<Reply> {
    let stores = bank::all(call.stack.vector_stores()?, &call.context).await?;
    Ok(jsonl::reply(stores.into_iter().map(MemoryBank::from))?)
}

async fn create(call: &mut Call) -> Result<Reply> {
    let asked: CreateQuery = call.query()?;
    let bank_uuid = query::required(NAMES.id, asked.bank_uuid, "the id that the memory bank is to have")?;
    let bank_name = query::required(NAMES.name, asked.bank_name, "what the memory bank is to be called")?;
    let documents = document::kept(call.array().await?, "")?;
    let stores = call.stack.vector_stores()?;
    let store = CreateStore {
        id: Some(bank_uuid),
        name: Some(bank_name),
        ..CreateStore::default()
    };
    let bank = stores.create(&call.context, store).await;
    let bank = bank.map_err(|error| NAMES.of(error))?;
    if documents.is_empty() {
        return Ok(Reply::Empty);
    }
    if let Err(error) = stores.add_documents(&call.context, &bank.id, documents, "").await {
        // After a timeout its documents are there, and on their way.
        if error.kind() != ErrorKind::Timeout {
            stores.delete(&call.context, &bank.id).await?;
        }
        return Err(NAMES.of(error).into());
    }
    Ok(Reply::Empty)
}

async fn drop_bank(call: &mut Call) -> Result<Reply> {
    let bank_uuid = call.query::<BankQuery>()?.bank()?;
    let dropped = call.stack.vector_stores()?.delete(&call.context, &bank_uuid).await;
    dropped.map_err(|error| NAMES.of(error))?;
    Ok(Reply::Empty)
}

impl From<VectorStore> for MemoryBank {
    fn from(store: VectorStore) -> Self {
        Self {
            uuid: store.id,
            name: store.name,
        }
    }
}
