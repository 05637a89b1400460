//! `/v1/vector_stores/{vector_store_id}/files/{file_id}/content`.

use puna_api::{Api, Attributes, Json, Result as ApiResult};
use puna_vector_stores::{ContentPage, ContentQuery, ContentType, TextContent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FILE_ID, VECTOR_STORE_ID, ids};
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::query;
use crate::routes::{Answer, Parameter, Place, Route, Verb, schema_of};
use crate::surface::openai::error_body;

pub(in crate::surface::openai::vector_stores) const CONTENT: Route = Route {
    verb: Verb::Get,
    path: "/v1/vector_stores/{vector_store_id}/files/{file_id}/content",
    operation_id: "retrieveVectorStoreFileContent",
    tag: "Vector stores",
    summary: "Read the text of a file",
    description: "As it was cut into chunks, in their order.",
    public: false,
    api: Some(Api::VectorIo),
    parameters: &[
        VECTOR_STORE_ID,
        FILE_ID,
        Parameter {
            place: Place::Query,
            name: "include_embeddings",
            description: "Whether each chunk comes with its vector; false by default. (Llama Stack)",
            schema: schema_of::<bool>,
        },
        Parameter {
            place: Place::Query,
            name: "include_metadata",
            description: "Whether each chunk comes with what is known of it; false by default. (Llama Stack)",
            schema: schema_of::<bool>,
        },
        Parameter {
            place: Place::Query,
            name: "limit",
            description: "How many chunks at most, 1 to 1,000, which is also the default.",
            schema: schema_of::<u32>,
        },
        Parameter {
            place: Place::Query,
            name: "page",
            description: "Which page: the `next_page` of the one before.",
            schema: schema_of::<String>,
        },
    ],
    request: None,
    answers: &[Answer::json(schema_of::<FileContentResponse>)],
    serve: |call| Box::pin(content(call)),
    error_body,
};

/// The text of a file. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "VectorStoreFileContentResponse")]
struct FileContentResponse {
    /// Always `vector_store.file_content.page`.
    #[schemars(extend("enum" = ["vector_store.file_content.page"]))]
    object: &'static str,
    /// The chunks, in their order.
    data: Vec<TextContent>,
    /// Whether there are more.
    has_more: bool,
    /// What to ask the next page by; null when this is the last.
    next_page: Option<String>,
    /// The file's id. (Llama Stack)
    file_id: String,
    /// What the file is called. (Llama Stack)
    filename: String,
    /// What filters of searches look at. (Llama Stack)
    attributes: Attributes,
    /// The texts of `data`. (Llama Stack up to 0.3)
    content: Vec<PlainText>,
}

/// A text. (Llama Stack up to 0.3)
#[derive(Debug, Serialize, JsonSchema)]
struct PlainText {
    /// Always `text`.
    #[serde(rename = "type")]
    content_type: ContentType,
    /// The text.
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentParameters {
    include_embeddings: Option<String>,
    include_metadata: Option<String>,
    limit: Option<String>,
    page: Option<String>,
}

/// What is wanted of each chunk beside its text.
struct Include {
    embeddings: bool,
    metadata: bool,
}

async fn content(call: &mut Call) -> Result<Reply> {
    let (id, file_id) = ids(call).await?;
    let (query, include) = call.query::<ContentParameters>()?.check()?;
    let stores = call.stack.vector_stores()?;
    let page = stores.file_content(&call.context, &id, &file_id, &query).await?;
    Reply::json(&Json::new(FileContentResponse::new(page, &include)))
}

impl ContentParameters {
    fn check(self) -> ApiResult<(ContentQuery, Include)> {
        let limit = query::count("limit", self.limit.as_deref(), ContentQuery::MOST, ContentQuery::MOST)?;
        let after = self.page.map(|page| {
            let right = "send the `next_page` of the page before";
            page.parse().map_err(|_| query::wrong("page", &page, right))
        });
        let include = Include {
            embeddings: query::flag("include_embeddings", self.include_embeddings.as_deref())?,
            metadata: query::flag("include_metadata", self.include_metadata.as_deref())?,
        };
        let after = after.transpose()?;
        Ok((ContentQuery { after, limit }, include))
    }
}

impl FileContentResponse {
    fn new(page: ContentPage, include: &Include) -> Self {
        let plain = |content: &TextContent| PlainText {
            content_type: content.content_type,
            text: content.text.clone(),
        };
        let asked = |content: TextContent| TextContent {
            embedding: content.embedding.filter(|_| include.embeddings),
            chunk_metadata: content.chunk_metadata.filter(|_| include.metadata),
            metadata: content.metadata.filter(|_| include.metadata),
            ..content
        };
        Self {
            object: "vector_store.file_content.page",
            content: page.data.iter().map(plain).collect(),
            data: page.data.into_iter().map(asked).collect(),
            has_more: page.next.is_some(),
            next_page: page.next.map(|next| next.to_string()),
            file_id: page.file_id,
            filename: page.filename,
            attributes: page.attributes,
        }
    }
}
