//! What chats and completions have in common: one text, as many choices of it as asked for, cut where the request says.

use serde_json::{Value, json};

use super::check::{Fields, Refusal};
use super::words::pieces;

/// The options of a request that shape its text.
pub(super) struct Generation {
    pub(super) n: usize,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    limit: Option<usize>,
    stop: Vec<String>,
}

/// A text as the model generated it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Generated {
    /// The tokens; joined they are the text.
    pub(super) tokens: Vec<String>,
    pub(super) finish_reason: &'static str,
}

impl Generation {
    pub(super) fn read(fields: &Fields, default_limit: Option<usize>) -> Result<Self, Refusal> {
        fields.number("temperature", 0.0..=2.0)?;
        fields.number("top_p", 0.0..=1.0)?;
        fields.number("frequency_penalty", -2.0..=2.0)?;
        fields.number("presence_penalty", -2.0..=2.0)?;
        fields.integer("seed")?;
        fields.text("user")?;
        fields.object("logit_bias")?;
        let max_tokens = fields.count("max_tokens", 1)?;
        let stream = fields.boolean("stream")?.unwrap_or(false);
        let stream_options = fields.object("stream_options")?;
        if stream_options.is_some() && !stream {
            return Err(Refusal::invalid(
                "stream_options",
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            ));
        }
        Ok(Self {
            n: fields.count("n", 1)?.unwrap_or(1),
            stream,
            include_usage: stream_options.is_some_and(|options| options.get("include_usage") == Some(&json!(true))),
            limit: fields
                .count("max_completion_tokens", 1)?
                .or(max_tokens)
                .or(default_limit),
            stop: fields.strings("stop")?,
        })
    }

    /// Generates this text: up to the first stop sequence, or as many tokens as allowed.
    pub(super) fn generate(&self, text: &str) -> Generated {
        let all = pieces(text);
        let limit = self.limit.unwrap_or(usize::MAX);
        let written: String = all.iter().take(limit).copied().collect();
        let stopped_at = self
            .stop
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| written.find(stop.as_str()))
            .min();
        let (written, finish_reason) = match stopped_at {
            Some(at) => (&written[..at], "stop"),
            None if all.len() > limit => (written.as_str(), "length"),
            None => (written.as_str(), "stop"),
        };
        Generated {
            tokens: pieces(written).into_iter().map(str::to_owned).collect(),
            finish_reason,
        }
    }
}

impl Generated {
    pub(super) fn text(&self) -> String {
        self.tokens.concat()
    }
}

/// Token counts, as vLLM shows them.
pub(super) fn usage(prompt: usize, completion: usize) -> Value {
    json!({
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": null,
    })
}
