//! A search in a store, as dialects have it.

use puna_api::{Attributes, Filter, SearchMode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TextContent;

/// A search. Wire shape: `VectorStoreSearchRequest` of OpenAI, `OpenAISearchVectorStoreRequest` of Llama Stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreSearchRequest")]
pub struct SearchStore {
    /// What to look for.
    pub query: SearchText,
    /// Which chunks may be found, by their attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Filter>,
    /// The most results, 1 to 50; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub max_num_results: Option<u32>,
    /// How results are ordered and which are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking_options: Option<RankingOptions>,
    /// Whether a model turns the query into words that are better to search with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrite_query: Option<bool>,
    /// What the search goes by; the configured mode, or `vector`, when absent (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_mode: Option<SearchMode>,
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub enum SearchText {
    /// One text.
    One(String),
    /// Several; a result counts by the one that it answers best.
    Several(Vec<String>),
}

/// How results are ordered. Wire shape: `ranking_options` of OpenAI, `SearchRankingOptions` of Llama Stack.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SearchRankingOptions")]
pub struct RankingOptions {
    /// Who orders; `auto` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<Ranker>,
    /// The lowest score, 0 to 1; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub score_threshold: Option<f32>,
    /// The weight of the list by vectors for `weighted`, 0 to 1 (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub alpha: Option<f32>,
    /// How little first ranks count for `rrf`, above 0; usually 60 (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact_factor: Option<f32>,
    /// The weights of scores, which sum to 1; they stand in for `alpha` (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// The rerank model for `neural`; the configured one when absent (Llama Stack).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Who orders results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Ranker {
    /// The order that the search itself gives.
    #[serde(rename = "none")]
    None,
    /// What the server is configured to use.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// The same, under the name that OpenAI has for it.
    #[serde(rename = "default-2024-11-15", alias = "default_2024_08_21")]
    Default20241115,
    /// Reciprocal rank fusion of the lists of a hybrid search (Llama Stack).
    #[serde(rename = "rrf")]
    Rrf,
    /// The weighted mean of the scores of a hybrid search (Llama Stack).
    #[serde(rename = "weighted")]
    Weighted,
    /// A rerank model (Llama Stack).
    #[serde(rename = "neural")]
    Neural,
}

/// The weights of scores; those that are absent are 0.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Of the score by vectors.
    #[serde(default)]
    pub vector: f32,
    /// Of the score by words.
    #[serde(default)]
    pub keyword: f32,
    /// Of the rerank model's score.
    #[serde(default)]
    pub neural: f32,
}

/// What was found. Wire shape: `VectorStoreSearchResultsPage` of OpenAI but for its fixed fields: all results are on one page.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResults {
    /// What was looked for, rewritten if that was asked for.
    pub search_query: Vec<String>,
    /// The results, the best first.
    pub data: Vec<SearchHit>,
}

/// A result. Wire shape: `VectorStoreSearchResultItem` of OpenAI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "VectorStoreSearchResultItem")]
pub struct SearchHit {
    /// The file; the document's id for a chunk that was inserted by itself.
    pub file_id: String,
    /// What the file is called; empty for a chunk that was inserted by itself.
    pub filename: String,
    /// How well it answers, 0 to 1. Scores by words are brought there by `s / (1 + s)`.
    pub score: f32,
    /// The file's attributes.
    pub attributes: Attributes,
    /// The text.
    pub content: Vec<TextContent>,
}

impl SearchStore {
    /// A search that leaves everything but the text to its default.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: SearchText::One(query.into()),
            filters: None,
            max_num_results: None,
            ranking_options: None,
            rewrite_query: None,
            search_mode: None,
        }
    }
}
