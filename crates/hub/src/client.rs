//! The hub's HTTP protocol: what a model holds, what a file must be, and its bytes.

use std::time::Duration;

use puna_api::{Error, Result};
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, LOCATION, RANGE,
};
use reqwest::{Method, Response, StatusCode, redirect};
use serde::Deserialize;
use url::Url;

use crate::ModelName;
use crate::checksum::Checksum;
use crate::error::{refused, unreachable};
use crate::name::{is_commit, is_safe_file};
use crate::settings::HubSettings;

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing may come of an answer.
const READ_PATIENCE: Duration = Duration::from_secs(60);
/// A signed URL of storage is one or two redirects away.
const MAX_REDIRECTS: usize = 10;
/// How often a request is sent again before its failure is final.
pub(crate) const RETRIES: u32 = 4;
/// The largest listing of a model's files that is read.
const MAX_LISTING_BYTES: usize = 64 << 20;

/// A client of one hub.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) settings: HubSettings,
}

/// A model at a moment.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) commit: String,
    pub(crate) files: Vec<ListedFile>,
}

/// A file as the model's listing has it. The hub tells size and checksum; what stands in for it may not.
#[derive(Debug, Clone)]
pub(crate) struct ListedFile {
    pub(crate) name: String,
    pub(crate) bytes: Option<u64>,
    pub(crate) checksum: Option<Checksum>,
}

/// A file that can be fetched.
#[derive(Debug, Clone)]
pub(crate) struct RemoteFile {
    pub(crate) name: String,
    pub(crate) url: Url,
    pub(crate) bytes: u64,
    pub(crate) checksum: Checksum,
}

#[derive(Deserialize)]
struct ModelDocument {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Client {
    #[expect(
        clippy::disallowed_methods,
        reason = "redirects lead to hosts that are not known before, so there is no one server whose client this is"
    )]
    pub(crate) fn new(settings: HubSettings) -> Result<Self> {
        puna_http::choose_tls();
        let http = reqwest::Client::builder()
            .user_agent(concat!("puna/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .read_timeout(READ_PATIENCE)
            // Redirects are followed here, so that the token stays where it belongs and headers on the way are seen.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| Error::internal("failed to start the HTTP client").with_source(error))?;
        Ok(Self { http, settings })
    }

    /// What a model holds at its revision.
    pub(crate) async fn model(&self, name: &ModelName) -> Result<Listing> {
        let mut url = self.url(["api", "models"].into_iter().chain(name.id().split('/')));
        self.extend(&mut url, ["revision", name.revision()]);
        url.set_query(Some("blobs=true"));
        let (_, mut response) = self.ask(Method::GET, url, HeaderMap::new()).await?;
        if !response.status().is_success() {
            return Err(refused(&self.settings, name, None, &response));
        }
        let mut body = Vec::new();
        while let Some(part) = response
            .chunk()
            .await
            .map_err(|error| unreachable(&self.settings, error))?
        {
            body.extend_from_slice(&part);
            if body.len() > MAX_LISTING_BYTES {
                return Err(nonsense(&format!("a listing of more than {MAX_LISTING_BYTES} bytes")));
            }
        }
        let document: ModelDocument =
            serde_json::from_slice(&body).map_err(|error| nonsense("no listing of a model").with_source(error))?;
        if !is_commit(&document.sha) {
            return Err(nonsense("a commit that is none"));
        }
        let files = document
            .siblings
            .into_iter()
            .map(Sibling::read)
            .collect::<Result<_>>()?;
        Ok(Listing {
            commit: document.sha,
            files,
        })
    }

    /// What a file must be. Asks with `HEAD`; the answer is the hub's own, which has size and checksum also where it leads elsewhere.
    pub(crate) async fn file(&self, name: &ModelName, commit: &str, file: &ListedFile) -> Result<RemoteFile> {
        let mut url = self.url(name.id().split('/'));
        self.extend(&mut url, ["resolve", commit].into_iter().chain(file.name.split('/')));
        let (url, response) = self.ask(Method::HEAD, url, identity()).await?;
        let status = response.status();
        if !status.is_success() && !status.is_redirection() {
            return Err(refused(&self.settings, name, Some(&file.name), &response));
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        if header("x-repo-commit").is_some_and(|answered| answered != commit) {
            return Err(nonsense("another commit than the one that was asked for"));
        }
        let told = header("x-linked-etag")
            .or_else(|| header(ETAG.as_str()))
            .and_then(Checksum::parse);
        let checksum = match (told, &file.checksum) {
            // Large files have two names: the listing's blob id may be that of the pointer in git.
            (Some(Checksum::Sha256(told)), Some(Checksum::Sha256(listed))) if told != *listed => {
                return Err(nonsense(&format!(
                    "two checksums for `{}`: {told} and {listed}",
                    file.name
                )));
            }
            (Some(told), _) => told,
            (None, Some(listed)) => listed.clone(),
            (None, None) => {
                return Err(nonsense(&format!(
                    "no SHA-256 and no git blob id for `{}`, so that it could not be checked",
                    file.name
                )));
            }
        };
        let length = || header(CONTENT_LENGTH.as_str()).filter(|_| status.is_success());
        let bytes = header("x-linked-size")
            .or_else(length)
            .and_then(|bytes| bytes.parse().ok())
            .or(file.bytes)
            .ok_or_else(|| nonsense(&format!("no size for `{}`", file.name)))?;
        Ok(RemoteFile {
            name: file.name.clone(),
            url,
            bytes,
            checksum,
        })
    }

    /// The bytes of a file from an offset on. Redirects are followed to wherever the bytes are.
    pub(crate) async fn bytes(&self, url: &Url, from: u64) -> Result<Response> {
        let mut headers = identity();
        if from > 0 {
            let range = HeaderValue::from_str(&format!("bytes={from}-"));
            headers.insert(
                RANGE,
                range.map_err(|error| Error::internal("a range is no header").with_source(error))?,
            );
        }
        let mut url = url.clone();
        for _ in 0..MAX_REDIRECTS {
            let response = self.send(Method::GET, &url, headers.clone()).await?;
            match redirected(&url, &response)? {
                Some(target) => url = target,
                None => return Ok(response),
            }
        }
        Err(nonsense("a redirect that does not end"))
    }

    /// Asks the hub itself, again where a fault may pass. A redirect within the hub is followed, one that leads elsewhere is the answer.
    async fn ask(&self, method: Method, mut url: Url, headers: HeaderMap) -> Result<(Url, Response)> {
        for _ in 0..MAX_REDIRECTS {
            let response = self.insist(&method, &url, &headers).await?;
            match redirected(&url, &response)? {
                Some(target) if self.is_hub(&target) => url = target,
                _ => return Ok((url, response)),
            }
        }
        Err(nonsense("a redirect that does not end"))
    }

    async fn insist(&self, method: &Method, url: &Url, headers: &HeaderMap) -> Result<Response> {
        let mut wait = self.settings.retry_wait;
        for _ in 0..RETRIES {
            match self.send(method.clone(), url, headers.clone()).await {
                Ok(response) if !may_pass(response.status()) => return Ok(response),
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.send(method.clone(), url, headers.clone()).await
    }

    async fn send(&self, method: Method, url: &Url, mut headers: HeaderMap) -> Result<Response> {
        if let Some(token) = &self.settings.token
            && self.is_hub(url)
        {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| {
                Error::configuration("the token for the hub cannot be sent in a header").with_param("HF_TOKEN")
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let sent = self.http.request(method, url.clone()).headers(headers).send().await;
        sent.map_err(|error| unreachable(&self.settings, error))
    }

    /// Whether a URL has the scheme, host and port of the hub.
    fn is_hub(&self, url: &Url) -> bool {
        url.origin() == self.settings.endpoint.origin()
    }

    fn url<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.settings.endpoint.clone();
        self.extend(&mut url, segments);
        url
    }

    /// Adds segments to a path; what would not stand for itself in one is encoded.
    fn extend<'a>(&self, url: &mut Url, segments: impl IntoIterator<Item = &'a str>) {
        // Only URLs such as `mailto:` have no segments, and settings take none of those.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
    }
}

impl Sibling {
    fn read(self) -> Result<ListedFile> {
        if !is_safe_file(&self.rfilename) {
            let shown: String = self.rfilename.chars().take(100).collect();
            return Err(Error::invalid_request(format!(
                "the model has a file named {shown:?}, which could lead out of its folder; nothing of it is fetched"
            ))
            .with_code("unsafe_file_name"));
        }
        let (checksum, bytes) = match self.lfs {
            Some(lfs) => (lfs.sha256, lfs.size.or(self.size)),
            None => (self.blob_id, self.size),
        };
        Ok(ListedFile {
            name: self.rfilename,
            bytes,
            checksum: checksum.as_deref().and_then(Checksum::parse),
        })
    }
}

/// Where the bytes of a partial answer begin, and how many the file has.
pub(crate) fn content_range(response: &Response) -> Option<(u64, u64)> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (place, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = place.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// Whether the same request may succeed a little later.
pub(crate) fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// The hub answered with something that its protocol does not have.
pub(crate) fn nonsense(what: &str) -> Error {
    Error::unavailable(format!(
        "the hub answered with {what}; check `HF_ENDPOINT`, or try again later"
    ))
}

/// Bytes as they are: a size or an offset in something compressed would mean nothing.
fn identity() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))])
}

fn redirected(from: &Url, response: &Response) -> Result<Option<Url>> {
    let Some(location) = response
        .headers()
        .get(LOCATION)
        .filter(|_| response.status().is_redirection())
    else {
        return Ok(None);
    };
    let target = location
        .to_str()
        .ok()
        .and_then(|location| from.join(location).ok())
        .filter(|target| matches!(target.scheme(), "http" | "https"))
        .ok_or_else(|| nonsense("a redirect to nowhere"))?;
    if from.scheme() == "https" && target.scheme() == "http" {
        return Err(nonsense("a redirect from https to http"));
    }
    Ok(Some(target))
}
