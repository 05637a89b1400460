//! How a text is cut into chunks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How a text is cut into chunks, as vector stores and file processors take it (OpenAI; `contextual` is Llama Stack's).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ChunkingStrategy {
    /// The server's choice: at most 800 tokens, of which 400 overlap, unless it is configured otherwise.
    Auto {},
    /// Chunks of at most so many tokens.
    Static {
        /// The bounds.
        #[serde(rename = "static")]
        bounds: StaticChunking,
    },
    /// Chunks of at most so many tokens, each with a few words of a model on its place in the document.
    Contextual {
        /// The bounds, and who writes those words.
        contextual: ContextualChunking,
    },
}

/// The bounds of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticChunking {
    /// The most tokens of a chunk, 100 to 4096. Default: 800.
    #[serde(default = "default_chunk_size")]
    pub max_chunk_size_tokens: u32,
    /// The most tokens that neighbours share, at most half of `max_chunk_size_tokens`. Default: 400.
    #[serde(default = "default_overlap")]
    pub chunk_overlap_tokens: u32,
}

/// The bounds of chunks that a model puts in their context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextualChunking {
    /// The model that writes. Default: the server's, where one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// What the model is told, with `{{WHOLE_DOCUMENT}}` and `{{CHUNK_CONTENT}}` where those go. Default: the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_prompt: Option<String>,
    /// The most tokens of a chunk without its context, 100 to 4096. Default: 700.
    #[serde(default = "default_contextual_size")]
    pub max_chunk_size_tokens: u32,
    /// The most tokens that neighbours share, less than `max_chunk_size_tokens`. Default: 400.
    #[serde(default = "default_overlap")]
    pub chunk_overlap_tokens: u32,
    /// How long the model may take for one chunk, in seconds, 1 or more. Default: the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// How many chunks the model is asked about at the same time, 1 or more. Default: the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
}

impl ChunkingStrategy {
    /// Checks the bounds. An error names the field, below `param`.
    pub fn validate(&self, param: &str) -> Result<()> {
        match self {
            Self::Auto {} => Ok(()),
            Self::Static { bounds } => bounds.validate(&format!("{param}.static")),
            Self::Contextual { contextual } => contextual.validate(&format!("{param}.contextual")),
        }
    }
}

impl StaticChunking {
    /// The fewest tokens that a chunk may be bounded to.
    pub const LEAST_TOKENS: u32 = 100;
    /// The most tokens that a chunk may be bounded to.
    pub const MOST_TOKENS: u32 = 4096;

    /// Checks the bounds. An error names the field, below `param`.
    pub fn validate(&self, param: &str) -> Result<()> {
        check_size(self.max_chunk_size_tokens, param)?;
        let most = self.max_chunk_size_tokens / 2;
        if self.chunk_overlap_tokens > most {
            return Err(invalid(
                param,
                "chunk_overlap_tokens",
                &format!(
                    "is {}; it may be at most half of `max_chunk_size_tokens`, which is {most}",
                    self.chunk_overlap_tokens
                ),
            ));
        }
        Ok(())
    }
}

impl Default for StaticChunking {
    fn default() -> Self {
        Self {
            max_chunk_size_tokens: default_chunk_size(),
            chunk_overlap_tokens: default_overlap(),
        }
    }
}

impl ContextualChunking {
    /// What stands for the document's text in a prompt.
    pub const WHOLE_DOCUMENT: &'static str = "{{WHOLE_DOCUMENT}}";
    /// What stands for the chunk's text in a prompt.
    pub const CHUNK_CONTENT: &'static str = "{{CHUNK_CONTENT}}";

    /// Checks the bounds. An error names the field, below `param`.
    pub fn validate(&self, param: &str) -> Result<()> {
        check_size(self.max_chunk_size_tokens, param)?;
        if self.chunk_overlap_tokens >= self.max_chunk_size_tokens {
            return Err(invalid(
                param,
                "chunk_overlap_tokens",
                &format!(
                    "is {}; it must be less than `max_chunk_size_tokens`, which is {}",
                    self.chunk_overlap_tokens, self.max_chunk_size_tokens
                ),
            ));
        }
        if self.model_id.as_deref() == Some("") {
            return Err(invalid(param, "model_id", "is empty; name a model"));
        }
        if let Some(prompt) = &self.context_prompt
            && !prompt.contains(Self::CHUNK_CONTENT)
        {
            let problem = format!("has no `{}` where the chunk goes", Self::CHUNK_CONTENT);
            return Err(invalid(param, "context_prompt", &problem));
        }
        if self.timeout_seconds == Some(0) {
            return Err(invalid(param, "timeout_seconds", "is 0; it must be 1 or more"));
        }
        if self.max_concurrency == Some(0) {
            return Err(invalid(param, "max_concurrency", "is 0; it must be 1 or more"));
        }
        Ok(())
    }
}

impl Default for ContextualChunking {
    fn default() -> Self {
        Self {
            model_id: None,
            context_prompt: None,
            max_chunk_size_tokens: default_contextual_size(),
            chunk_overlap_tokens: default_overlap(),
            timeout_seconds: None,
            max_concurrency: None,
        }
    }
}

fn check_size(tokens: u32, param: &str) -> Result<()> {
    let (least, most) = (StaticChunking::LEAST_TOKENS, StaticChunking::MOST_TOKENS);
    if (least..=most).contains(&tokens) {
        return Ok(());
    }
    let problem = format!("is {tokens}; it must be between {least} and {most}");
    Err(invalid(param, "max_chunk_size_tokens", &problem))
}

fn invalid(param: &str, field: &str, problem: &str) -> Error {
    Error::invalid_request(format!("`{param}.{field}` {problem}")).with_param(format!("{param}.{field}"))
}

fn default_chunk_size() -> u32 {
    800
}

fn default_contextual_size() -> u32 {
    700
}

fn default_overlap() -> u32 {
    400
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(strategy: Value) -> Result<ChunkingStrategy, String> {
        serde_json::from_value(strategy).map_err(|error| error.to_string())
    }

    #[test]
    fn strategies_are_read_with_their_defaults() {
        let defaults = StaticChunking {
            max_chunk_size_tokens: 800,
            chunk_overlap_tokens: 400,
        };
        for (strategy, expected) in [
            (json!({ "type": "auto" }), ChunkingStrategy::Auto {}),
            (
                json!({ "type": "static", "static": {} }),
                ChunkingStrategy::Static { bounds: defaults },
            ),
            (
                json!({ "type": "contextual", "contextual": { "model_id": "m" } }),
                ChunkingStrategy::Contextual {
                    contextual: ContextualChunking {
                        model_id: Some("m".to_owned()),
                        ..ContextualChunking::default()
                    },
                },
            ),
        ] {
            let strategy = read(strategy).unwrap();
            assert_eq!(strategy, expected);
            strategy.validate("chunking_strategy").unwrap();
            let again = read(serde_json::to_value(&strategy).unwrap()).unwrap();
            assert_eq!(again, strategy);
        }
    }

    #[test]
    fn what_is_no_strategy_is_refused() {
        for strategy in [
            json!({}),
            json!({ "type": "dynamic" }),
            json!({ "type": "static" }),
            json!({ "type": "static", "static": { "max_chunk_size": 100 } }),
            json!({ "type": "auto", "static": {} }),
        ] {
            assert!(read(strategy.clone()).is_err(), "{strategy}");
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let bounds = |size: u32, overlap: u32| json!({ "type": "static", "static": { "max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap } });
        let contextual = |fields: Value| json!({ "type": "contextual", "contextual": fields });
        for (strategy, field) in [
            (bounds(99, 0), "static.max_chunk_size_tokens"),
            (bounds(4097, 0), "static.max_chunk_size_tokens"),
            (bounds(101, 51), "static.chunk_overlap_tokens"),
            (
                contextual(json!({ "max_chunk_size_tokens": 1 })),
                "contextual.max_chunk_size_tokens",
            ),
            (
                contextual(json!({ "chunk_overlap_tokens": 700 })),
                "contextual.chunk_overlap_tokens",
            ),
            (contextual(json!({ "model_id": "" })), "contextual.model_id"),
            (
                contextual(json!({ "context_prompt": "say something" })),
                "contextual.context_prompt",
            ),
            (
                contextual(json!({ "timeout_seconds": 0 })),
                "contextual.timeout_seconds",
            ),
            (
                contextual(json!({ "max_concurrency": 0 })),
                "contextual.max_concurrency",
            ),
        ] {
            let error = read(strategy).unwrap().validate("chunking_strategy").unwrap_err();
            let param = format!("chunking_strategy.{field}");
            assert_eq!(error.param(), Some(param.as_str()), "{error}");
        }
        for strategy in [
            bounds(100, 50),
            bounds(4096, 2048),
            contextual(json!({ "chunk_overlap_tokens": 699 })),
        ] {
            read(strategy).unwrap().validate("chunking_strategy").unwrap();
        }
    }
}
