//! What an index is, and what a provider can do with one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The most characters of an index's id.
const MAX_ID_CHARS: usize = 128;

/// The most numbers of a vector.
const MAX_DIMENSION: u32 = 65_536;

/// An index to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorIndex {
    /// The id that later requests name it by: 1 to 128 ASCII letters, digits, `-`, `_` and `.`.
    pub index_id: String,
    /// How many numbers each vector has, 1 to 65,536.
    pub dimension: u32,
    /// How vectors are compared.
    pub metric: Metric,
}

/// How near two vectors are. A score is higher for what is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The cosine of the angle between them, from -1 to 1; 0 if one of them is all zeros.
    #[default]
    Cosine,
    /// Their inner product.
    Dot,
    /// `1 / (1 + d)` of their Euclidean distance `d`, from 0 to 1.
    L2,
}

/// What a search goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// Nearness of vectors.
    #[default]
    Vector,
    /// Words.
    Keyword,
    /// Both.
    Hybrid,
}

/// What a vector provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorCapabilities {
    /// What searches may go by.
    pub modes: &'static [SearchMode],
    /// How vectors may be compared.
    pub metrics: &'static [Metric],
}

impl VectorIndex {
    /// Checks what its type cannot say, and whether a provider of these capabilities can hold it.
    pub fn check(&self, capabilities: VectorCapabilities) -> Result<()> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let length = self.index_id.chars().count();
        if length == 0 || length > MAX_ID_CHARS || !self.index_id.bytes().all(is_allowed) {
            let message = format!(
                "index id {:?}: it must have 1 to {MAX_ID_CHARS} letters, digits, `-`, `_` and `.`",
                self.index_id
            );
            return Err(Error::invalid_request(message).with_param("index_id"));
        }
        if !(1..=MAX_DIMENSION).contains(&self.dimension) {
            let message = format!("dimension {}: it must be from 1 to {MAX_DIMENSION}", self.dimension);
            return Err(Error::invalid_request(message).with_param("dimension"));
        }
        if !capabilities.metrics.contains(&self.metric) {
            let able: Vec<&str> = capabilities.metrics.iter().map(|metric| metric.name()).collect();
            let message = format!(
                "metric `{}` is not supported here; there is {}",
                self.metric.name(),
                able.join(", ")
            );
            return Err(Error::unsupported(message).with_param("metric"));
        }
        Ok(())
    }

    /// Whether making `asked` finds it made already; a conflict if another one has its id.
    pub fn check_same(&self, asked: &Self) -> Result<()> {
        if self == asked {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "index `{}` is there already, with dimension {} and metric `{}`: dimension {} and metric `{}` need another index",
            self.index_id,
            self.dimension,
            self.metric.name(),
            asked.dimension,
            asked.metric.name()
        ))
        .with_param("index_id"))
    }
}

impl Metric {
    /// Every metric.
    pub const ALL: &'static [Self] = &[Self::Cosine, Self::Dot, Self::L2];

    /// The name in a configuration and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::L2 => "l2",
        }
    }
}

impl SearchMode {
    /// Every mode.
    pub const ALL: &'static [Self] = &[Self::Vector, Self::Keyword, Self::Hybrid];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Keyword => "keyword",
            Self::Hybrid => "hybrid",
        }
    }
}
