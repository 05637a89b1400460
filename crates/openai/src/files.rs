//! The Files API of an upstream: what goes over the wire, and nothing that is kept.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use puna_api::{BoxStream, Error, ErrorKind, ExpiresAfter, FilePurpose, Result, Secret};
use puna_http::{Body, Client, ClientSettings, Endpoint, NetworkConfig, Request, RequestHeaders, Response};
use serde::Deserialize;

use crate::error::{Credential, from_answer, unexpected_answer};
use crate::form::{Form, quoted};
use crate::upstream::MAX_ERROR;

/// The longest answer about one file.
const MAX_ANSWER: usize = 1 << 20;
/// The longest page of a list.
const MAX_PAGE: usize = 16 << 20;
/// How many files a page has.
const PAGE: usize = 100;
/// How long a question about files may take, other than for their bytes.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// What a [`FilesUpstream`] is made of.
#[derive(Debug, Clone)]
pub struct FilesSettings {
    /// The provider's id, for error messages.
    pub provider_id: String,
    /// The URL below which `/files` lies.
    pub base_url: String,
    /// The key to send as bearer token.
    pub api_key: Secret<String>,
    /// TLS, proxy, timeouts, headers.
    pub network: NetworkConfig,
}

/// A client of an upstream that keeps files as OpenAI does. Wire shapes: `/files` of the OpenAI API.
///
/// Nothing is tried a second time: whoever calls knows best whether an upload that failed may be repeated.
pub struct FilesUpstream {
    client: Client,
    headers: RequestHeaders,
    files: Endpoint,
    credential: Credential,
}

/// A file to upload.
pub struct OutgoingFile<'a> {
    /// Its name. Any text without control characters.
    pub filename: &'a str,
    /// What it is for; one of those that are for uploads.
    pub purpose: FilePurpose,
    /// When it goes.
    pub expires_after: Option<ExpiresAfter>,
    /// The number of its bytes.
    pub size: u64,
    /// Its bytes, which are sent as they come.
    pub content: BoxStream<Result<Bytes>>,
}

/// Why an upload failed.
#[derive(Debug)]
pub struct UploadFailure {
    /// What happened.
    pub error: Error,
    /// Whether the upstream may have kept the file all the same: it got all of the bytes, and did not refuse them.
    pub may_have_arrived: bool,
}

/// What an upstream knows of a file. Wire shape: `OpenAIFile` of OpenAI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UpstreamFile {
    /// Its id: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// When it was uploaded, in seconds since 1970.
    pub created_at: u64,
    /// When it goes, in seconds since 1970.
    #[serde(default)]
    pub expires_at: Option<u64>,
    /// Its name.
    pub filename: String,
}

impl UpstreamFile {
    /// Whether the upstream made this of a file's name: servers may leave it in quotes, or keep what stands behind the last slash.
    pub fn is_named(&self, filename: &str) -> bool {
        let quoted = quoted(filename);
        [filename, &quoted]
            .into_iter()
            .flat_map(|name| [Some(name), name.rsplit(['/', '\\']).next()])
            .any(|name| name == Some(&*self.filename))
    }
}

/// Some files of an upstream, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UpstreamPage {
    /// The files.
    pub data: Vec<UpstreamFile>,
    /// Whether there are more after them.
    #[serde(default)]
    pub has_more: bool,
}

#[derive(Deserialize)]
struct Deletion {
    deleted: bool,
}

impl FilesUpstream {
    /// Makes a client, without connecting. Fails as a configuration error that names `base_url`, `api_key` or a path below `network`.
    pub fn new(settings: FilesSettings) -> Result<Self> {
        let FilesSettings {
            provider_id,
            base_url,
            api_key,
            network,
        } = settings;
        let client = Client::new(ClientSettings {
            name: provider_id,
            base_url,
            network,
        })?;
        let mut headers = client.headers().clone();
        headers.set_bearer(api_key.expose()).ok_or_else(|| {
            Error::configuration("the key has characters that a header must not contain").with_param("api_key")
        })?;
        Ok(Self {
            files: client.endpoint("/files")?,
            credential: Credential::Configured(api_key.expose().as_str().into()),
            client,
            headers,
        })
    }

    /// Uploads a file. The bytes go out as they come, and are in memory a few pieces at a time.
    pub async fn upload(
        &self,
        file: OutgoingFile<'_>,
        deadline: Option<Instant>,
    ) -> std::result::Result<UpstreamFile, UploadFailure> {
        let all_sent = Arc::new(AtomicBool::new(false));
        let failed = |error: Error, is_refused: bool| UploadFailure {
            error,
            may_have_arrived: !is_refused && all_sent.load(Ordering::Acquire),
        };
        let mut form = Form::new();
        form.field("purpose", file.purpose.name());
        if let Some(expires_after) = file.expires_after {
            form.field("expires_after[anchor]", "created_at");
            form.field("expires_after[seconds]", &expires_after.seconds.to_string());
        }
        let mut headers = self.headers.clone();
        let content_type = HeaderValue::try_from(form.content_type());
        headers.set(
            header::CONTENT_TYPE,
            content_type.map_err(|error| failed(Error::internal("a form has no type").with_source(error), true))?,
        );
        let (length, content) = form.file("file", file.filename, file.size, file.content);
        let told = Arc::clone(&all_sent);
        let content = content.inspect_ok({
            let mut sent = 0;
            move |piece: &Bytes| {
                sent += piece.len() as u64;
                if sent >= length {
                    told.store(true, Ordering::Release);
                }
            }
        });
        let request = Request {
            method: Method::POST,
            endpoint: self.files.clone(),
            headers,
            body: Body::stream(length, content.boxed()),
            deadline,
        };
        let response = self.client.send(request).await.map_err(|error| failed(error, false))?;
        let is_refused = response.status.is_client_error() && response.status != StatusCode::REQUEST_TIMEOUT;
        let read = async {
            let (headers, answer) = self.success(response).await?.read(MAX_ANSWER).await?;
            self.parse(&headers, &answer, "a file").and_then(checked)
        };
        read.await.map_err(|error| failed(error, is_refused))
    }

    /// The files for a purpose, the newest first, from the one after `after` on.
    pub async fn list(&self, purpose: FilePurpose, after: Option<&str>) -> Result<UpstreamPage> {
        let mut path = format!("/files?purpose={}&limit={PAGE}&order=desc", purpose.name());
        if let Some(after) = after {
            path.push_str("&after=");
            path.push_str(after);
        }
        let answer = self.ask(Method::GET, self.client.endpoint(&path)?).await?;
        let (headers, answer) = answer.read(MAX_PAGE).await?;
        let page: UpstreamPage = self.parse(&headers, &answer, "a list of files")?;
        // What has no usable id can neither be asked for nor be the place where the next page begins.
        page.data.iter().try_for_each(check_id)?;
        Ok(page)
    }

    /// The bytes of a range of a file that has so many. Fewer than those are a fault at the end.
    pub async fn content(
        &self,
        id: &str,
        range: Range<u64>,
        size: u64,
        deadline: Option<Instant>,
    ) -> Result<BoxStream<Result<Bytes>>> {
        let mut headers = self.headers.clone();
        if range != (0..size) {
            let value = HeaderValue::try_from(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
            let value = value.map_err(|error| Error::internal("a range is no header").with_source(error))?;
            headers.set(header::RANGE, value);
        }
        let request = Request {
            method: Method::GET,
            endpoint: self.client.endpoint(&format!("/files/{id}/content"))?,
            headers,
            body: Body::empty(),
            deadline,
        };
        let Answer(Response { status, headers, body }) = self.success(self.client.send(request).await?).await?;
        // Servers may ignore ranges.
        let first = match status {
            StatusCode::PARTIAL_CONTENT => first_byte(&headers),
            _ => Some(0),
        };
        let Some(skipped) = first.and_then(|first| range.start.checked_sub(first)) else {
            let name = self.client.name();
            return Err(Error::unavailable(format!(
                "provider `{name}` answered with other bytes of the file than those that were asked for"
            )));
        };
        Ok(cut(self.client.name(), body.boxed(), skipped, range.end - range.start))
    }

    /// Takes a file away, and says whether it was there.
    pub async fn delete(&self, id: &str) -> Result<bool> {
        let answer = match self
            .ask(Method::DELETE, self.client.endpoint(&format!("/files/{id}"))?)
            .await
        {
            Ok(answer) => answer,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let (headers, answer) = answer.read(MAX_ANSWER).await?;
        let deletion: Deletion = self.parse(&headers, &answer, "word of a deletion")?;
        if deletion.deleted {
            return Ok(true);
        }
        let name = self.client.name();
        Err(Error::unavailable(format!("provider `{name}` did not delete the file")))
    }

    async fn ask(&self, method: Method, endpoint: Endpoint) -> Result<Answer> {
        let request = Request {
            method,
            endpoint,
            headers: self.headers.clone(),
            body: Body::empty(),
            deadline: Some(Instant::now() + ANSWER_TIME),
        };
        self.success(self.client.send(request).await?).await
    }

    /// Makes an error of every answer but a success.
    async fn success(&self, response: Response) -> Result<Answer> {
        if response.status.is_success() {
            return Ok(Answer(response));
        }
        let Response { status, headers, body } = response;
        // The status says enough where the body breaks off.
        let body = body.bytes_up_to(MAX_ERROR).await.unwrap_or_default();
        let name = self.client.name();
        Err(from_answer(name, status, &headers, &body, &self.credential))
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self, headers: &HeaderMap, answer: &[u8], expected: &str) -> Result<T> {
        serde_json::from_slice(answer)
            .map_err(|error| unexpected_answer(self.client.name(), headers, answer, expected).with_source(error))
    }
}

/// A success.
struct Answer(Response);

impl Answer {
    async fn read(self, limit: usize) -> Result<(HeaderMap, Bytes)> {
        Ok((self.0.headers, self.0.body.bytes(limit).await?))
    }
}

fn checked(file: UpstreamFile) -> Result<UpstreamFile> {
    check_id(&file)?;
    Ok(file)
}

/// An id becomes a part of a path, and is kept for as long as the file.
fn check_id(file: &UpstreamFile) -> Result<()> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let id = &file.id;
    if id.len() <= 200 && id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.bytes().all(is_part) {
        return Ok(());
    }
    let shown: String = id.chars().take(100).collect();
    Err(Error::unavailable(format!(
        "the upstream calls a file {shown:?}, which is no id: letters, digits, `-`, `_` and `.` are"
    )))
}

/// The first byte of a partial answer: `content-range: bytes FIRST-LAST/SIZE`.
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

/// So many bytes of a stream, after those that are skipped.
fn cut(name: &str, body: BoxStream<Result<Bytes>>, skipped: u64, wanted: u64) -> BoxStream<Result<Bytes>> {
    let ended = format!("provider `{name}` sent fewer bytes than the file has");
    stream::try_unfold((body, skipped, wanted), move |(mut body, mut skipped, left)| {
        let ended = ended.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            loop {
                let Some(mut piece) = body.try_next().await? else {
                    return Err(Error::unavailable(ended));
                };
                let gone = skipped.min(piece.len() as u64);
                skipped -= gone;
                let mut piece = piece.split_off(gone as usize);
                piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                if !piece.is_empty() {
                    let left = left - piece.len() as u64;
                    return Ok(Some((piece, (body, skipped, left))));
                }
            }
        }
    })
    .boxed()
}

impl std::fmt::Debug for FilesUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilesUpstream")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutgoingFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingFile")
            .field("filename", &self.filename)
            .field("purpose", &self.purpose)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn cut_to(skipped: u64, wanted: u64) -> Result<Vec<u8>> {
        let pieces = ["01", "", "234", "56789"].map(|piece| Ok(Bytes::from(piece)));
        let cut = cut("up", stream::iter(pieces).boxed(), skipped, wanted);
        Ok(cut.try_collect::<Vec<_>>().await?.concat())
    }

    #[tokio::test]
    async fn a_range_is_cut_out_of_the_whole() {
        for (skipped, wanted, expected) in [
            (0, 10, "0123456789"),
            (0, 1, "0"),
            (3, 4, "3456"),
            (9, 1, "9"),
            (4, 0, ""),
        ] {
            assert_eq!(cut_to(skipped, wanted).await.unwrap(), expected.as_bytes());
        }
        let short = cut_to(5, 6).await.unwrap_err();
        assert!(short.message().contains("fewer bytes than the file has"), "{short}");
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_a_path() {
        let file = |id: &str| UpstreamFile {
            id: id.to_owned(),
            bytes: 0,
            created_at: 0,
            expires_at: None,
            filename: String::new(),
        };
        for id in ["file-abc123", "file_1.a", "7"] {
            assert!(check_id(&file(id)).is_ok(), "{id}");
        }
        for id in ["", "..", "a/b", "a?b", "a b", "ä", &"a".repeat(201)] {
            assert!(check_id(&file(id)).is_err(), "{id}");
        }
    }
}
