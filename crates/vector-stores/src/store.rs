//! What is known of a store.

use puna_api::{ChunkingStrategy, Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The most files that a store can be made with.
const MOST_FILES: usize = 500;
/// The longest name or description, in characters.
const LONGEST_TEXT: usize = 512;
/// The most entries of metadata.
const MOST_METADATA: usize = 16;
/// The longest key of metadata, in characters.
const LONGEST_KEY: usize = 64;
/// The longest value of metadata, in characters of its text or its JSON.
const LONGEST_VALUE: usize = 512;

/// A store. Wire shape: `VectorStoreObject` of OpenAI and of Llama Stack, with what Llama Stack lets a client choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VectorStore {
    /// The id that requests name.
    pub id: String,
    /// Always `vector_store`.
    pub object: VectorStoreObject,
    /// When it was made, in seconds since 1970.
    pub created_at: u64,
    /// Its name; empty when it has none.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How many bytes its files take: texts and vectors of their chunks.
    pub usage_bytes: u64,
    /// How far its files are.
    pub file_counts: FileCounts,
    /// Whether it can be searched.
    pub status: StoreStatus,
    /// When it goes if nobody uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<StoreExpiry>,
    /// When it goes, in seconds since 1970; null when it stays.
    #[serde(default)]
    pub expires_at: Option<u64>,
    /// When it was used last, in seconds since 1970, to the minute.
    #[serde(default)]
    pub last_active_at: Option<u64>,
    /// What its owner noted about it.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The model that makes its vectors (Llama Stack).
    pub embedding_model: String,
    /// How many numbers its vectors have (Llama Stack).
    pub embedding_dimension: u32,
    /// The provider that keeps it (Llama Stack).
    pub provider_id: String,
}

/// The value of [`VectorStore::object`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VectorStoreObject {
    /// A vector store.
    #[default]
    VectorStore,
}

/// Whether a store can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreStatus {
    /// Its time has come; what was in it is gone.
    Expired,
    /// Some of its files are being ingested; the others can be searched.
    InProgress,
    /// All of it can be searched.
    Completed,
}

/// How many files of a store or a batch are how far. Wire shape: `file_counts` of OpenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VectorStoreFileCounts")]
pub struct FileCounts {
    /// Those that are being ingested, or wait for it.
    pub in_progress: u64,
    /// Those that can be searched.
    pub completed: u64,
    /// Those that could not be ingested.
    pub failed: u64,
    /// Those whose ingestion was cancelled.
    pub cancelled: u64,
    /// All of them.
    pub total: u64,
}

/// When a store goes if nobody uses it. Wire shape: `VectorStoreExpirationAfter` of OpenAI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreExpirationAfter")]
pub struct StoreExpiry {
    /// What the time counts from.
    pub anchor: StoreExpiryAnchor,
    /// The time, in days: 1 to 365.
    #[schemars(range(min = 1, max = 365))]
    pub days: u32,
}

/// What the time of a store counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreExpiryAnchor {
    /// Its last use.
    LastActiveAt,
}

/// A store to make. Wire shape: `CreateVectorStoreRequest` of OpenAI, with Llama Stack's additions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateVectorStoreRequest")]
pub struct CreateStore {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Files to attach at once, at most 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_ids: Option<Vec<String>>,
    /// How those files are cut; `auto` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunking_strategy: Option<ChunkingStrategy>,
    /// When it goes if nobody uses it; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<StoreExpiry>,
    /// What its owner notes about it: at most 16 entries, keys of at most 64 characters, values of at most 512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The model that makes its vectors; the configured one, or the only one, when absent (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_model: Option<String>,
    /// How many numbers its vectors have; as many as the model makes when absent (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_dimension: Option<u32>,
    /// The provider that keeps it; the configured one, or the only one, when absent (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The id to give it, for dialects in which the client chooses: 1 to 128 ASCII letters, digits, `-`, `_` and `.`; one of the server's own
    /// when absent.
    #[serde(skip)]
    #[schemars(skip)]
    pub id: Option<String>,
}

/// What changes of a store: a field that is absent stays as it is, and one that is null is taken away. Wire shape: `UpdateVectorStoreRequest`
/// of OpenAI.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UpdateVectorStoreRequest")]
pub struct UpdateStore {
    /// Its name.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub name: Option<Option<String>>,
    /// When it goes if nobody uses it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Option<StoreExpiry>>,
    /// What its owner notes about it, in place of what was noted.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Option<Map<String, Value>>>,
    /// What it is for, for dialects in which that can change.
    #[serde(skip)]
    #[schemars(skip)]
    pub description: Option<Option<String>>,
}

impl FileCounts {
    /// The counts, with their sum.
    pub const fn new(in_progress: u64, completed: u64, failed: u64, cancelled: u64) -> Self {
        Self {
            in_progress,
            completed,
            failed,
            cancelled,
            total: in_progress + completed + failed + cancelled,
        }
    }
}

impl CreateStore {
    /// Checks what can be told without the server; an error names the field.
    pub fn check(&self) -> Result<()> {
        check_text(self.name.as_deref(), "name")?;
        check_text(self.description.as_deref(), "description")?;
        let files = self.file_ids.as_ref().map_or(0, Vec::len);
        if files > MOST_FILES {
            let message =
                format!("{files} files: a store is made with at most {MOST_FILES}; attach the others in batches");
            return Err(Error::invalid_request(message).with_param("file_ids"));
        }
        if let Some(strategy) = &self.chunking_strategy {
            strategy.validate("chunking_strategy")?;
        }
        self.expires_after.map_or(Ok(()), StoreExpiry::check)?;
        self.metadata.as_ref().map_or(Ok(()), check_metadata)
    }
}

impl UpdateStore {
    /// Checks what can be told without the server; an error names the field.
    pub fn check(&self) -> Result<()> {
        check_text(self.name.as_ref().and_then(Option::as_deref), "name")?;
        check_text(self.description.as_ref().and_then(Option::as_deref), "description")?;
        self.expires_after.flatten().map_or(Ok(()), StoreExpiry::check)?;
        let metadata = self.metadata.as_ref().and_then(Option::as_ref);
        metadata.map_or(Ok(()), check_metadata)
    }
}

impl StoreExpiry {
    /// The most days.
    const MOST_DAYS: u32 = 365;

    /// The time, in seconds.
    pub(crate) const fn seconds(self) -> u64 {
        self.days as u64 * 86_400
    }

    fn check(self) -> Result<()> {
        if (1..=Self::MOST_DAYS).contains(&self.days) {
            return Ok(());
        }
        let message = format!(
            "`expires_after.days` must be 1 to {}, not {}",
            Self::MOST_DAYS,
            self.days
        );
        Err(Error::invalid_request(message).with_param("expires_after.days"))
    }
}

fn check_text(text: Option<&str>, field: &str) -> Result<()> {
    let length = text.map_or(0, |text| text.chars().count());
    if length <= LONGEST_TEXT && !text.is_some_and(|text| text.contains('\0')) {
        return Ok(());
    }
    let message = format!("`{field}` must have at most {LONGEST_TEXT} characters, none of them zero; it has {length}");
    Err(Error::invalid_request(message).with_param(field))
}

fn check_metadata(metadata: &Map<String, Value>) -> Result<()> {
    let invalid = |message: String| Err(Error::invalid_request(message).with_param("metadata"));
    if metadata.len() > MOST_METADATA {
        return invalid(format!(
            "`metadata` has {} entries; at most {MOST_METADATA} are allowed",
            metadata.len()
        ));
    }
    for (key, value) in metadata {
        let length = match value {
            Value::String(text) => text.chars().count(),
            other => other.to_string().chars().count(),
        };
        if key.is_empty() || key.chars().count() > LONGEST_KEY || length > LONGEST_VALUE {
            let shown: String = key.chars().take(LONGEST_KEY).collect();
            return invalid(format!(
                "`metadata.{shown}`: keys have 1 to {LONGEST_KEY} characters, and values at most {LONGEST_VALUE}"
            ));
        }
    }
    Ok(())
}

/// A field that is there, be it null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
