//! Models that are registered while the server runs.

use puna_api::{Error, ModelType, ProviderModel, Result};
use puna_config::ModelPlan;
use serde_json::{Map, Value};

use crate::registry::Target;

/// The longest id of a model, in bytes.
const LONGEST_ID: usize = 512;

/// A model that somebody registers: a name for a model of a provider.
///
/// Wire shape: `RegisterModelRequest` of Llama Stack.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelRegistration {
    /// The id that clients are going to use.
    pub model_id: String,
    /// The provider; may be left out where there is but one.
    pub provider_id: Option<String>,
    /// The id that the provider knows it by; the model's id when absent.
    pub provider_model_id: Option<String>,
    /// What it is for; what the provider says, or else generating text, when absent.
    pub model_type: Option<ModelType>,
    /// Anything else that is known of it; an embedding model needs `embedding_dimension`.
    pub metadata: Map<String, Value>,
}

impl ModelRegistration {
    /// The id that the provider knows the model by.
    pub(crate) fn provider_model_id(&self) -> &str {
        self.provider_model_id.as_deref().unwrap_or(&self.model_id)
    }

    /// Checks the registration against a provider, what that lists, and what it `found` besides, and completes it.
    pub(crate) fn plan(
        self,
        target: &Target,
        listed: Option<&[ProviderModel]>,
        found: Option<&ProviderModel>,
    ) -> Result<ModelPlan> {
        let provider_model_id = self.provider_model_id().to_owned();
        let known = listed
            .unwrap_or_default()
            .iter()
            .chain(found)
            .find(|model| model.provider_model_id == provider_model_id);
        if known.is_none() && target.lists_all {
            let there = listed
                .unwrap_or_default()
                .iter()
                .map(|model| model.provider_model_id.as_str());
            let message = format!(
                "the provider `{}` has no model `{provider_model_id}`; it has: {}",
                target.provider_id,
                there.collect::<Vec<_>>().join(", ")
            );
            return Err(Error::invalid_request(message).with_param("provider_model_id"));
        }
        let known_type = known.map(|model| model.model_type).filter(|_| target.lists_all);
        if let (Some(asked), Some(known)) = (self.model_type, known_type)
            && asked != known
        {
            let message = format!(
                "`model_type` is `{}`, but the provider's model is of type `{}`",
                asked.name(),
                known.name()
            );
            return Err(Error::invalid_request(message).with_param("model_type"));
        }
        let model_type = self
            .model_type
            .or_else(|| known.map(|model| model.model_type))
            .unwrap_or_default();
        let mut metadata = known.map(|model| model.metadata.clone()).unwrap_or_default();
        metadata.extend(self.metadata);
        let dimension = metadata.get("embedding_dimension").and_then(Value::as_u64);
        if model_type == ModelType::Embedding && dimension.is_none_or(|dimension| dimension == 0) {
            let message = "an embedding model needs `metadata.embedding_dimension`, a number above 0";
            return Err(Error::invalid_request(message).with_param("metadata"));
        }
        Ok(ModelPlan {
            model_id: self.model_id,
            provider_id: target.provider_id.clone(),
            provider_model_id: Some(provider_model_id),
            model_type,
            metadata,
            model_validation: None,
        })
    }

    /// Checks what can be told without a provider.
    pub(crate) fn check(&self) -> Result<()> {
        let is_name = !self.model_id.is_empty() && !self.model_id.chars().any(char::is_control);
        if !is_name || self.model_id.len() > LONGEST_ID {
            let message = format!("`model_id` must be a name of 1 to {LONGEST_ID} bytes without control characters");
            return Err(Error::invalid_request(message).with_param("model_id"));
        }
        Ok(())
    }
}
