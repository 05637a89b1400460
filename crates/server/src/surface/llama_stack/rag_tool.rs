//! `/v1/tool-runtime/rag-tool` of Llama Stack up to 0.3: documents put into stores, and a context for a model made of what is found.

use puna_api::{Api, ChunkingStrategy, Error, Json, StaticChunking};
use puna_vector_stores::InsertDocument;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::content::{ContentPart, InterleavedContent};
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::routes::{Answer, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;
use config::QueryConfig;
use document::Document;

mod config;
mod context;
mod document;
mod generator;
mod template;

/// How many tokens a chunk has by default, as in the original.
const CHUNK_TOKENS: u32 = 512;

/// What the server checks of an insertion before the engine is asked.
pub(crate) const INSERT_FIELDS: &[Field] = &[
    Field::optional(
        "chunk_size_in_tokens",
        Rule::Integer(StaticChunking::LEAST_TOKENS as i64, StaticChunking::MOST_TOKENS as i64),
    ),
    Field::required("documents", Rule::NonEmptyArray),
    Field::required("vector_db_id", Rule::Text),
];

/// What the server checks of a query before the engine is asked.
pub(crate) const QUERY_FIELDS: &[Field] = &[
    Field::required("content", Rule::Content),
    Field::optional("query_config", Rule::Object),
    Field::required("vector_db_ids", Rule::NonEmptyArray),
];

pub(super) const INSERT: Route = Route {
    verb: Verb::Post,
    path: "/v1/tool-runtime/rag-tool/insert",
    operation_id: "insertRagDocuments",
    tag: "RAG tool",
    summary: "Put documents into a vector store",
    description: "They are read, cut and embedded, and can be found when the answer comes. A document takes the place of one with the same id. \
                  Of a request that fails, documents before the one that is named are there.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<InsertRequest>)),
    answers: &[],
    serve: |call| Box::pin(insert(call)),
    error_body,
};

pub(super) const QUERY: Route = Route {
    verb: Verb::Post,
    path: "/v1/tool-runtime/rag-tool/query",
    operation_id: "queryRagContext",
    tag: "RAG tool",
    summary: "Make a context for a model of what vector stores hold",
    description: "Chunks go into it, the best first, as long as there is room.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<QueryRequest>)),
    answers: &[Answer::json(schema_of::<RagQueryResult>)],
    serve: |call| Box::pin(query(call)),
    error_body,
};

/// Documents to put into a store. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InsertRequest {
    /// The documents.
    documents: Vec<Document>,
    /// The store.
    vector_db_id: String,
    /// The most tokens of a chunk, 100 to 4096; a quarter of them overlap. 512 when absent.
    #[serde(default)]
    chunk_size_in_tokens: Option<u32>,
}

/// What a context is wanted for. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct QueryRequest {
    /// What to look for.
    content: InterleavedContent,
    /// The stores to look in.
    vector_db_ids: Vec<String>,
    /// How.
    #[serde(default)]
    query_config: Option<QueryConfig>,
}

/// A context. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RAGQueryResult")]
struct RagQueryResult {
    /// What to show a model; absent when nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<InterleavedContent>,
    /// The `document_ids`, texts (`chunks`), `scores` and stores (`vector_db_ids`) of the chunks in it.
    metadata: Map<String, Value>,
}

async fn insert(call: &mut Call) -> Result<Reply> {
    let request: InsertRequest = call.request(INSERT_FIELDS).await?;
    let size = request.chunk_size_in_tokens.unwrap_or(CHUNK_TOKENS);
    let chunking = ChunkingStrategy::Static {
        bounds: StaticChunking {
            max_chunk_size_tokens: size,
            chunk_overlap_tokens: size / 4,
        },
    };
    let documents = request.documents.into_iter().enumerate();
    let documents = documents.map(|(index, document)| document.into_insert(&format!("documents[{index}]"), &chunking));
    let documents: Vec<InsertDocument> = documents.collect::<puna_api::Result<_>>()?;
    let stores = call.stack.vector_stores()?;
    for (index, document) in documents.into_iter().enumerate() {
        let id = document.document_id.clone();
        let inserted = stores
            .insert_document(&call.context, &request.vector_db_id, document)
            .await;
        inserted.map_err(|error| match error.param() {
            Some("file" | "document_id") => {
                let place = format!("documents[{index}]");
                let message = format!("the document `{id}`: {}", error.message());
                Error::new(error.kind(), message).with_param(place).with_source(error)
            }
            Some("vector_store_id") => error.with_param("vector_db_id"),
            _ => error,
        })?;
    }
    Ok(Reply::Empty)
}

async fn query(call: &mut Call) -> Result<Reply> {
    let request: QueryRequest = call.request(QUERY_FIELDS).await?;
    let texts = request.content.into_texts("content")?;
    let config = request.query_config.unwrap_or_default().check()?;
    let query = config.generator.query(&call.stack, &call.context, &texts).await?;
    let chunks = context::find(&call.stack, &call.context, &request.vector_db_ids, query, &config).await?;
    let context = context::make(&chunks, &texts.join(" "), &config)?;
    let (content, metadata) = match context {
        Some(context) => (Some(context.texts), context.metadata),
        None => (None, Map::new()),
    };
    let parts = |texts: Vec<String>| texts.into_iter().map(|text| ContentPart::Text { text }).collect();
    Reply::json(&Json::new(RagQueryResult {
        content: content.map(|texts| InterleavedContent::Parts(parts(texts))),
        metadata,
    }))
}
