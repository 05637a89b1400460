//! The server: how it is called, and what its collections are called.

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Method, header};
use puna_api::{Error, Result};
use puna_http::{Body, Client, Request, RequestHeaders};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use crate::answers::Checklist;
use crate::config::{ChromaConfig, TokenHeader};
use crate::error::{Failure, Refusal};

/// The longest answer, and the most of a refusal that is read.
const MAX_ANSWER: usize = 256 << 20;
const MAX_REFUSAL: usize = 16 << 10;

/// How often a request is sent again that others were in the way of, and how long it waits before, each time this much longer.
const MAX_OVERTAKEN: u32 = 24;
const PAUSE: Duration = Duration::from_millis(1);

/// The header of Chroma's own for a token.
const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-chroma-token");

/// A server with indexes. Nothing is connected to before it is called.
pub(crate) struct Server {
    client: Client,
    headers: RequestHeaders,
    /// The path of the database.
    database: String,
    timeout: Duration,
    collection_prefix: String,
    max_batch: OnceCell<usize>,
}

impl Server {
    pub(crate) fn new(config: &ChromaConfig, provider_id: &str) -> Result<Self> {
        let client = config.client(provider_id)?;
        let mut headers = client.headers().clone();
        headers.set(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(token) = &config.api_token {
            let not_sendable = || Error::configuration("cannot be sent in a header").with_param("api_token");
            match config.token_header {
                TokenHeader::Chroma => {
                    let mut value = HeaderValue::from_str(token.expose()).map_err(|_| not_sendable())?;
                    value.set_sensitive(true);
                    headers.set(TOKEN_HEADER, value);
                }
                TokenHeader::Authorization => headers.set_bearer(token.expose()).ok_or_else(not_sendable)?,
            }
        }
        Ok(Self {
            client,
            headers,
            database: format!("/api/v2/tenants/{}/databases/{}", config.tenant, config.database),
            timeout: config.timeout(),
            collection_prefix: config.collection_prefix.clone(),
            max_batch: OnceCell::new(),
        })
    }

    /// The collection of an index. Its name has to end in a letter or a digit, and no two dots may stand together: each dot of the id has a `_` behind it.
    pub(crate) fn collection_of(&self, index_id: &str) -> String {
        format!("{}{}.index", self.collection_prefix, index_id.replace('.', "._"))
    }

    /// Asks whether it is there, with the database.
    pub(crate) async fn check(&self) -> Result<()> {
        match self.get::<serde::de::IgnoredAny>("").await {
            Ok(_) => Ok(()),
            Err(Failure::Refused(refusal)) if refusal.is_gone() => Err(self.no_database()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The most records that the server takes at once.
    pub(crate) async fn max_batch(&self) -> Result<usize> {
        let ask = || async {
            let checklist: Checklist = self.call(Method::GET, "/api/v2/pre-flight-checks", Vec::new()).await?;
            Ok::<_, Error>(checklist.max_batch_size.max(1))
        };
        self.max_batch.get_or_try_init(ask).await.copied()
    }

    /// What is at a path below the database.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, &format!("{}{path}", self.database), Vec::new())
            .await
    }

    /// Removes what is at a path below the database.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), Failure> {
        let path = format!("{}{path}", self.database);
        let _: serde::de::IgnoredAny = self.call(Method::DELETE, &path, Vec::new()).await?;
        Ok(())
    }

    /// The answer to a request that changes something, and is sent once.
    pub(crate) async fn write<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let path = format!("{}{path}", self.database);
        self.call(Method::POST, &path, json(body)?).await
    }

    /// The answer to a request that changes nothing, and is sent again while others are in its way.
    pub(crate) async fn read<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let path = format!("{}{path}", self.database);
        let body = json(body)?;
        let mut overtaken = 0;
        loop {
            match self.call(Method::POST, &path, body.clone()).await {
                Err(Failure::Refused(refusal)) if refusal.is_overtaken() && overtaken < MAX_OVERTAKEN => {
                    overtaken += 1;
                    pause(overtaken).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// There is no such database, or no such tenant.
    pub(crate) fn no_database(&self) -> Error {
        let mut names = self.database.split('/').skip(4).step_by(2);
        let (tenant, database) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        Error::configuration(format!(
            "there is no database `{database}` of a tenant `{tenant}` on the Chroma server; make it there, or change `database` or `tenant`"
        ))
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Vec<u8>) -> Result<T, Failure> {
        let send = async {
            self.client
                .send(Request {
                    method,
                    endpoint: self.client.endpoint(path)?,
                    headers: self.headers.clone(),
                    body: match body.is_empty() {
                        true => Body::empty(),
                        false => Body::from(bytes::Bytes::from(body)),
                    },
                    deadline: Some(Instant::now() + self.timeout),
                })
                .await
        };
        let response = send.await.map_err(Failure::Broken)?;
        if !response.status.is_success() {
            let said = response.body.bytes_up_to(MAX_REFUSAL).await.map_err(Failure::Broken)?;
            return Err(Failure::Refused(Refusal::new(response.status, &said)));
        }
        let answer = response.body.bytes(MAX_ANSWER).await.map_err(Failure::Broken)?;
        serde_json::from_slice(&answer).map_err(|error| {
            let message = "the Chroma server answered in a form that its version 1.5 does not have";
            Failure::Broken(Error::unavailable(message).with_source(error))
        })
    }
}

/// Waits, the longer the more often.
pub(crate) async fn pause(times: u32) {
    tokio::time::sleep(PAUSE * times).await;
}

/// The most times that something is read again because others were in the way.
pub(crate) const fn may_pause(times: u32) -> bool {
    times < MAX_OVERTAKEN
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| {
        let message = "the request to the Chroma server could not be made";
        Failure::Broken(Error::internal(message).with_source(error))
    })
}
