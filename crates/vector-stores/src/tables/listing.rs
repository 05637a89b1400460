//! Pages of lists.

use puna_api::{Result, SortOrder};
use puna_storage::{Row, Value};

use crate::{Page, PageQuery};

/// Above every place of a row.
const TOP: &str = "~";

/// What a page of rows is between, and in which direction they are looked for.
pub(super) struct Span {
    lower: String,
    upper: String,
    limit: usize,
    /// Whether rows are looked for from the highest place down.
    is_down: bool,
    /// Whether the rows come the other way round than they are wanted.
    is_reversed: bool,
}

impl Span {
    /// The span of a page; `after` and `before` are the places of its cursors.
    pub(super) fn new(query: &PageQuery, after: Option<String>, before: Option<String>) -> Self {
        let is_reversed = before.is_some() && after.is_none();
        let (lower, upper) = match query.order {
            SortOrder::Asc => (after, before),
            SortOrder::Desc => (before, after),
        };
        Self {
            lower: lower.unwrap_or_default(),
            upper: upper.unwrap_or_else(|| TOP.to_owned()),
            limit: query.limit as usize,
            is_down: (query.order == SortOrder::Desc) != is_reversed,
            is_reversed,
        }
    }

    /// What stands at the end of the statement.
    pub(super) fn ordered(&self, down: &'static str, up: &'static str) -> &'static str {
        if self.is_down { down } else { up }
    }

    /// The lower and the upper bound, both excluded, and how many rows to read.
    pub(super) fn values(&self) -> [Value; 3] {
        let limit = i64::try_from(self.limit).unwrap_or(i64::MAX - 1) + 1;
        [self.lower.as_str().into(), self.upper.as_str().into(), limit.into()]
    }

    /// The page of the rows that were read.
    pub(super) fn page<T>(&self, rows: &[Row], read: impl Fn(&Row) -> Result<T>) -> Result<Page<T>> {
        let mut data = rows.iter().take(self.limit).map(read).collect::<Result<Vec<T>>>()?;
        if self.is_reversed {
            data.reverse();
        }
        Ok(Page {
            data,
            has_more: rows.len() > self.limit,
        })
    }
}
