//! Which files are listed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{File, FilePurpose};

/// Which files are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileQuery {
    /// Those that come after this one in the order that was asked for; an id that a page ended with. The file itself need not be there any more.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// The order, by time of upload.
    pub order: SortOrder,
    /// Those for this purpose.
    pub purpose: Option<FilePurpose>,
}

/// In which direction a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    /// The oldest first.
    Asc,
    /// The newest first.
    #[default]
    Desc,
}

/// Some files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileList {
    /// The files.
    pub files: Vec<File>,
    /// Whether there are more after them.
    pub has_more: bool,
}
