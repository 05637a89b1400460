//! A request on its way to a surface, and the answer on its way back.

use axum::body::Body;
use axum::extract::{FromRequestParts, Query, RawPathParams};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use puna_api::{BoxStream, Error, Json, RequestContext};
use puna_router::Stack;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::{self, Upload};
use crate::endpoint::Server;
use crate::error::{Failure, Result};
use crate::head::{Field, Head, check_array};
use crate::metrics::{Generation, Metrics, Operation};
use crate::request_log::RequestLog;
use crate::settings::Limits;
use crate::sse;

/// A request that may be served.
pub(crate) struct Call {
    pub(crate) stack: Stack,
    pub(crate) context: RequestContext,
    parts: Parts,
    body: Body,
    limits: Limits,
    metrics: Option<Metrics>,
    log: RequestLog,
}

/// What a request is answered with.
pub(crate) enum Reply {
    /// Nothing but that it is done.
    Empty,
    /// A document of this content type.
    Document { content_type: &'static str, body: Bytes },
    /// A stream of JSON documents, of which the first has come.
    Events(BoxStream<puna_api::Result<Bytes>>),
    /// So many bytes of any kind, with their own status and headers.
    Bytes {
        status: StatusCode,
        headers: HeaderMap,
        length: u64,
        content: BoxStream<puna_api::Result<Bytes>>,
    },
}

impl Call {
    pub(crate) fn new(server: &Server, context: RequestContext, (parts, body): (Parts, Body), log: RequestLog) -> Self {
        Self {
            stack: server.stack.clone(),
            context,
            parts,
            body,
            limits: server.limits,
            metrics: server.metrics.clone(),
            log,
        }
    }

    pub(crate) fn into_log(self) -> RequestLog {
        self.log
    }

    pub(crate) fn method(&self) -> &Method {
        &self.parts.method
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The whole body, unpacked. There is nothing left after the first time.
    pub(crate) async fn body(&mut self) -> Result<Bytes> {
        let body = body::read(std::mem::take(&mut self.body), &self.parts.headers, &self.limits).await?;
        self.log.note_bytes_in(body.len());
        Ok(body)
    }

    /// The body as it comes, bounded as one with a file in it. There is nothing left after the first time.
    pub(crate) fn upload(&mut self) -> Result<Upload> {
        Upload::new(std::mem::take(&mut self.body), &self.parts.headers, self.limits)
    }

    /// Notes for the log how much came in.
    pub(crate) fn note_bytes_in(&mut self, bytes: u64) {
        self.log.note_bytes_in(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The fields of `table` that a body has.
    pub(crate) fn head<'b>(&self, body: &'b [u8], table: &'static [Field]) -> Result<Head<'b>> {
        Head::parse(body, table, self.limits.max_json_depth).map_err(|error| self.refused(error))
    }

    /// The answer to a body that is not what it should be.
    fn refused(&self, error: Error) -> Failure {
        match self.form() {
            // What the content type says matters only where the body is no JSON: many clients send none, or a wrong one.
            Some(form) if error.code() == Some("invalid_json") => Failure::with_status(
                Error::invalid_request(format!(
                    "the request body is form data (`{form}`); send JSON as `application/json`"
                ))
                .with_code("unsupported_content_type"),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            _ => error.into(),
        }
    }

    /// The whole body as a `T`, once the fields of `table` are checked.
    pub(crate) async fn request<T: DeserializeOwned>(&mut self, table: &'static [Field]) -> Result<T> {
        let body = self.body().await?;
        self.head(&body, table)?;
        Ok(Json::from_bytes(body).into_value().map_err(Error::from)?)
    }

    /// The whole body, which is a JSON array. An error names the place in it, such as `[2].uuid`.
    pub(crate) async fn array<T: DeserializeOwned>(&mut self) -> Result<Vec<T>> {
        let body = self.body().await?;
        check_array(&body, self.limits.max_json_depth).map_err(|error| self.refused(error))?;
        Ok(Json::from_bytes(body).into_value().map_err(Error::from)?)
    }

    fn form(&self) -> Option<&'static str> {
        let sent = self.parts.headers.get(CONTENT_TYPE)?.as_bytes();
        ["application/x-www-form-urlencoded", "multipart/form-data"]
            .into_iter()
            .find(|form| {
                sent.get(..form.len())
                    .is_some_and(|sent| sent.eq_ignore_ascii_case(form.as_bytes()))
            })
    }

    /// What this server measures, if it does.
    pub(crate) fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// Notes for the log and for the metrics which model is asked for what, and whether a stream.
    pub(crate) fn note_model(&mut self, operation: Operation, model: &str, stream: bool) {
        self.log.note_model(model, stream);
        if let Some(metrics) = &self.metrics {
            let series = self.stack.with_model_place(model, |provider_id, listed| {
                metrics.model(operation, provider_id, listed)
            });
            self.log.note_generation(series.map(Generation::new));
        }
    }

    /// A parameter of the path, with percent-encoding undone.
    pub(crate) async fn path_parameter(&mut self, name: &str) -> Result<String> {
        let parameters = RawPathParams::from_request_parts(&mut self.parts, &())
            .await
            .map_err(|rejection| {
                Error::invalid_request(format!("the path cannot be read: {rejection}")).with_param(name)
            })?;
        match parameters.iter().find(|(key, _)| *key == name) {
            Some((_, value)) => Ok(value.to_owned()),
            None => Err(Error::internal(format!("the route has no parameter `{name}`")).into()),
        }
    }

    /// The parameters of the query.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T> {
        match Query::try_from_uri(&self.parts.uri) {
            Ok(Query(query)) => Ok(query),
            Err(rejection) => Err(Error::invalid_request(format!("the query cannot be read: {rejection}")).into()),
        }
    }
}

impl Reply {
    /// A JSON document that is at hand, or is encoded now.
    pub(crate) fn json<T: Serialize>(document: &Json<T>) -> Result<Self> {
        Ok(Self::Document {
            content_type: crate::routes::JSON,
            body: document.bytes()?.clone(),
        })
    }

    /// A stream, once its first document has come.
    pub(crate) async fn events<T>(documents: BoxStream<puna_api::Result<Json<T>>>) -> Result<Self>
    where
        T: Serialize + Send + 'static,
    {
        Ok(Self::Events(sse::started(documents).await?))
    }
}
