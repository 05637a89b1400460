//! What `config` of an `inline::echo` provider holds.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use puna_api::{Error, ModelType, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The dimensions of an embedding model that does not say.
const DEFAULT_DIMENSION: u32 = 8;
/// The dimensions that an embedding may have at most.
const MAX_DIMENSION: u32 = 65_536;
/// The words that an answer of a fixed length may have at most.
const MAX_ANSWER_TOKENS: u32 = 1_000_000;

/// Models that repeat what they are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EchoConfig {
    /// The models to serve. By default `echo`, which chats, and `echo-embedding`, of 8 dimensions.
    pub models: Vec<EchoModel>,
    /// Seconds until the first token of an answer, such as 0.2; 0 by default.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub first_token_delay: Duration,
    /// Seconds between one token and the next, such as 0.02; 0 by default.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub token_delay: Duration,
    /// How many tokens each text has: what was said is cut, or repeated, to that length. By default it is as long as what was said.
    pub answer_tokens: Option<NonZeroU32>,
}

/// A model that repeats what it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EchoModel {
    /// The provider's id of the model.
    pub model_id: String,
    /// What the model is for; `llm` by default.
    #[serde(default)]
    pub model_type: ModelType,
    /// The length of an embedding model's vectors, 1 to 65,536; 8 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_dimension: Option<NonZeroU32>,
}

impl Default for EchoConfig {
    fn default() -> Self {
        let model = |model_id: &str, model_type| EchoModel {
            model_id: model_id.to_owned(),
            model_type,
            embedding_dimension: None,
        };
        Self {
            models: vec![
                model("echo", ModelType::Llm),
                model("echo-embedding", ModelType::Embedding),
            ],
            first_token_delay: Duration::ZERO,
            token_delay: Duration::ZERO,
            answer_tokens: None,
        }
    }
}

impl EchoConfig {
    /// Checks what the types alone do not say.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.models.is_empty() {
            return Err(
                Error::configuration("names no model; leave `models` out for the default ones").with_param("models"),
            );
        }
        let mut ids = HashSet::new();
        for (index, model) in self.models.iter().enumerate() {
            let wrong = |field: &str, message: String| {
                Err(Error::configuration(message).with_param(format!("models[{index}].{field}")))
            };
            if model.model_id.trim().is_empty() {
                return wrong("model_id", "is empty; give the model a name".to_owned());
            }
            if !ids.insert(model.model_id.as_str()) {
                return wrong(
                    "model_id",
                    format!("`{}` is the name of an earlier model too", model.model_id),
                );
            }
            match model.embedding_dimension {
                Some(_) if model.model_type != ModelType::Embedding => {
                    let message = format!(
                        "a model of the type `{}` has none; set `model_type: embedding`",
                        model.model_type.name()
                    );
                    return wrong("embedding_dimension", message);
                }
                Some(dimension) if dimension.get() > MAX_DIMENSION => {
                    return wrong("embedding_dimension", format!("{dimension} is above {MAX_DIMENSION}"));
                }
                _ => {}
            }
        }
        match self.answer_tokens {
            Some(tokens) if tokens.get() > MAX_ANSWER_TOKENS => {
                Err(Error::configuration(format!("{tokens} is above {MAX_ANSWER_TOKENS}")).with_param("answer_tokens"))
            }
            _ => Ok(()),
        }
    }
}

impl EchoModel {
    /// The length of its vectors.
    pub(crate) fn dimension(&self) -> u32 {
        self.embedding_dimension.map_or(DEFAULT_DIMENSION, NonZeroU32::get)
    }
}

/// A duration as a number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(|_| {
            D::Error::custom(format_args!(
                "{seconds} is not a number of seconds; 0 or more is right, such as 0.02"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problem(config: Value) -> (String, String) {
        let problem = crate::PROVIDER.check(config).unwrap_err();
        (problem.path, problem.message)
    }

    #[test]
    fn nothing_is_needed() {
        assert!(crate::PROVIDER.check(Value::Null).is_ok());
        assert!(crate::PROVIDER.check(crate::PROVIDER.sample().unwrap()).is_ok());
        let config: EchoConfig = serde_json::from_value(json!({ "token_delay": 0.02 })).unwrap();
        assert_eq!(config.token_delay, Duration::from_millis(20));
        assert_eq!(config.models, EchoConfig::default().models);
    }

    #[test]
    fn every_mistake_is_named() {
        for (config, path, message) in [
            (json!({ "modles": [] }), "modles", "unknown field `modles`"),
            (json!({ "models": [] }), "models", "names no model"),
            (
                json!({ "models": [{ "model_id": " " }] }),
                "models[0].model_id",
                "is empty",
            ),
            (
                json!({ "models": [{ "model_id": "a" }, { "model_id": "a" }] }),
                "models[1].model_id",
                "an earlier model",
            ),
            (
                json!({ "models": [{ "model_id": "a", "embedding_dimension": 3 }] }),
                "models[0].embedding_dimension",
                "`llm`",
            ),
            (
                json!({ "models": [{ "model_id": "a", "model_type": "embedding", "embedding_dimension": 65_537 }] }),
                "models[0].embedding_dimension",
                "above 65536",
            ),
            (
                json!({ "token_delay": -1 }),
                "token_delay",
                "-1 is not a number of seconds",
            ),
            (
                json!({ "first_token_delay": "1s" }),
                "first_token_delay",
                "invalid type",
            ),
            (json!({ "answer_tokens": 0 }), "answer_tokens", "nonzero"),
            (json!({ "answer_tokens": 1_000_001 }), "answer_tokens", "above 1000000"),
        ] {
            let (at, said) = problem(config.clone());
            assert_eq!(at, path, "{config}: {said}");
            assert!(said.contains(message), "{config}: {said}");
        }
    }
}
