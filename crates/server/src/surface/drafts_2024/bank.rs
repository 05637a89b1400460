//! What both documents mean by a bank: a vector store of this server.

use puna_api::{Error, RequestContext, Result, SortOrder};
use puna_vector_stores::{PageQuery, VectorStore, VectorStores};

/// The names that a document has for what requests say of a store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    /// The field that holds the store's id.
    pub(super) id: &'static str,
    /// The one that holds its name.
    pub(super) name: &'static str,
}

impl Names {
    /// An error of the engine in the words of the document.
    pub(super) fn of(self, error: Error) -> Error {
        match error.param() {
            Some("vector_store_id" | "id") => error.with_param(self.id),
            Some("name") => error.with_param(self.name),
            Some("index_id") => {
                let message = format!("`{}` must have 1 to 128 letters, digits, `-`, `_` and `.`", self.id);
                Error::invalid_request(message).with_param(self.id).with_source(error)
            }
            Some(choice @ ("embedding_model" | "model" | "provider_id")) => {
                let setting = match choice {
                    "provider_id" => "default_provider_id",
                    _ => "default_embedding_model",
                };
                let message = format!(
                    "{}; this request cannot name one: set `vector_stores.{setting}` in the server's configuration",
                    error.message()
                );
                Error::new(error.kind(), message).with_source(error)
            }
            _ => error,
        }
    }
}

/// Every store, the oldest first.
pub(super) async fn all(stores: &VectorStores, context: &RequestContext) -> Result<Vec<VectorStore>> {
    let mut found: Vec<VectorStore> = Vec::new();
    loop {
        let query = PageQuery {
            after: found.last().map(|store| store.id.clone()),
            limit: PageQuery::MOST,
            order: SortOrder::Asc,
            ..PageQuery::default()
        };
        let page = stores.list(context, &query).await?;
        found.extend(page.data);
        if !page.has_more {
            return Ok(found);
        }
    }
}
