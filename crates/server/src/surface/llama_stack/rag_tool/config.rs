//! How a context is made.

use puna_api::{Error, Fusion, Result, SearchMode};
use puna_vector_stores::{QueryChunks, Ranker, RankingOptions};
use schemars::JsonSchema;
use serde::Deserialize;

use super::generator::QueryGenerator;
use super::template::ChunkTemplate;

const MAX_TOKENS: u32 = 4096;
const MAX_CHUNKS: u32 = 5;
const TEMPLATE: &str = "Result {index}\nContent: {chunk.content}\nMetadata: {metadata}\n";

/// How a context is made. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "RAGQueryConfig")]
pub(super) struct QueryConfig {
    /// What the search looks for.
    query_generator_config: QueryGenerator,
    /// The most tokens of all chunks together.
    max_tokens_in_context: u32,
    /// The most chunks, 1 to 1,000.
    max_chunks: u32,
    /// How a chunk is shown: `{index}` counts from 1, `{chunk.content}` is its text and `{metadata}` what is known of it, as JSON. `{{` and
    /// `}}` stand for braces.
    chunk_template: String,
    /// What the search goes by; the configured mode, or `vector`, when absent.
    mode: Option<SearchMode>,
    /// How the two lists of a hybrid search become one; the configured way, or `rrf`, when absent.
    ranker: Option<RankerConfig>,
}

/// How two lists become one. (Llama Stack)
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "Ranker")]
enum RankerConfig {
    /// Reciprocal rank fusion.
    Rrf {
        /// How little first ranks count, above 0.
        #[serde(default = "impact_factor")]
        impact_factor: f32,
    },
    /// The weighted mean of scores.
    Weighted {
        /// The weight of vectors, 0 to 1.
        #[serde(default = "alpha")]
        alpha: f32,
    },
}

/// How a context is made, checked.
#[derive(Debug)]
pub(super) struct CheckedConfig {
    pub(super) generator: QueryGenerator,
    pub(super) max_tokens: u32,
    pub(super) max_chunks: u32,
    pub(super) template: ChunkTemplate,
    pub(super) mode: Option<SearchMode>,
    pub(super) ranking: RankingOptions,
}

impl QueryConfig {
    /// Checks what their types cannot say. An error names the place below `query_config`.
    pub(super) fn check(self) -> Result<CheckedConfig> {
        let invalid = |field: &str, problem: String| {
            let param = format!("query_config.{field}");
            Err(Error::invalid_request(format!("`{param}` {problem}")).with_param(param))
        };
        if !(1..=QueryChunks::MOST).contains(&self.max_chunks) {
            let problem = format!(
                "is {}; send a whole number from 1 to {}",
                self.max_chunks,
                QueryChunks::MOST
            );
            return invalid("max_chunks", problem);
        }
        if self.max_tokens_in_context == 0 {
            return invalid("max_tokens_in_context", "is 0; send 1 or more".to_owned());
        }
        let template = match ChunkTemplate::parse(&self.chunk_template) {
            Ok(template) => template,
            Err(problem) => return invalid("chunk_template", problem),
        };
        let ranking = match self.ranker {
            None => RankingOptions::default(),
            Some(RankerConfig::Rrf { impact_factor }) => {
                Fusion::Rrf { impact_factor }.check("query_config.ranker")?;
                RankingOptions {
                    ranker: Some(Ranker::Rrf),
                    impact_factor: Some(impact_factor),
                    ..RankingOptions::default()
                }
            }
            Some(RankerConfig::Weighted { alpha }) => {
                Fusion::Weighted { alpha }.check("query_config.ranker")?;
                RankingOptions {
                    ranker: Some(Ranker::Weighted),
                    alpha: Some(alpha),
                    ..RankingOptions::default()
                }
            }
        };
        Ok(CheckedConfig {
            generator: self.query_generator_config,
            max_tokens: self.max_tokens_in_context,
            max_chunks: self.max_chunks,
            template,
            mode: self.mode,
            ranking,
        })
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            query_generator_config: QueryGenerator::default(),
            max_tokens_in_context: MAX_TOKENS,
            max_chunks: MAX_CHUNKS,
            chunk_template: TEMPLATE.to_owned(),
            mode: None,
            ranker: None,
        }
    }
}

fn impact_factor() -> f32 {
    60.0
}

fn alpha() -> f32 {
    0.5
}
