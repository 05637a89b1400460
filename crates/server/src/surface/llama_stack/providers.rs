//! `/v1/providers`.

use futures::future::join_all;
use puna_api::{Error, HealthStatus, Json};
use puna_router::{ProviderEntry, Stack};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::call::{Call, Reply};
use crate::error::Result;
use crate::routes::{Answer, Parameter, Place, Route, Verb, schema_of};
use crate::surface::openai::error_body;

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/v1/providers",
    operation_id: "listProviders",
    tag: "Providers",
    summary: "List the providers",
    description: "Once for each API that a provider serves, with how it is right now. Secrets in a configuration are replaced by asterisks.",
    public: false,
    api: None,
    parameters: &[],
    request: None,
    answers: &[Answer::json(schema_of::<ListProvidersResponse>)],
    serve: |call| Box::pin(list(call)),
    error_body,
};

pub(super) const RETRIEVE: Route = Route {
    verb: Verb::Get,
    path: "/v1/providers/{provider_id}",
    operation_id: "inspectProvider",
    tag: "Providers",
    summary: "Describe a provider",
    description: "",
    public: false,
    api: None,
    parameters: &[Parameter {
        place: Place::Path,
        name: "provider_id",
        description: "The provider's id in the configuration.",
        schema: schema_of::<String>,
    }],
    request: None,
    answers: &[Answer::json(schema_of::<ProviderInfo>)],
    serve: |call| Box::pin(retrieve(call)),
    error_body,
};

/// The providers. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
struct ListProvidersResponse {
    /// The providers, in the order of the configuration.
    data: Vec<ProviderInfo>,
}

/// A provider. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
struct ProviderInfo {
    /// The API that it serves.
    api: &'static str,
    /// Its id in the configuration.
    provider_id: String,
    /// Its type.
    provider_type: String,
    /// Its configuration, without secrets.
    config: Map<String, Value>,
    /// How it is.
    health: ProviderHealth,
}

/// How a provider is. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
struct ProviderHealth {
    /// Whether it can serve.
    status: HealthStatus,
    /// Why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl ProviderInfo {
    async fn of(entry: &ProviderEntry, stack: &Stack) -> Self {
        let (status, message) = stack
            .health(&entry.provider_id)
            .await
            .unwrap_or((HealthStatus::NotImplemented, None));
        Self {
            api: entry.api.name(),
            provider_id: entry.provider_id.clone(),
            provider_type: entry.provider_type.clone(),
            config: entry.config.as_object().cloned().unwrap_or_default(),
            health: ProviderHealth { status, message },
        }
    }
}

async fn list(call: &mut Call) -> Result<Reply> {
    let stack = &call.stack;
    let data = join_all(stack.providers().iter().map(|entry| ProviderInfo::of(entry, stack))).await;
    Reply::json(&Json::new(ListProvidersResponse { data }))
}

async fn retrieve(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("provider_id").await?;
    let stack = &call.stack;
    let Some(entry) = stack.providers().iter().find(|entry| entry.provider_id == id) else {
        let shown: String = id.chars().take(100).collect();
        let known: Vec<_> = stack
            .providers()
            .iter()
            .map(|entry| format!("`{}`", entry.provider_id))
            .collect();
        return Err(Error::not_found(format!(
            "there is no provider `{shown}`; there are {}",
            known.join(", ")
        ))
        .with_param("provider_id")
        .with_code("provider_not_found")
        .into());
    };
    Reply::json(&Json::new(ProviderInfo::of(entry, stack).await))
}
