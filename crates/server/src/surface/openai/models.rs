//! `/v1/models`.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use puna_api::{Json, Model, ModelType};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::error_body;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::routes::{Answer, Parameter, Place, Route, Verb, schema_of};

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/v1/models",
    operation_id: "listModels",
    tag: "Models",
    summary: "List the models",
    description: "Every model that a request may name: those that the configuration registers and those that providers list.",
    public: false,
    api: None,
    parameters: &[],
    request: None,
    answers: &[Answer::json(schema_of::<ModelList>)],
    serve: |call| Box::pin(list(call)),
    error_body,
};

pub(super) const RETRIEVE: Route = Route {
    verb: Verb::Get,
    path: "/v1/models/{*model}",
    operation_id: "retrieveModel",
    tag: "Models",
    summary: "Describe a model",
    description: "The id may hold slashes, as they are or percent-encoded.",
    public: false,
    api: None,
    parameters: &[Parameter {
        place: Place::Path,
        name: "model",
        description: "The model's id, such as `provider_id/provider_model_id`.",
        schema: schema_of::<String>,
    }],
    request: None,
    answers: &[Answer::json(schema_of::<ModelObject>)],
    serve: |call| Box::pin(retrieve(call)),
    error_body,
};

/// The models that a request may name. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
struct ModelList {
    /// Always `list`.
    #[schemars(extend("enum" = ["list"]))]
    object: &'static str,
    /// The models, ordered by id.
    data: Vec<ModelObject>,
}

/// A model in the shapes of both generations: OpenAI's with OGX's `custom_metadata`, and the one that Llama Stack had up to 0.3.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::surface) struct ModelObject {
    /// The id that requests name.
    id: String,
    /// Always `model`.
    #[schemars(extend("enum" = ["model"]))]
    object: &'static str,
    /// When this server was first asked for its models, in seconds since 1970: a model has no date of its own.
    created: u64,
    /// The id of the provider that serves it.
    owned_by: String,
    /// What the server knows of it. (OGX)
    custom_metadata: CustomMetadata,
    /// The same as `id`. (Llama Stack)
    identifier: String,
    /// The id of the provider that serves it. (Llama Stack)
    provider_id: String,
    /// The id that the provider knows it by. (Llama Stack)
    provider_resource_id: String,
    /// Always `model`. (Llama Stack)
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["model"]))]
    resource_type: &'static str,
    /// What it is for. (Llama Stack)
    model_type: ModelType,
    /// Anything else that is known of it. (Llama Stack)
    metadata: Map<String, Value>,
}

/// What the server knows of a model. (OGX)
#[derive(Debug, Serialize, JsonSchema)]
struct CustomMetadata {
    /// What it is for.
    model_type: ModelType,
    /// The id of the provider that serves it.
    provider_id: String,
    /// The id that the provider knows it by.
    provider_resource_id: String,
    /// Anything else, such as `embedding_dimension`.
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl From<&Model> for ModelObject {
    fn from(model: &Model) -> Self {
        Self {
            id: model.id.clone(),
            object: "model",
            created: *FIRST_ASKED,
            owned_by: model.provider_id.clone(),
            custom_metadata: CustomMetadata {
                model_type: model.model_type,
                provider_id: model.provider_id.clone(),
                provider_resource_id: model.provider_model_id.clone(),
                more: model
                    .metadata
                    .iter()
                    .filter(|(key, _)| !["model_type", "provider_id", "provider_resource_id"].contains(&key.as_str()))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            },
            identifier: model.id.clone(),
            provider_id: model.provider_id.clone(),
            provider_resource_id: model.provider_model_id.clone(),
            resource_type: "model",
            model_type: model.model_type,
            metadata: model.metadata.clone(),
        }
    }
}

/// The same for all models and answers, because clients take it for a property of the model.
static FIRST_ASKED: LazyLock<u64> = LazyLock::new(|| {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
});

async fn list(call: &mut Call) -> Result<Reply> {
    let models = call.stack.models(&call.context).await;
    let data = models.iter().map(|model| ModelObject::from(&**model)).collect();
    Reply::json(&Json::new(ModelList { object: "list", data }))
}

async fn retrieve(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("model").await?;
    let model = call.stack.model(&call.context, &id).await?;
    Reply::json(&Json::new(ModelObject::from(&*model)))
}
