//! Batches of files.

use puna_api::{Attributes, ChunkingStrategy, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AttachFile, FileCounts};

/// The most files of a batch.
const MOST_FILES: usize = 2000;

/// Files that were attached to a store together. Wire shape: `VectorStoreFileBatchObject` of OpenAI and of Llama Stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VectorStoreFileBatch")]
pub struct FileBatch {
    /// The id that requests name.
    pub id: String,
    /// Always `vector_store.files_batch`.
    pub object: FileBatchObject,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// The store.
    pub vector_store_id: String,
    /// How far it is.
    pub status: BatchStatus,
    /// How far its files are. A file that was taken out of the store, or attached anew, does not count any more.
    pub file_counts: FileCounts,
}

/// The value of [`FileBatch::object`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum FileBatchObject {
    /// A batch of files.
    #[default]
    #[serde(rename = "vector_store.files_batch")]
    FilesBatch,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Some of its files are being ingested, or wait for it.
    InProgress,
    /// Each of its files has been ingested or has failed, and one at least has not failed.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// All of its files have failed.
    Failed,
}

/// Files to attach together: either `file_ids` or `files`. Wire shape: `CreateVectorStoreFileBatchRequest` of OpenAI.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateVectorStoreFileBatchRequest")]
pub struct CreateFileBatch {
    /// The files, 1 to 2,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_ids: Option<Vec<String>>,
    /// The files, 1 to 2,000, each with what holds for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<AttachFile>>,
    /// What filters of searches look at, for all of `file_ids`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Attributes>,
    /// How all of `file_ids` are cut; `auto` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunking_strategy: Option<ChunkingStrategy>,
}

impl CreateFileBatch {
    /// Checks what can be told without the server, and answers the files, each once, with what holds for it. An error names the field.
    pub(crate) fn into_files(self) -> Result<Vec<AttachFile>> {
        let Self {
            file_ids,
            files,
            attributes,
            chunking_strategy,
        } = self;
        let invalid = |message: &str, param: &str| Err(Error::invalid_request(message).with_param(param));
        let (files, param) = match (file_ids, files) {
            (Some(_), Some(_)) => {
                return invalid("`file_ids` and `files` exclude each other; send one of them", "files");
            }
            (None, None) => return invalid("a batch needs `file_ids` or `files`", "file_ids"),
            (Some(file_ids), None) => {
                let files = file_ids.into_iter().map(|file_id| AttachFile {
                    file_id,
                    attributes: attributes.clone(),
                    chunking_strategy: chunking_strategy.clone(),
                });
                (files.collect::<Vec<_>>(), "file_ids")
            }
            (None, Some(files)) => {
                if attributes.is_some() || chunking_strategy.is_some() {
                    let param = if attributes.is_some() {
                        "attributes"
                    } else {
                        "chunking_strategy"
                    };
                    let message = format!("with `files`, each of them has its own `{param}`; there is none for all");
                    return invalid(&message, param);
                }
                (files, "files")
            }
        };
        if !(1..=MOST_FILES).contains(&files.len()) {
            let message = format!("a batch has 1 to {MOST_FILES} files, not {}", files.len());
            return invalid(&message, param);
        }
        let mut seen = std::collections::HashSet::new();
        for (index, file) in files.iter().enumerate() {
            match param {
                "files" => file.check(&format!("files[{index}]."))?,
                // What holds for all is checked with the first.
                _ if index == 0 => file.check("")?,
                _ => {}
            }
            if !seen.insert(file.file_id.clone()) {
                let message = format!("the file `{}` is in the batch twice", file.file_id);
                return invalid(&message, &format!("{param}[{index}]"));
            }
        }
        Ok(files)
    }
}
