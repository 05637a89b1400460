//! `/v1/vector-io`: chunks that clients make themselves.

use puna_api::{Api, Error, Json};
use puna_vector_stores::{InsertChunks, QueryChunks, SearchText};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::content::InterleavedContent;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::routes::{Answer, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;
use chunk::{FoundChunk, SentChunk, check_models};
use params::QueryParams;

mod chunk;
mod params;

/// What the server checks of an insertion before the engine is asked.
pub(crate) const INSERT_FIELDS: &[Field] = &[
    Field::required("chunks", Rule::NonEmptyArray),
    Field::optional("ttl_seconds", Rule::Integer(i64::MIN, i64::MAX)),
    Field::optional("vector_db_id", Rule::Text),
    Field::optional("vector_store_id", Rule::Text),
];

/// What the server checks of a query before the engine is asked.
pub(crate) const QUERY_FIELDS: &[Field] = &[
    Field::optional("params", Rule::Object),
    Field::required("query", Rule::Content),
    Field::optional("vector_db_id", Rule::Text),
    Field::optional("vector_store_id", Rule::Text),
];

pub(super) const INSERT: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector-io/insert",
    operation_id: "insertChunks",
    tag: "Vector IO",
    summary: "Put chunks into a vector store",
    description: "They can be found when the answer comes. A chunk takes the place of one with the same id; one without a vector is embedded.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<InsertChunksRequest>)),
    answers: &[],
    serve: |call| Box::pin(insert(call)),
    error_body,
};

pub(super) const QUERY: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector-io/query",
    operation_id: "queryChunks",
    tag: "Vector IO",
    summary: "Find chunks of a vector store",
    description: "With their vectors, and with scores as the provider has them.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<QueryChunksRequest>)),
    answers: &[Answer::json(schema_of::<QueryChunksResponse>)],
    serve: |call| Box::pin(query(call)),
    error_body,
};

/// Chunks to put into a store. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InsertChunksRequest {
    /// The store.
    #[serde(default)]
    vector_store_id: Option<String>,
    /// The same, as it was called up to 0.3.
    #[serde(default)]
    vector_db_id: Option<String>,
    /// The chunks, 1 to 10,000.
    chunks: Vec<SentChunk>,
    /// Not supported: chunks stay until they or their store go.
    #[serde(default)]
    ttl_seconds: Option<i64>,
}

/// What to find. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QueryChunksRequest {
    /// The store.
    #[serde(default)]
    vector_store_id: Option<String>,
    /// The same, as it was called up to 0.3.
    #[serde(default)]
    vector_db_id: Option<String>,
    /// What to look for.
    query: InterleavedContent,
    /// How.
    #[serde(default)]
    params: Option<QueryParams>,
}

/// What was found. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
struct QueryChunksResponse {
    /// The chunks, the best first.
    chunks: Vec<FoundChunk>,
    /// How well each of them answers, in the same order.
    scores: Vec<f32>,
}

async fn insert(call: &mut Call) -> Result<Reply> {
    let request: InsertChunksRequest = call.request(INSERT_FIELDS).await?;
    let store_id = store_id(request.vector_store_id, request.vector_db_id)?;
    if request.ttl_seconds.is_some() {
        let message = "`ttl_seconds` is not supported: chunks stay until they or their vector store go; leave it out, or give the store \
                       `expires_after`";
        return Err(Error::unsupported(message).with_param("ttl_seconds").into());
    }
    let stores = call.stack.vector_stores()?;
    check_models(&call.stack, &call.context, &store_id, &request.chunks).await?;
    let chunks = request.chunks.into_iter().enumerate();
    let chunks = chunks.map(|(index, chunk)| chunk.into_raw(&format!("chunks[{index}]")));
    let insert = InsertChunks {
        chunks: chunks.collect::<puna_api::Result<_>>()?,
    };
    stores.insert_chunks(&call.context, &store_id, insert).await?;
    Ok(Reply::Empty)
}

async fn query(call: &mut Call) -> Result<Reply> {
    let request: QueryChunksRequest = call.request(QUERY_FIELDS).await?;
    let store_id = store_id(request.vector_store_id, request.vector_db_id)?;
    let text = request.query.into_texts("query")?.join(" ");
    let params = request.params.unwrap_or_default().check()?;
    let query = QueryChunks {
        query: SearchText::One(text),
        mode: params.mode,
        filter: params.filter,
        max_chunks: params.max_chunks,
        ranking: params.ranking,
    };
    let stores = call.stack.vector_stores()?;
    let found = stores.query_chunks(&call.context, &store_id, query).await;
    let mut found = found.map_err(|error| match error.param() {
        Some("search_mode") => error.with_param("params.mode"),
        Some("ranking_options.model") => error.with_param("params.reranker_params.model"),
        _ => error,
    })?;
    found.truncate(params.most);
    let store = stores.get(&call.context, &store_id).await?;
    let scores = found.iter().map(|chunk| chunk.score).collect();
    let chunks = found
        .into_iter()
        .map(|chunk| FoundChunk::new(chunk, &store.embedding_model));
    Reply::json(&Json::new(QueryChunksResponse {
        chunks: chunks.collect(),
        scores,
    }))
}

/// The store that a request names, by the new name of the field or by the old one.
fn store_id(vector_store_id: Option<String>, vector_db_id: Option<String>) -> puna_api::Result<String> {
    match (vector_store_id, vector_db_id) {
        (Some(id), None) | (None, Some(id)) => Ok(id),
        (Some(id), Some(other)) if id == other => Ok(id),
        (Some(_), Some(_)) => {
            let message = "`vector_store_id` and `vector_db_id` name different vector stores; send one of them";
            Err(Error::invalid_request(message).with_param("vector_store_id"))
        }
        (None, None) => Err(
            Error::invalid_request("`vector_store_id` is missing; send a non-empty string")
                .with_param("vector_store_id")
                .with_code("missing_required_parameter"),
        ),
    }
}
