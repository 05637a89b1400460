//! What the server says of vector stores. (OpenAI)

use serde::Deserialize;
use serde_json::{Map, Value};

/// A store.
#[derive(Debug, Deserialize)]
pub(super) struct Store {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) status: String,
    #[serde(default)]
    pub(super) usage_bytes: u64,
    pub(super) file_counts: FileCounts,
}

/// How many files a store has.
#[derive(Debug, Deserialize)]
pub(super) struct FileCounts {
    pub(super) total: u64,
}

/// A file in a store.
#[derive(Debug, Deserialize)]
pub(super) struct StoreFile {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) last_error: Option<LastError>,
    #[serde(default)]
    pub(super) attributes: Attributes,
}

/// Why a file is not in a store.
#[derive(Debug, Deserialize)]
pub(super) struct LastError {
    pub(super) message: String,
}

/// What is known of a file, beside its content.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Attributes(Option<Map<String, Value>>);

impl Attributes {
    /// Which file on a person's machine it was.
    pub(super) fn path(&self) -> Option<&str> {
        self.text("path")
    }

    /// What was in it.
    pub(super) fn sha256(&self) -> Option<&str> {
        self.text("sha256")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name)?.as_str()
    }
}

/// What a search found.
#[derive(Debug, Deserialize)]
pub(super) struct Passages {
    pub(super) data: Vec<Passage>,
}

/// A passage.
#[derive(Debug, Deserialize)]
pub(super) struct Passage {
    pub(super) filename: String,
    pub(super) score: f64,
    #[serde(default)]
    pub(super) attributes: Attributes,
    pub(super) content: Vec<Piece>,
}

/// A piece of a passage.
#[derive(Debug, Deserialize)]
pub(super) struct Piece {
    pub(super) text: String,
}
