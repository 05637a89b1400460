//! What an index is, and what a provider can do with one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An index to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorIndex {
    /// The id that later requests name it by.
    pub index_id: String,
    /// How many numbers each vector has.
    pub dimension: u32,
    /// How vectors are compared.
    pub metric: Metric,
}

/// How near two vectors are. A score is higher for what is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The cosine of the angle between them, from -1 to 1.
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
