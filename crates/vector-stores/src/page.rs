//! Parts of lists.

use puna_api::{Error, Result, SortOrder};

/// Which part of a list is wanted. The order is that of creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Those that come after this one in the order that was asked for: an id that a page ended with.
    pub after: Option<String>,
    /// Those that come before this one, the nearest ones when there are more than `limit`: an id that a page began with.
    pub before: Option<String>,
    /// At most so many: 1 to 100.
    pub limit: u32,
    /// The order, by time of creation.
    pub order: SortOrder,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, in the order that was asked for.
    pub data: Vec<T>,
    /// Whether there are more, in the direction that the cursor goes.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// The page with something made of each item.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            data: self.data.into_iter().map(f).collect(),
            has_more: self.has_more,
        }
    }
}

impl PageQuery {
    /// The most items of a page.
    pub const MOST: u32 = 100;

    /// Checks what its type cannot say.
    pub fn check(&self) -> Result<()> {
        if (1..=Self::MOST).contains(&self.limit) {
            return Ok(());
        }
        let message = format!("`limit` must be 1 to {}, not {}", Self::MOST, self.limit);
        Err(Error::invalid_request(message).with_param("limit"))
    }
}

impl Default for PageQuery {
    fn default() -> Self {
        Self {
            after: None,
            before: None,
            limit: 20,
            order: SortOrder::Desc,
        }
    }
}
