//! What is known of a file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilePurpose;

/// What is known of a file. Wire shape: `OpenAIFile` of OpenAI, `OpenAIFileObject` of Llama Stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "File")]
pub struct File {
    /// The id that requests name.
    pub id: String,
    /// Always `file`.
    pub object: FileObject,
    /// The size, in bytes.
    pub bytes: u64,
    /// When it was uploaded, in seconds since 1970.
    pub created_at: u64,
    /// When it goes, in seconds since 1970; null when it stays.
    #[serde(default)]
    pub expires_at: Option<u64>,
    /// Its name, as the upload gave it.
    pub filename: String,
    /// What it is for.
    pub purpose: FilePurpose,
    /// Always `processed`: a file can be used as soon as its upload is answered.
    #[serde(default)]
    pub status: FileStatus,
    /// Always null; OpenAI tells there why a training file was refused.
    #[serde(default)]
    pub status_details: Option<String>,
}

/// The value of [`File::object`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileObject {
    /// A file.
    #[default]
    File,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// It is there.
    Uploaded,
    /// It can be used.
    #[default]
    Processed,
    /// It cannot be used.
    Error,
}
