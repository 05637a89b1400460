//! What `config` of an `inline::auto` provider holds.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use puna_api::{ContextualChunking, Error, Result, StaticChunking};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chunk::Bounds;

const MIB: u64 = 1 << 20;
/// The least memory that a worker can do anything with.
const LEAST_MEMORY_BYTES: u64 = 32 * MIB;

/// How documents are read and cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentsConfig {
    /// The most tokens of a chunk with the strategy `auto`, 100 to 4096. Default: 800.
    pub default_chunk_size_tokens: u32,
    /// The most tokens that neighbours share with the strategy `auto`, at most half of `default_chunk_size_tokens`. Default: 400.
    pub default_chunk_overlap_tokens: u32,
    /// Whether a document's title and author are told. Default: true.
    pub extract_metadata: bool,
    /// Whether what layout leaves behind is taken away from PDF, office documents and HTML: white space at the ends of lines, repeated empty
    /// lines, characters that are not seen. Text files stay as they are. Default: true.
    pub clean_text: bool,
    /// The most bytes of a file. Default: 134217728 (128 MiB).
    pub max_file_bytes: NonZeroU64,
    /// The most bytes that are read out of a file: its text, counted again where chunks overlap. Default: 67108864 (64 MiB).
    pub max_output_bytes: NonZeroU64,
    /// The most memory that reading a file may take, in bytes, 33554432 (32 MiB) or more. Default: 1073741824 (1 GiB).
    pub max_memory_bytes: u64,
    /// How long reading a file may take, in seconds. Contexts that a model writes do not count. Default: 120.
    pub timeout_seconds: NonZeroU32,
    /// How many files are read at the same time; others wait. Default: as many as the machine has cores.
    pub max_workers: Option<NonZeroU32>,
    /// What holds for the strategy `contextual` where a request does not say.
    pub contextual: ContextualConfig,
}

/// How a model puts chunks in their context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContextualConfig {
    /// The model. Default: none; then each request has to name one.
    pub model: Option<String>,
    /// What the model is told, with `{{WHOLE_DOCUMENT}}` and `{{CHUNK_CONTENT}}` where those go. Default: a prompt that asks for one to
    /// three sentences.
    pub prompt: Option<String>,
    /// How long the model may take for one chunk, in seconds. Default: 120.
    pub timeout_seconds: NonZeroU32,
    /// How many chunks of a file the model is asked about at the same time. Default: 3.
    pub max_concurrency: NonZeroU32,
    /// The most tokens of a document that is put in context; a larger one is refused. Default: 100000.
    pub max_document_tokens: NonZeroU64,
}

impl Default for DocumentsConfig {
    fn default() -> Self {
        let bounds = StaticChunking::default();
        Self {
            default_chunk_size_tokens: bounds.max_chunk_size_tokens,
            default_chunk_overlap_tokens: bounds.chunk_overlap_tokens,
            extract_metadata: true,
            clean_text: true,
            max_file_bytes: positive_wide(128 * MIB),
            max_output_bytes: positive_wide(64 * MIB),
            max_memory_bytes: 1024 * MIB,
            timeout_seconds: positive(120),
            max_workers: None,
            contextual: ContextualConfig::default(),
        }
    }
}

impl Default for ContextualConfig {
    fn default() -> Self {
        Self {
            model: None,
            prompt: None,
            timeout_seconds: positive(120),
            max_concurrency: positive(3),
            max_document_tokens: positive_wide(100_000),
        }
    }
}

impl DocumentsConfig {
    /// Checks what the types alone do not say.
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |message: String, param: &str| Err(Error::configuration(message).with_param(param));
        let size = self.default_chunk_size_tokens;
        let (least, most) = (StaticChunking::LEAST_TOKENS, StaticChunking::MOST_TOKENS);
        if !(least..=most).contains(&size) {
            return wrong(
                format!("is {size}; it must be between {least} and {most}"),
                "default_chunk_size_tokens",
            );
        }
        let overlap = self.default_chunk_overlap_tokens;
        if overlap > size / 2 {
            return wrong(
                format!(
                    "is {overlap}; it may be at most half of `default_chunk_size_tokens`, which is {}",
                    size / 2
                ),
                "default_chunk_overlap_tokens",
            );
        }
        if self.max_memory_bytes < LEAST_MEMORY_BYTES {
            return wrong(
                format!("is {}; it must be {LEAST_MEMORY_BYTES} or more", self.max_memory_bytes),
                "max_memory_bytes",
            );
        }
        let contextual = ContextualChunking {
            model_id: self.contextual.model.clone(),
            context_prompt: self.contextual.prompt.clone(),
            ..ContextualChunking::default()
        };
        match contextual.validate("contextual") {
            Ok(()) => Ok(()),
            Err(error) => {
                let key = match error.param() {
                    Some("contextual.model_id") => "contextual.model",
                    _ => "contextual.prompt",
                };
                wrong(error.message().to_owned(), key)
            }
        }
    }

    /// What the strategy `auto` stands for.
    pub(crate) fn auto(&self) -> Bounds {
        bounds(self.default_chunk_size_tokens, self.default_chunk_overlap_tokens)
    }

    /// What a worker may use.
    pub(crate) fn worker_bounds(&self, time: Duration) -> puna_worker::Bounds {
        puna_worker::Bounds {
            memory_bytes: self.max_memory_bytes,
            time,
            answer_bytes: self.max_output_bytes.get(),
        }
    }
}

/// Bounds of the API as those of the chunker.
pub(crate) fn bounds(most: u32, overlap: u32) -> Bounds {
    Bounds {
        most: most as usize,
        overlap: overlap as usize,
    }
}

fn positive_wide(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN)
}

fn positive(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        let check = |change: fn(&mut DocumentsConfig)| {
            let mut config = DocumentsConfig::default();
            change(&mut config);
            let outcome = config.validate();
            outcome.err().and_then(|error| error.param().map(str::to_owned))
        };
        assert_eq!(check(|_| {}), None);
        let key = |key: &str| Some(key.to_owned());
        assert_eq!(
            check(|config| config.default_chunk_size_tokens = 50),
            key("default_chunk_size_tokens")
        );
        assert_eq!(
            check(|config| config.default_chunk_overlap_tokens = 401),
            key("default_chunk_overlap_tokens")
        );
        assert_eq!(check(|config| config.max_memory_bytes = 1), key("max_memory_bytes"));
        assert_eq!(
            check(|config| config.contextual.model = Some(String::new())),
            key("contextual.model")
        );
        assert_eq!(
            check(|config| config.contextual.prompt = Some("x".to_owned())),
            key("contextual.prompt")
        );
    }
}
