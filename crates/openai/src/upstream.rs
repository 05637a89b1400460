//! An upstream's paths, ready to be called.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method, header};
use puna_api::{Error, Result};
use puna_http::{Body, Client, Endpoint, Request, RequestHeaders, Response};

use crate::error::{Credential, from_answer};
use crate::request::Task;
use crate::settings::{HealthProbe, RerankPath, Settings};

/// More of an error's body than this is not read.
pub(crate) const MAX_ERROR: usize = 64 << 10;

/// A server and everything about it that is the same for all requests.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client,
    /// The configured key is among them, if there is one.
    headers: RequestHeaders,
    chat: Endpoint,
    completions: Endpoint,
    embeddings: Endpoint,
    pub(crate) models: Endpoint,
    pub(crate) rerank: Option<Endpoint>,
    pub(crate) health: Option<Endpoint>,
}

/// A call to make: where to, with whose key.
pub(crate) struct Call {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) headers: RequestHeaders,
    pub(crate) credential: Credential,
}

impl Upstream {
    /// Prepares the paths of a client's server. `api_key` must not be set for a server that a caller chose.
    pub(crate) fn new(client: Client, api_key: Option<&str>, settings: &Settings) -> Result<Self> {
        let mut headers = client.headers().clone();
        headers.set(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = api_key {
            headers.set_bearer(key).ok_or_else(|| {
                Error::configuration("the key has characters that a header must not contain").with_param("api_key")
            })?;
        }
        let root = client
            .base_path()
            .strip_suffix("/v1")
            .unwrap_or(client.base_path())
            .to_owned();
        let rerank = match settings.rerank_path() {
            None => None,
            Some(RerankPath::Root) => Some(client.endpoint_at(&format!("{root}/rerank"))?),
            Some(RerankPath::Base) => Some(client.endpoint("/rerank")?),
        };
        let health = match settings.health {
            HealthProbe::Path(path) => Some(client.endpoint_at(&format!("{root}{path}"))?),
            HealthProbe::Models | HealthProbe::None => None,
        };
        Ok(Self {
            headers,
            chat: client.endpoint("/chat/completions")?,
            completions: client.endpoint("/completions")?,
            embeddings: client.endpoint("/embeddings")?,
            models: client.endpoint("/models")?,
            rerank,
            health,
            client,
        })
    }

    pub(crate) fn headers(&self) -> &RequestHeaders {
        &self.headers
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn endpoint(&self, task: Task) -> &Endpoint {
        match task {
            Task::Chat => &self.chat,
            Task::Completion => &self.completions,
            Task::Embeddings => &self.embeddings,
        }
    }
}

impl Call {
    /// Posts JSON, and makes an error of every answer but a success.
    pub(crate) async fn post(
        self,
        endpoint: Endpoint,
        body: Body,
        deadline: Option<Instant>,
    ) -> Result<(Response, Credential)> {
        self.send(Method::POST, endpoint, body, deadline).await
    }

    /// Gets, and makes an error of every answer but a success.
    pub(crate) async fn get(mut self, endpoint: Endpoint, deadline: Option<Instant>) -> Result<(Response, Credential)> {
        self.headers.remove(&header::CONTENT_TYPE);
        self.send(Method::GET, endpoint, Body::empty(), deadline).await
    }

    async fn send(
        self,
        method: Method,
        endpoint: Endpoint,
        body: Body,
        deadline: Option<Instant>,
    ) -> Result<(Response, Credential)> {
        let Self {
            upstream,
            headers,
            credential,
        } = self;
        let response = upstream
            .client
            .send(Request {
                method,
                endpoint,
                headers,
                body,
                deadline,
            })
            .await?;
        if response.status.is_success() {
            return Ok((response, credential));
        }
        let Response { status, headers, body } = response;
        // The status says enough where the body breaks off.
        let body = body.bytes_up_to(MAX_ERROR).await.unwrap_or_default();
        Err(from_answer(
            upstream.client.name(),
            status,
            &headers,
            &body,
            &credential,
        ))
    }
}
