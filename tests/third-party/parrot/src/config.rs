//! What the configuration says.

use puna_api::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which models there are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParrotConfig {
    /// The ids of the models that it serves, all alike. Default: `parrot`.
    #[serde(default = "one_model")]
    pub models: Vec<String>,
}

impl Default for ParrotConfig {
    fn default() -> Self {
        Self { models: one_model() }
    }
}

impl ParrotConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        match self.models.iter().position(String::is_empty) {
            Some(index) => Err(Error::configuration("must not be empty").with_param(format!("models[{index}]"))),
            None if self.models.is_empty() => Err(Error::configuration("must name a model").with_param("models")),
            None => Ok(()),
        }
    }
}

fn one_model() -> Vec<String> {
    vec!["parrot".to_owned()]
}
