//! The table of routes: what is served, what the OpenAPI document describes, and what `/v1/inspect/routes` lists, in one place.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Method;
use puna_api::{Api, Error};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::call::{Call, Reply};
use crate::error::Result;
use crate::{metrics, pages, surface};

/// One operation: a method on a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    /// As the router takes it: `{name}` is one segment, `{*name}` the rest of the path, slashes included.
    pub(crate) path: &'static str,
    pub(crate) operation_id: &'static str,
    pub(crate) tag: &'static str,
    /// One line; a description follows it in the document.
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    /// Whether it is served without authentication.
    pub(crate) public: bool,
    /// The API whose providers answer; none where the server itself does.
    pub(crate) api: Option<Api>,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) request: Option<RequestBody>,
    /// What a success is answered with, by content type; nothing where that is all there is to say.
    pub(crate) answers: &'static [Answer],
    pub(crate) serve: Serve,
    pub(crate) error_body: ErrorBody,
}

/// The methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Delete,
}

/// A parameter in the path or the query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) place: Place,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) schema: SchemaOf,
}

/// Where a parameter stands. Those in the path are required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    /// In the query, where it must be.
    RequiredQuery,
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestBody {
    pub(crate) content_type: &'static str,
    pub(crate) schema: SchemaOf,
}

/// The content of a successful answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) content_type: &'static str,
    pub(crate) schema: SchemaOf,
}

/// Makes the schema of a type, or a reference to it.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Serves a request.
pub(crate) type Serve = for<'a> fn(&'a mut Call) -> BoxFuture<'a, Result<Reply>>;

/// Writes an error, with the request's id, as the JSON document of a dialect.
pub(crate) type ErrorBody = fn(&Error, &str) -> Bytes;

pub(crate) const JSON: &str = "application/json";
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
pub(crate) const FORM: &str = "multipart/form-data";
pub(crate) const BYTES: &str = "application/octet-stream";
pub(crate) const HTML: &str = "text/html; charset=utf-8";

/// Every operation, grouped by surface.
pub(crate) fn all() -> impl Iterator<Item = &'static Route> {
    surface::ROUTES
        .iter()
        .copied()
        .flatten()
        .chain(metrics::ROUTES)
        .chain(pages::ROUTES)
}

/// The schema of `T`.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Verb {
    pub(crate) fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Delete => Method::DELETE,
        }
    }
}

impl Route {
    /// The path in the document's spelling, which knows no difference between a segment and the rest of a path.
    pub(crate) fn documented_path(&self) -> String {
        self.path.replace("{*", "{")
    }

    /// The level of its stability, as Llama Stack names them: `v1`, `v1alpha`, `v1beta`; none outside an API.
    pub(crate) fn level(&self) -> Option<&'static str> {
        let first = self.path.split('/').nth(1)?;
        ["v1", "v1alpha", "v1beta"].into_iter().find(|level| *level == first)
    }
}

impl RequestBody {
    pub(crate) const fn json(schema: SchemaOf) -> Self {
        Self {
            content_type: JSON,
            schema,
        }
    }

    pub(crate) const fn form(schema: SchemaOf) -> Self {
        Self {
            content_type: FORM,
            schema,
        }
    }
}

impl Answer {
    pub(crate) const fn json(schema: SchemaOf) -> Self {
        Self {
            content_type: JSON,
            schema,
        }
    }

    /// Bytes of any kind.
    pub(crate) const fn bytes() -> Self {
        Self {
            content_type: BYTES,
            schema: |_| schemars::json_schema!({ "type": "string", "format": "binary" }),
        }
    }

    pub(crate) const fn events(schema: SchemaOf) -> Self {
        Self {
            content_type: EVENT_STREAM,
            schema,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn operations_are_unique_and_described() {
        let mut ids = HashSet::new();
        let mut places = HashSet::new();
        for route in all() {
            assert!(ids.insert(route.operation_id), "{route:?}");
            assert!(places.insert((route.verb.method(), route.path)), "{route:?}");
            assert!(!route.summary.is_empty() && !route.tag.is_empty(), "{route:?}");
        }
    }

    #[test]
    fn parameters_of_paths_are_those_in_the_path() {
        for route in all() {
            let in_path: Vec<_> = route
                .documented_path()
                .split('/')
                .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}').map(str::to_owned))
                .collect();
            let listed: Vec<_> = route
                .parameters
                .iter()
                .filter(|parameter| parameter.place == Place::Path)
                .map(|parameter| parameter.name)
                .collect();
            assert_eq!(in_path, listed, "{route:?}");
        }
    }
}
