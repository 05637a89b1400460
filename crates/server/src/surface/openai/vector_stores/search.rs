//! `/v1/vector_stores/{vector_store_id}/search`.

use puna_api::{Api, Json};
use puna_vector_stores::{SearchHit, SearchStore};
use schemars::JsonSchema;
use serde::Serialize;

use super::VECTOR_STORE_ID;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::routes::{Answer, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;

/// What the server checks before the engine is asked.
pub(crate) const FIELDS: &[Field] = &[
    Field::optional("filters", Rule::Object),
    Field::optional("max_num_results", Rule::Integer(1, 50)),
    Field::required("query", Rule::TextOrNonEmptyArray),
    Field::optional("ranking_options", Rule::Object),
    Field::optional("rewrite_query", Rule::Flag),
    Field::optional("search_mode", Rule::Text),
];

pub(super) const SEARCH: Route = Route {
    verb: Verb::Post,
    path: "/v1/vector_stores/{vector_store_id}/search",
    operation_id: "searchVectorStore",
    tag: "Vector stores",
    summary: "Search a vector store",
    description: "By meaning, by words or by both (`search_mode`). A filter holds before the best are chosen: it never makes the answer shorter \
                  than what there is.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[VECTOR_STORE_ID],
    request: Some(RequestBody::json(schema_of::<SearchStore>)),
    answers: &[Answer::json(schema_of::<SearchResultsPage>)],
    serve: |call| Box::pin(search(call)),
    error_body,
};

/// What was found: all of it, on one page. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "VectorStoreSearchResultsPage")]
struct SearchResultsPage {
    /// Always `vector_store.search_results.page`.
    #[schemars(extend("enum" = ["vector_store.search_results.page"]))]
    object: &'static str,
    /// What was looked for, rewritten if that was asked for.
    search_query: Vec<String>,
    /// The results, the best first.
    data: Vec<SearchHit>,
    /// Always false.
    has_more: bool,
    /// Always null.
    next_page: Option<String>,
}

async fn search(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("vector_store_id").await?;
    let request: SearchStore = call.request(FIELDS).await?;
    let found = call.stack.vector_stores()?.search(&call.context, &id, request).await?;
    Reply::json(&Json::new(SearchResultsPage {
        object: "vector_store.search_results.page",
        search_query: found.search_query,
        data: found.data,
        has_more: false,
        next_page: None,
    }))
}
