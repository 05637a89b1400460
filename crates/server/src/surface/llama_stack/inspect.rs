//! `/v1/health`, `/v1/version` and `/v1/inspect/routes`.

use puna_api::{HealthStatus, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::call::{Call, Reply};
use crate::error::Result;
use crate::query;
use crate::routes::{self, Answer, Parameter, Place, Route, Verb, schema_of};
use crate::surface::openai::error_body;

pub(super) const HEALTH: Route = Route {
    verb: Verb::Get,
    path: "/v1/health",
    operation_id: "health",
    tag: "Inspect",
    summary: "Tell whether the server is up",
    description: "Says nothing of the providers; `/v1/providers` does.",
    public: true,
    api: None,
    parameters: &[],
    request: None,
    answers: &[Answer::json(schema_of::<HealthInfo>)],
    serve: |call| Box::pin(health(call)),
    error_body,
};

pub(super) const VERSION: Route = Route {
    verb: Verb::Get,
    path: "/v1/version",
    operation_id: "version",
    tag: "Inspect",
    summary: "Tell the server's version",
    description: "",
    public: true,
    api: None,
    parameters: &[],
    request: None,
    answers: &[Answer::json(schema_of::<VersionInfo>)],
    serve: |call| Box::pin(version(call)),
    error_body,
};

pub(super) const ROUTES: Route = Route {
    verb: Verb::Get,
    path: "/v1/inspect/routes",
    operation_id: "listRoutes",
    tag: "Inspect",
    summary: "List the routes",
    description: "With the types of the providers behind each; a route that the server itself answers has none.",
    public: false,
    api: None,
    parameters: &[Parameter {
        place: Place::Query,
        name: "api_filter",
        description: "Which routes to list: those of one level, or the deprecated ones. By default all that are not deprecated.",
        schema: schema_of::<ApiFilter>,
    }],
    request: None,
    answers: &[Answer::json(schema_of::<ListRoutesResponse>)],
    serve: |call| Box::pin(list_routes(call)),
    error_body,
};

/// Whether the server is up. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
struct HealthInfo {
    /// `OK` whenever there is an answer.
    status: HealthStatus,
}

/// Which version answers. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
struct VersionInfo {
    /// The version of Puna.
    version: &'static str,
}

/// What is served. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
struct ListRoutesResponse {
    /// The routes.
    data: Vec<RouteInfo>,
}

/// A method on a path. (Llama Stack)
#[derive(Debug, Serialize, JsonSchema)]
struct RouteInfo {
    /// The path.
    route: String,
    /// The method.
    method: String,
    /// The types of the providers that serve it.
    provider_types: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ListRoutesQuery {
    api_filter: Option<String>,
}

/// Which routes to list. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ApiFilter {
    /// Those of the stable level.
    V1,
    /// Those of the alpha level.
    V1alpha,
    /// Those of the beta level.
    V1beta,
    /// Those that will be removed.
    Deprecated,
}

async fn health(_call: &mut Call) -> Result<Reply> {
    Reply::json(&Json::new(HealthInfo {
        status: HealthStatus::Ok,
    }))
}

async fn version(_call: &mut Call) -> Result<Reply> {
    Reply::json(&Json::new(VersionInfo {
        version: env!("CARGO_PKG_VERSION"),
    }))
}

async fn list_routes(call: &mut Call) -> Result<Reply> {
    let asked: ListRoutesQuery = call.query()?;
    let level = match asked.api_filter.as_deref() {
        None => None,
        // No route is deprecated.
        Some("deprecated") => Some(""),
        Some(level @ ("v1" | "v1alpha" | "v1beta")) => Some(level),
        Some(other) => {
            let error = query::wrong("api_filter", other, "send `v1`, `v1alpha`, `v1beta` or `deprecated`");
            return Err(error.with_code("invalid_value").into());
        }
    };
    let providers = call.stack.providers();
    let data = routes::all()
        .filter(|route| level.is_none_or(|level| route.level() == Some(level)))
        .map(|route| {
            let mut provider_types: Vec<_> = providers
                .iter()
                .filter(|provider| Some(provider.api) == route.api)
                .map(|provider| provider.provider_type.clone())
                .collect();
            provider_types.sort_unstable();
            provider_types.dedup();
            RouteInfo {
                route: route.documented_path(),
                method: route.verb.method().to_string(),
                provider_types,
            }
        })
        .collect();
    Reply::json(&Json::new(ListRoutesResponse { data }))
}
