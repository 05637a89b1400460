//! Parts of lists, as queries ask for them and as answers have them.

use puna_api::{Result, SortOrder};
use puna_vector_stores::{FilesQuery, Page, PageQuery, StoreFileStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::query;
use crate::routes::{Parameter, Place, schema_of};

pub(super) const LIMIT: Parameter = Parameter {
    place: Place::Query,
    name: "limit",
    description: "How many at most, 1 to 100; 20 by default.",
    schema: schema_of::<u32>,
};

pub(super) const ORDER: Parameter = Parameter {
    place: Place::Query,
    name: "order",
    description: "By time of creation: `desc`, the newest first, by default.",
    schema: schema_of::<SortOrder>,
};

pub(super) const AFTER: Parameter = Parameter {
    place: Place::Query,
    name: "after",
    description: "Only what comes after this one in the list: the `last_id` of the page before.",
    schema: schema_of::<String>,
};

pub(super) const BEFORE: Parameter = Parameter {
    place: Place::Query,
    name: "before",
    description: "Only what comes before this one in the list: the `first_id` of the page behind.",
    schema: schema_of::<String>,
};

pub(super) const FILTER: Parameter = Parameter {
    place: Place::Query,
    name: "filter",
    description: "Only files of this status.",
    schema: schema_of::<StoreFileStatus>,
};

/// A part of a list. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "List{T}sResponse")]
pub(super) struct ListResponse<T> {
    /// Always `list`.
    #[schemars(extend("enum" = ["list"]))]
    object: &'static str,
    /// The part.
    data: Vec<T>,
    /// The id of the first one; empty when there is none.
    first_id: String,
    /// The id of the last one; empty when there is none.
    last_id: String,
    /// Whether there are more in the direction that was asked for.
    has_more: bool,
}

/// What a query may say about a list of stores.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoresQuery {
    limit: Option<String>,
    order: Option<String>,
    after: Option<String>,
    before: Option<String>,
}

/// What a query may say about a list of files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreFilesQuery {
    limit: Option<String>,
    order: Option<String>,
    after: Option<String>,
    before: Option<String>,
    filter: Option<String>,
}

impl<T> ListResponse<T> {
    pub(super) fn new(page: Page<T>, id: fn(&T) -> &String) -> Self {
        let id = |item: Option<&T>| item.map(id).cloned().unwrap_or_default();
        Self {
            object: "list",
            first_id: id(page.data.first()),
            last_id: id(page.data.last()),
            data: page.data,
            has_more: page.has_more,
        }
    }
}

impl StoresQuery {
    pub(super) fn check(self) -> Result<PageQuery> {
        let limit = query::count(
            "limit",
            self.limit.as_deref(),
            PageQuery::MOST,
            PageQuery::default().limit,
        )?;
        Ok(PageQuery {
            limit,
            order: query::order(self.order.as_deref(), SortOrder::Desc)?,
            after: self.after,
            before: self.before,
        })
    }
}

impl StoreFilesQuery {
    pub(super) fn check(self) -> Result<FilesQuery> {
        let status = self.filter.map(|name| {
            StoreFileStatus::from_name(&name).ok_or_else(|| {
                let right = "send `in_progress`, `completed`, `failed` or `cancelled`";
                query::wrong("filter", &name, right)
            })
        });
        let page = StoresQuery {
            limit: self.limit,
            order: self.order,
            after: self.after,
            before: self.before,
        };
        Ok(FilesQuery {
            page: page.check()?,
            status: status.transpose()?,
        })
    }
}
