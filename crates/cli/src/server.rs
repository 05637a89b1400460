//! A running server, as its clients see it.

use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use puna_api::{Error, Result};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Invocation;
use crate::args::ServerArgs;

/// The variable with the key to present, where the server wants one.
const API_KEY: &str = "PUNA_API_KEY";

/// A running server.
pub(crate) struct Server {
    url: String,
    api_key: Option<String>,
    client: reqwest::Client,
}

/// A page of a list. (OpenAI)
#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    #[serde(default)]
    last_id: Option<String>,
    #[serde(default)]
    has_more: bool,
}

impl Server {
    /// The server that the command line names.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is a client of a server, not a provider in one"
    )]
    pub(crate) fn of(invocation: &Invocation, args: &ServerArgs) -> Result<Self> {
        let client = reqwest::Client::builder()
            .build()
            .map_err(|error| Error::internal("failed to start the HTTP client").with_source(error))?;
        Ok(Self {
            url: args.url.trim_end_matches('/').to_owned(),
            api_key: invocation.environment.get_non_empty(API_KEY).map(ToOwned::to_owned),
            client,
        })
    }

    /// A request that is not sent yet.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.api_key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request, and answers what came if the server did what was asked for.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.unreached(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body: Value = response.json().await.unwrap_or_default();
        let mut message = match body["error"]["message"].as_str() {
            Some(message) => message.to_owned(),
            None => format!("the server answered {status}"),
        };
        Err(match status {
            StatusCode::NOT_FOUND => Error::not_found(message),
            StatusCode::UNAUTHORIZED => {
                if self.api_key.is_none() {
                    message.push_str("; set PUNA_API_KEY to a key of this server");
                }
                Error::unauthenticated(message)
            }
            status if status.is_server_error() => Error::unavailable(message),
            _ => Error::invalid_request(message),
        })
    }

    /// Asks for something.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        self.send(self.request(Method::GET, path).query(query))
            .await?
            .json()
            .await
            .map_err(broken)
    }

    /// Sends something.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.send(self.request(Method::POST, path).json(body))
            .await?
            .json()
            .await
            .map_err(broken)
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        self.send(self.request(Method::DELETE, path)).await.map(drop)
    }

    /// All that a list has, page by page.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", "100"));
            query.extend(after.as_deref().map(|after| ("after", after)));
            let page: Page<T> = self.get(path, &query).await?;
            all.extend(page.data);
            match page.last_id {
                // The same place again would never end.
                Some(last) if page.has_more && after.as_ref() != Some(&last) => after = Some(last),
                _ => return Ok(all),
            }
        }
    }

    fn unreached(&self, error: reqwest::Error) -> Error {
        let message = if error.is_connect() {
            format!("no server answers at {}; start one with `puna run`", self.url)
        } else if error.is_builder() {
            format!(
                "`{}` is not the URL of a server, such as http://127.0.0.1:8321",
                self.url
            )
        } else {
            format!("the connection to {} broke", self.url)
        };
        Error::unavailable(message).with_source(error)
    }
}

/// An id in a path, where a mistyped one may hold anything.
pub(crate) fn segment(id: &str) -> PercentEncode<'_> {
    utf8_percent_encode(id, NON_ALPHANUMERIC)
}

/// What an answer that ended too early, or is not JSON, means.
pub(crate) fn broken(error: reqwest::Error) -> Error {
    Error::unavailable("the server's answer cannot be read").with_source(error)
}
