//! `/vector_store` of the draft of 5 July 2024. It names the paths and the objects alone; what stands between them here is told in
//! `docs/decisions/0014-memory-banks.md`.

use puna_api::{Api, Json};
use puna_vector_stores::{CreateStore, UpdateStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bank::{self, Names};
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::query;
use crate::routes::{Answer, Parameter, Place, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;

pub(super) mod jobs;

/// What the server checks of a store to make before the engine is asked.
pub(crate) const CREATE_FIELDS: &[Field] = &[
    Field::optional("description", Rule::Text),
    Field::optional("id", Rule::Text),
    Field::optional("name", Rule::Text),
];

/// What the server checks of a change before the engine is asked.
pub(crate) const UPDATE_FIELDS: &[Field] = &[
    Field::optional("description", Rule::Text),
    Field::required("id", Rule::Text),
    Field::optional("name", Rule::Text),
];

const NAMES: Names = Names { id: "id", name: "name" };

const TAG: &str = "Vector stores (2024 draft)";

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/vector_store",
    operation_id: "listDraftVectorStores",
    tag: TAG,
    summary: "List the vector stores",
    description: "The oldest first, or the one that `id` names.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[Parameter {
        place: Place::Query,
        name: "id",
        description: "Only the store of this id.",
        schema: schema_of::<String>,
    }],
    request: None,
    answers: &[Answer::json(schema_of::<Vec<VectorStore>>)],
    serve: |call| Box::pin(list(call)),
    error_body,
};

pub(super) const CREATE: Route = Route {
    verb: Verb::Post,
    path: "/vector_store/create",
    operation_id: "createDraftVectorStore",
    tag: TAG,
    summary: "Make an empty vector store",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<CreateRequest>)),
    answers: &[Answer::json(schema_of::<VectorStore>)],
    serve: |call| Box::pin(create(call)),
    error_body,
};

pub(super) const UPDATE: Route = Route {
    verb: Verb::Post,
    path: "/vector_store/update",
    operation_id: "updateDraftVectorStore",
    tag: TAG,
    summary: "Change the name or the description of a vector store",
    description: "What is absent stays as it is.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<UpdateRequest>)),
    answers: &[Answer::json(schema_of::<VectorStore>)],
    serve: |call| Box::pin(update(call)),
    error_body,
};

pub(super) const DROP: Route = Route {
    verb: Verb::Delete,
    path: "/vector_store/drop",
    operation_id: "dropDraftVectorStore",
    tag: TAG,
    summary: "Drop a vector store with all that is in it",
    description: "",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[Parameter {
        place: Place::RequiredQuery,
        name: "id",
        description: "The store's id.",
        schema: schema_of::<String>,
    }],
    request: None,
    answers: &[],
    serve: |call| Box::pin(drop_store(call)),
    error_body,
};

/// A store to make. (Draft of July 2024)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateDraftVectorStoreRequest")]
struct CreateRequest {
    /// Its id: 1 to 128 letters, digits, `-`, `_` and `.`; one of the server's own when absent.
    #[serde(default)]
    id: Option<String>,
    /// What it is called.
    #[serde(default)]
    name: Option<String>,
    /// What is in it, and what for.
    #[serde(default)]
    description: Option<String>,
}

/// A change of a store. (Draft of July 2024)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpdateDraftVectorStoreRequest")]
struct UpdateRequest {
    /// The store.
    id: String,
    /// What it is called from now on.
    #[serde(default)]
    name: Option<String>,
    /// What is in it, and what for, from now on.
    #[serde(default)]
    description: Option<String>,
}

/// A store. (Draft of July 2024)
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DraftVectorStore")]
struct VectorStore {
    /// The id that requests name.
    id: String,
    /// What it is called; empty when it has no name.
    name: String,
    /// What is in it, and what for; empty when nobody said.
    description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreQuery {
    id: Option<String>,
}

async fn list(call: &mut Call) -> Result<Reply> {
    let asked: StoreQuery = call.query()?;
    let stores = call.stack.vector_stores()?;
    let found = match asked.id {
        Some(id) => vec![stores.get(&call.context, &id).await.map_err(|error| NAMES.of(error))?],
        None => bank::all(stores, &call.context).await?,
    };
    let found: Vec<VectorStore> = found.into_iter().map(VectorStore::from).collect();
    Reply::json(&Json::new(found))
}

async fn create(call: &mut Call) -> Result<Reply> {
    let CreateRequest { id, name, description } = call.request(CREATE_FIELDS).await?;
    let store = CreateStore {
        id,
        name,
        description,
        ..CreateStore::default()
    };
    let made = call.stack.vector_stores()?.create(&call.context, store).await;
    let made = made.map_err(|error| NAMES.of(error))?;
    Reply::json(&Json::new(VectorStore::from(made)))
}

async fn update(call: &mut Call) -> Result<Reply> {
    let request: UpdateRequest = call.request(UPDATE_FIELDS).await?;
    let update = UpdateStore {
        name: request.name.map(Some),
        description: request.description.map(Some),
        ..UpdateStore::default()
    };
    let stores = call.stack.vector_stores()?;
    let changed = stores.update(&call.context, &request.id, update).await;
    let changed = changed.map_err(|error| NAMES.of(error))?;
    Reply::json(&Json::new(VectorStore::from(changed)))
}

async fn drop_store(call: &mut Call) -> Result<Reply> {
    let asked: StoreQuery = call.query()?;
    let id = query::required("id", asked.id, "the id of a vector store")?;
    let dropped = call.stack.vector_stores()?.delete(&call.context, &id).await;
    dropped.map_err(|error| NAMES.of(error))?;
    Ok(Reply::Empty)
}

impl From<puna_vector_stores::VectorStore> for VectorStore {
    fn from(store: puna_vector_stores::VectorStore) -> Self {
        Self {
            id: store.id,
            name: store.name,
            description: store.description.unwrap_or_default(),
        }
    }
}
