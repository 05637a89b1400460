//! A file in a store.

use puna_api::{Attributes, ChunkingStrategy, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::PageQuery;
use crate::attributes::check_attributes;

/// A file in a store. Wire shape: `VectorStoreFileObject` of OpenAI and of Llama Stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VectorStoreFile")]
pub struct StoreFile {
    /// The file's id.
    pub id: String,
    /// Always `vector_store.file`.
    pub object: StoreFileObject,
    /// How many bytes it takes: texts and vectors of its chunks.
    pub usage_bytes: u64,
    /// When it was attached, in seconds since 1970.
    pub created_at: u64,
    /// The store.
    pub vector_store_id: String,
    /// How far it is.
    pub status: StoreFileStatus,
    /// Why it could not be ingested; null otherwise.
    #[serde(default)]
    pub last_error: Option<LastError>,
    /// How it is cut.
    pub chunking_strategy: ShownChunking,
    /// What filters of searches look at.
    #[serde(default)]
    pub attributes: Attributes,
}

/// The value of [`StoreFile::object`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum StoreFileObject {
    /// A file of a vector store.
    #[default]
    #[serde(rename = "vector_store.file")]
    File,
}

/// How far a file of a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreFileStatus {
    /// It is being ingested, or waits for it.
    InProgress,
    /// It can be searched.
    Completed,
    /// It could not be ingested.
    Failed,
    /// Its ingestion was cancelled.
    Cancelled,
}

/// Why a file could not be ingested. Wire shape: `last_error` of OpenAI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VectorStoreFileLastError")]
pub struct LastError {
    /// Whose fault it is.
    pub code: LastErrorCode,
    /// What went wrong.
    pub message: String,
}

/// Whose fault it is that a file could not be ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastErrorCode {
    /// The server's, or that of something it needs.
    ServerError,
    /// A kind of file that cannot be read here.
    UnsupportedFile,
    /// The file's own.
    InvalidFile,
}

/// How a file is cut, as answers show it: `auto` is shown as the bounds that it stands for, as OpenAI has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "VectorStoreFileChunkingStrategy")]
pub struct ShownChunking(pub ChunkingStrategy);

/// A file to attach. Wire shape: `CreateVectorStoreFileRequest` of OpenAI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateVectorStoreFileRequest")]
pub struct AttachFile {
    /// The file. One that is attached already is ingested anew.
    pub file_id: String,
    /// What filters of searches look at: at most 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
    /// How it is cut; `auto` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunking_strategy: Option<ChunkingStrategy>,
}

/// Which files of a store or a batch are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilesQuery {
    /// Which part of the list; its cursors are ids of files.
    pub page: PageQuery,
    /// Those that are so far.
    pub status: Option<StoreFileStatus>,
}

impl StoreFileStatus {
    /// Every status.
    pub const ALL: &'static [Self] = &[Self::InProgress, Self::Completed, Self::Failed, Self::Cancelled];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == name)
    }
}

impl LastErrorCode {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerError => "server_error",
            Self::UnsupportedFile => "unsupported_file",
            Self::InvalidFile => "invalid_file",
        }
    }

    /// The code of this name; the server's fault where there is none.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "unsupported_file" => Self::UnsupportedFile,
            "invalid_file" => Self::InvalidFile,
            _ => Self::ServerError,
        }
    }
}

impl AttachFile {
    /// A file with nothing said about it.
    pub fn new(file_id: impl Into<String>) -> Self {
        Self {
            file_id: file_id.into(),
            attributes: None,
            chunking_strategy: None,
        }
    }

    /// Checks what can be told without the server. An error names the field, with `place` before it, such as `files[3].`.
    pub fn check(&self, place: &str) -> Result<()> {
        if self.file_id.is_empty() {
            let param = format!("{place}file_id");
            return Err(Error::invalid_request(format!("`{param}` is empty; name a file")).with_param(param));
        }
        if let Some(attributes) = &self.attributes {
            check_attributes(attributes, &format!("{place}attributes"))?;
        }
        let strategy = self.chunking_strategy.as_ref();
        strategy.map_or(Ok(()), |strategy| {
            strategy.validate(&format!("{place}chunking_strategy"))
        })
    }
}
