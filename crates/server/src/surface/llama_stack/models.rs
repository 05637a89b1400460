//! `/v1/models`: models that are registered while the server runs.

use puna_api::{Json, ModelType};
use puna_router::ModelRegistration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::{Call, Reply};
use crate::error::Result;
use crate::head::{Field, Rule};
use crate::routes::{Answer, Parameter, Place, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::{ModelObject, error_body};

/// What the server checks before the registry is asked.
pub(crate) const FIELDS: &[Field] = &[
    Field::optional("metadata", Rule::Object),
    Field::required("model_id", Rule::Text),
    Field::optional("model_type", Rule::Text),
    Field::optional("provider_id", Rule::Text),
    Field::optional("provider_model_id", Rule::Text),
];

pub(super) const REGISTER: Route = Route {
    verb: Verb::Post,
    path: "/v1/models",
    operation_id: "registerModel",
    tag: "Models",
    summary: "Register a model",
    description: "Gives a model of a provider a name, which is kept in the server's storage. A provider may have models that it does not list; what those go by is in its documentation. The same once more changes nothing.",
    public: false,
    api: None,
    parameters: &[],
    request: Some(RequestBody::json(schema_of::<RegisterModelRequest>)),
    answers: &[Answer::json(schema_of::<ModelObject>)],
    serve: |call| Box::pin(register(call)),
    error_body,
};

pub(super) const UNREGISTER: Route = Route {
    verb: Verb::Delete,
    path: "/v1/models/{*model}",
    operation_id: "unregisterModel",
    tag: "Models",
    summary: "Unregister a model",
    description: "Takes back what was registered while the server runs. Models of the configuration, and those that providers list, stay.",
    public: false,
    api: None,
    parameters: &[Parameter {
        place: Place::Path,
        name: "model",
        description: "The model's id.",
        schema: schema_of::<String>,
    }],
    request: None,
    answers: &[Answer::json(schema_of::<ModelDeleted>)],
    serve: |call| Box::pin(unregister(call)),
    error_body,
};

/// A name for a model of a provider. (Llama Stack)
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a registration: an object with `model_id`")]
struct RegisterModelRequest {
    /// The id that clients are going to use.
    model_id: String,
    /// The id that the provider knows it by; the same as `model_id` when absent.
    #[serde(default)]
    provider_model_id: Option<String>,
    /// The provider; may be absent where there is but one.
    #[serde(default)]
    provider_id: Option<String>,
    /// Anything else that is known of it; an embedding model needs `embedding_dimension`, unless its provider tells that.
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    /// What it is for; what the provider says, or else `llm`, when absent.
    #[serde(default)]
    model_type: Option<ModelType>,
}

/// A model that was taken back, in the shape that OpenAI has for it.
#[derive(Debug, Serialize, JsonSchema)]
struct ModelDeleted {
    /// The model's id.
    id: String,
    /// Always `model`.
    #[schemars(extend("enum" = ["model"]))]
    object: &'static str,
    /// Always true.
    deleted: bool,
}

async fn register(call: &mut Call) -> Result<Reply> {
    let request: RegisterModelRequest = call.request(FIELDS).await?;
    let registration = ModelRegistration {
        model_id: request.model_id,
        provider_id: request.provider_id,
        provider_model_id: request.provider_model_id,
        model_type: request.model_type,
        metadata: request.metadata.unwrap_or_default(),
    };
    let model = call.stack.register_model(&call.context, registration).await?;
    Reply::json(&Json::new(ModelObject::from(&*model)))
}

async fn unregister(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("model").await?;
    call.stack.unregister_model(&call.context, &id).await?;
    Reply::json(&Json::new(ModelDeleted {
        id,
        object: "model",
        deleted: true,
    }))
}
