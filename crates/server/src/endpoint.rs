//! What every request passes, whatever it asks for: its id, authentication, the deadline, panics, errors, the log line.

use std::borrow::Cow;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use puna_api::{Error, Principal, ProviderData, RequestContext};
use puna_router::Stack;
use tower::Service;

use crate::auth::ApiKeys;
use crate::call::{Call, Reply};
use crate::content::ContentBody;
use crate::error::{Failure, Result, retry_after_seconds};
use crate::metrics::{EndpointMetrics, Metrics};
use crate::request_id::{X_REQUEST_ID, request_id};
use crate::request_log::RequestLog;
use crate::routes::{EVENT_STREAM, ErrorBody, JSON, Route, Serve};
use crate::settings::Limits;
use crate::sse::{EventBody, panicked};

/// Where callers send what is meant for providers: the name since OGX, and the one before.
const PROVIDER_DATA: [HeaderName; 2] = [
    HeaderName::from_static("x-ogx-provider-data"),
    HeaderName::from_static("x-llamastack-provider-data"),
];

/// nginx buffers answers of its upstreams unless this header forbids it.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What all endpoints share.
pub(crate) struct Server {
    pub(crate) stack: Stack,
    pub(crate) keys: ApiKeys,
    pub(crate) limits: Limits,
    pub(crate) metrics: Option<Metrics>,
}

impl Server {
    fn endpoint_metrics(&self, route: Option<&'static str>) -> Option<Arc<EndpointMetrics>> {
        let metrics = self.metrics.as_ref()?;
        Some(Arc::new(EndpointMetrics::new(metrics, route)))
    }
}

/// The service of one route, or of what no route matches.
#[derive(Clone)]
pub(crate) struct Endpoint {
    server: Arc<Server>,
    /// The path for the log; without one, that of the request.
    path: Option<&'static str>,
    public: bool,
    serve: Serve,
    error_body: ErrorBody,
    metrics: Option<Arc<EndpointMetrics>>,
}

impl Endpoint {
    pub(crate) fn of(route: &'static Route, server: Arc<Server>) -> Self {
        Self {
            metrics: server.endpoint_metrics(Some(route.path)),
            server,
            path: Some(route.path),
            public: route.public,
            serve: route.serve,
            error_body: route.error_body,
        }
    }

    /// Answers requests that no route matches. `path` is the pattern of those that have the path but not the method.
    pub(crate) fn fallback(
        serve: Serve,
        error_body: ErrorBody,
        path: Option<&'static str>,
        server: Arc<Server>,
    ) -> Self {
        Self {
            metrics: server.endpoint_metrics(path),
            server,
            path: None,
            public: false,
            serve,
            error_body,
        }
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let id = request_id(&parts.headers);
        // A header value is what the id was checked to be, or made to be.
        let id_header = HeaderValue::from_str(&id).ok();
        let limits = self.server.limits;
        let deadline = limits.request_timeout.map(|timeout| started + timeout);

        let mut context = RequestContext::builder(id);
        if let Some(deadline) = deadline {
            context = context.deadline(deadline);
        }
        let admitted = self.admit(&parts.headers);
        let refused = match admitted {
            Ok((principal, provider_data)) => {
                if let Some(principal) = principal {
                    context = context.principal(principal);
                }
                if let Some(provider_data) = provider_data {
                    context = context.provider_data(provider_data);
                }
                None
            }
            Err(error) => Some(Failure::from(error)),
        };
        let context = context.build();
        let path = self
            .path
            .map_or_else(|| Cow::Owned(short_path(&parts.uri)), Cow::Borrowed);
        let log = RequestLog::start(
            started,
            context.clone(),
            parts.method.clone(),
            path,
            self.metrics.clone(),
        );
        let mut call = Call::new(&self.server, context, (parts, body), log);
        let outcome = match refused {
            None => self.serve(&mut call, deadline).await,
            Some(failure) => Err(failure),
        };
        let mut response = self.respond(call.into_log(), outcome);
        if let Some(id) = id_header {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }

    fn admit(&self, headers: &HeaderMap) -> puna_api::Result<(Option<Principal>, Option<ProviderData>)> {
        let principal = if self.public {
            None
        } else {
            self.server.keys.authenticate(headers)?
        };
        let sent = PROVIDER_DATA.iter().find_map(|name| headers.get(name));
        let provider_data = sent.map(|value| ProviderData::parse(value.as_bytes())).transpose()?;
        Ok((principal, provider_data))
    }

    /// Runs the handler until it answers, panics, or the deadline passes.
    async fn serve(&self, call: &mut Call, deadline: Option<Instant>) -> Result<Reply> {
        let serving = AssertUnwindSafe((self.serve)(call)).catch_unwind();
        let outcome = match deadline {
            None => serving.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), serving).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => {
                    return Err(Error::timeout(
                        "the answer did not start within the server's time limit (request_timeout)",
                    )
                    .into());
                }
            },
        };
        outcome.unwrap_or_else(|panic| Err(panicked(&*panic).into()))
    }

    fn respond(&self, mut log: RequestLog, outcome: Result<Reply>) -> Response<Body> {
        match outcome {
            Ok(Reply::Empty) => {
                log.answered(StatusCode::OK, None, 0);
                Response::new(Body::empty())
            }
            Ok(Reply::Document { content_type, body }) => {
                log.look_at(&body);
                log.answered(StatusCode::OK, None, body.len());
                let mut response = Response::new(Body::from(body));
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                response
            }
            Ok(Reply::Events(documents)) => {
                log.open(StatusCode::OK);
                let mut response = Response::new(Body::new(EventBody::new(documents, self.error_body, log)));
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
                response
            }
            Ok(Reply::Bytes {
                status,
                headers,
                length,
                content,
            }) => {
                log.open(status);
                let mut response = Response::new(Body::new(ContentBody::new(content, length, log)));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                response
            }
            Err(failure) => {
                let status = failure.status();
                let content_range = failure.content_range();
                let error = failure.error;
                let body = (self.error_body)(&error, log.request_id());
                let length = body.len();
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = status;
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
                if let Some(seconds) = retry_after_seconds(&error) {
                    headers.insert(RETRY_AFTER, seconds.into());
                }
                if let Some(value) = content_range {
                    headers.insert(CONTENT_RANGE, value);
                }
                if status == StatusCode::UNAUTHORIZED {
                    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                log.answered(status, Some(error), length);
                response
            }
        }
    }
}

impl Service<Request<Body>> for Endpoint {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let endpoint = self.clone();
        Box::pin(async move { Ok(endpoint.answer(request).await) })
    }
}

/// A path that matched nothing may be of any length; the log gets its beginning.
fn short_path(uri: &Uri) -> String {
    uri.path().chars().take(200).collect()
}
