//! The whole router.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter};
use puna_router::Stack;

use crate::auth::ApiKeys;
use crate::endpoint::{Endpoint, Server};
use crate::routes::{self, Verb};
use crate::settings::ServerSettings;
use crate::surface::{not_allowed, not_found, openai};

/// Every surface over one Stack, with all that a request passes: usable without a socket, by `tower::ServiceExt::oneshot`.
pub fn app(stack: Stack, settings: &ServerSettings) -> Router {
    let server = Arc::new(Server {
        stack,
        keys: ApiKeys::new(&settings.api_keys),
        limits: settings.limits,
        metrics: settings.metrics.clone(),
    });

    let mut paths: BTreeMap<&str, MethodRouter> = BTreeMap::new();
    for route in routes::all() {
        let filter = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Delete => MethodFilter::DELETE,
        };
        let methods = paths.remove(route.path).unwrap_or_else(|| {
            MethodRouter::new().fallback_service(Endpoint::fallback(
                not_allowed,
                route.error_body,
                Some(route.path),
                Arc::clone(&server),
            ))
        });
        paths.insert(
            route.path,
            methods.on_service(filter, Endpoint::of(route, Arc::clone(&server))),
        );
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    router = router.fallback_service(Endpoint::fallback(
        not_found,
        openai::error_body,
        None,
        Arc::clone(&server),
    ));
    match &settings.cors {
        Some(cors) => router.layer(cors.0.clone()),
        None => router,
    }
}
