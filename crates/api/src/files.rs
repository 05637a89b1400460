//! Files that are uploaded once and used by other APIs, in the shapes of the OpenAI API.

use async_trait::async_trait;

use crate::{RequestContext, Result};

mod content;
mod object;
mod purpose;
mod query;
mod upload;

pub use content::{ByteRange, FileContent};
pub use object::{File, FileObject, FileStatus};
pub use purpose::FilePurpose;
pub use query::{FileList, FileQuery, SortOrder};
pub use upload::{ExpiresAfter, ExpiryAnchor, FileDetails, FileUpload};

/// Keeps files.
///
/// # Behavior
/// - A file is there, with all of its bytes, when its upload has been acknowledged, and not before; an upload that fails or is dropped leaves
///   nothing.
/// - The name of a file is a text that comes back as it was; it decides nothing, least of all a path.
/// - Every purpose is kept, and filters the list.
/// - The list is ordered by time of upload, the newest first unless asked otherwise; walking it page by page shows each file once.
/// - A file whose time has come is not found any more, and its bytes go soon after.
/// - A range is answered with its bytes; one that begins behind the end is an invalid request that names `range`.
/// - What is deleted is gone, and deleting it again is not found.
/// - An id that there is no file of is not found, and the error names `file_id`.
#[async_trait]
pub trait Files: Send + Sync {
    /// Keeps a new file.
    async fn upload(&self, context: &RequestContext, upload: FileUpload) -> Result<File>;

    /// Some of the files.
    async fn list(&self, context: &RequestContext, query: FileQuery) -> Result<FileList>;

    /// What is known of a file.
    async fn get(&self, context: &RequestContext, id: &str) -> Result<File>;

    /// A file's bytes, or those of a range that are there.
    async fn content(&self, context: &RequestContext, id: &str, range: Option<ByteRange>) -> Result<FileContent>;

    /// Takes a file away.
    async fn delete(&self, context: &RequestContext, id: &str) -> Result<()>;
}
