//! Blobs in an object store that speaks S3.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart,
};
use puna_api::{BoxStream, Error, Result, Secret};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::incoming::Incoming;
use super::{Blob, BlobInfo, BlobKey, BlobPage, BlobStore};

/// How much is sent at once: object stores take parts of 5 MiB or more, 10,000 of them at most, so a blob can have 80 GB.
const PART: usize = 8 << 20;
/// How many parts may be on their way while the next one comes in.
const PARTS_ON_THE_WAY: usize = 2;
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer may make no progress.
const READ_PATIENCE: Duration = Duration::from_secs(30);
/// How long a request is tried again that failed for a passing reason.
const RETRY_PATIENCE: Duration = Duration::from_secs(20);
const CREATE_PATIENCE: Duration = Duration::from_secs(60);

/// A bucket, and how to reach it.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The key's id and the key; without them, what the machine's role or the container allows.
    pub credentials: Option<(String, Secret<String>)>,
    /// The token that belongs to a key for a limited time.
    pub session_token: Option<Secret<String>>,
    /// Where it is; by default AWS. One that starts with `http://` is spoken to without TLS.
    pub endpoint: Option<String>,
    /// Whether the bucket is made where it is not there.
    pub create_bucket: bool,
}

/// Blobs as objects of a bucket. A blob is sent in parts, and appears when the last one has come.
///
/// What a writer that was killed had sent already stays in the object store, invisible, until its rule for incomplete uploads takes it away
/// (`AbortIncompleteMultipartUpload`).
#[derive(Debug, Clone)]
pub struct S3Blobs {
    bucket: String,
    store: Arc<AmazonS3>,
}

impl S3Blobs {
    /// Prepares for a bucket, and makes it if the settings say so. Calls the object store only in that case.
    pub async fn open(settings: &S3Settings) -> Result<Self> {
        let connector = Connector::new()?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_http_connector(connector.clone())
            .with_retry(RetryConfig {
                max_retries: 3,
                retry_timeout: RETRY_PATIENCE,
                ..RetryConfig::default()
            });
        if let Some((id, key)) = &settings.credentials {
            builder = builder.with_access_key_id(id).with_secret_access_key(key.expose());
        }
        if let Some(token) = &settings.session_token {
            builder = builder.with_token(token.expose());
        }
        if let Some(endpoint) = &settings.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|error| {
            Error::configuration(format!(
                "the settings of the bucket `{}` do not fit together",
                settings.bucket
            ))
            .with_source(error)
        })?;
        let blobs = Self {
            bucket: settings.bucket.clone(),
            store: Arc::new(store),
        };
        if settings.create_bucket {
            blobs.create_bucket(&connector.0, &settings.region).await?;
        }
        Ok(blobs)
    }

    /// Makes the bucket, or finds that it is there and ours.
    async fn create_bucket(&self, http: &reqwest::Client, region: &str) -> Result<()> {
        let url = self
            .store
            .signed_url(Method::PUT, &Path::default(), CREATE_PATIENCE)
            .await
            .map_err(|error| self.error(error))?;
        // The first region is the one that must not be named.
        let body = match region {
            "us-east-1" => String::new(),
            region => format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                <LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        let failed =
            |reason: String| Error::unavailable(format!("failed to create the bucket `{}`: {reason}", self.bucket));
        let answer = http.put(url).body(body).send().await.map_err(|error| {
            failed("the object store cannot be reached".to_owned()).with_source(error.without_url())
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"))
            .map_or("", |(code, _)| code);
        match code {
            "BucketAlreadyOwnedByYou" => Ok(()),
            // Some object stores say so of one's own buckets too; those can be looked into.
            "BucketAlreadyExists" => match self.store.list(None).next().await {
                None | Some(Ok(_)) => Ok(()),
                Some(Err(_)) => Err(failed("somebody else has a bucket of this name".to_owned())),
            },
            _ => Err(failed(format!("the object store answered {status} {code}"))),
        }
    }

    fn error(&self, error: object_store::Error) -> Error {
        let message = match &error {
            object_store::Error::NotFound { .. } => {
                return Error::not_found("there is no such blob").with_source(error);
            }
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                "the object store refuses the server's credentials"
            }
            _ => "the object store cannot be reached, or does not answer as it should",
        };
        Error::unavailable(message)
            .with_context(format!("bucket {}", self.bucket))
            .with_source(error)
    }

    /// Sends more than one part's worth.
    async fn put_parts(&self, path: &Path, first: Vec<Bytes>, content: &mut Incoming) -> Result<()> {
        let upload = self
            .store
            .put_multipart(path)
            .await
            .map_err(|error| self.error(error))?;
        let mut upload = Upload(Some(WriteMultipart::new_with_chunk_size(upload, PART)));
        for piece in first {
            upload.take_in(piece);
        }
        loop {
            match content.next().await {
                Ok(Some(piece)) => upload.take_in(piece),
                Ok(None) => break,
                Err(error) => {
                    upload.abort().await;
                    return Err(error);
                }
            }
            if let Err(error) = upload.make_room().await {
                upload.abort().await;
                return Err(self.error(error));
            }
        }
        upload.finish().await.map_err(|error| self.error(error))
    }
}

/// An upload in parts; dropped, it is taken back in the background.
struct Upload(Option<WriteMultipart>);

impl Upload {
    fn take_in(&mut self, piece: Bytes) {
        if let Some(upload) = &mut self.0 {
            upload.put(piece);
        }
    }

    async fn make_room(&mut self) -> object_store::Result<()> {
        match &mut self.0 {
            Some(upload) => upload.wait_for_capacity(PARTS_ON_THE_WAY).await,
            None => Ok(()),
        }
    }

    /// Takes the upload back. Goes on in the background when nobody waits for it any more.
    async fn abort(mut self) {
        if let Some(task) = self.take_back() {
            let _ = task.await;
        }
    }

    fn take_back(&mut self) -> Option<JoinHandle<()>> {
        let mut upload = self.0.take()?;
        let runtime = Handle::try_current().ok()?;
        Some(runtime.spawn(async move {
            // A part that is still on its way could arrive after the upload was taken back, and stay. Each failure ends one part.
            while upload.wait_for_capacity(0).await.is_err() {}
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "an incomplete upload stays in the object store until its rule for those takes it away");
            }
        }))
    }

    async fn finish(mut self) -> object_store::Result<()> {
        match self.0.take() {
            Some(upload) => upload.finish().await.map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.take_back();
    }
}

#[async_trait]
impl BlobStore for S3Blobs {
    async fn put(&self, key: &BlobKey, content: BoxStream<Result<Bytes>>, limit: u64) -> Result<BlobInfo> {
        let mut content = Incoming::new(content, limit);
        let path = Path::from(key.as_str());
        let mut first = Vec::new();
        let mut size = 0;
        while size < PART {
            let Some(piece) = content.next().await? else {
                let whole: PutPayload = first.into_iter().collect();
                self.store.put(&path, whole).await.map_err(|error| self.error(error))?;
                return Ok(content.finish());
            };
            size += piece.len();
            first.push(piece);
        }
        self.put_parts(&path, first, &mut content).await?;
        Ok(content.finish())
    }

    async fn get(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Blob> {
        let path = Path::from(key.as_str());
        if range.as_ref().is_some_and(Range::is_empty) {
            // An object store takes no empty range.
            let size = self
                .size(key)
                .await?
                .ok_or_else(|| Error::not_found("there is no such blob"))?;
            return Ok(Blob {
                size,
                content: futures::stream::empty().boxed(),
            });
        }
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let got = self
            .store
            .get_opts(&path, options)
            .await
            .map_err(|error| self.error(error))?;
        let size = got.meta.size;
        let this = self.clone();
        let content = got.into_stream().map_err(move |error| this.error(error));
        Ok(Blob {
            size,
            content: content.boxed(),
        })
    }

    async fn size(&self, key: &BlobKey) -> Result<Option<u64>> {
        match self.store.head(&Path::from(key.as_str())).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(error)),
        }
    }

    async fn delete(&self, key: &BlobKey) -> Result<bool> {
        // The object store says nothing about what was not there.
        let was_there = self.size(key).await?.is_some();
        match self.store.delete(&Path::from(key.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(was_there),
            Err(error) => Err(self.error(error)),
        }
    }

    async fn list(&self, prefix: Option<&BlobKey>, after: Option<&BlobKey>, limit: usize) -> Result<BlobPage> {
        let prefix = prefix.map(|prefix| Path::from(prefix.as_str()));
        let listed = match after {
            Some(after) => self
                .store
                .list_with_offset(prefix.as_ref(), &Path::from(after.as_str())),
            None => self.store.list(prefix.as_ref()),
        };
        let mut keys: Vec<BlobKey> = listed
            .try_filter_map(|meta| async move { Ok(BlobKey::new(meta.location.to_string()).ok()) })
            .take(limit.saturating_add(1))
            .try_collect()
            .await
            .map_err(|error| self.error(error))?;
        let has_more = keys.len() > limit;
        keys.truncate(limit);
        Ok(BlobPage { keys, has_more })
    }
}

/// Hands the object store's client the connections that it uses.
#[derive(Debug, Clone)]
struct Connector(reqwest::Client);

impl Connector {
    #[expect(
        clippy::disallowed_methods,
        reason = "the object store's client brings its own requests, and asks for this kind of connection"
    )]
    fn new() -> Result<Self> {
        puna_http::choose_tls();
        let client = reqwest::Client::builder()
            .user_agent(concat!("puna/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .read_timeout(READ_PATIENCE)
            .build()
            .map_err(|error| Error::internal("failed to start the HTTP client").with_source(error))?;
        Ok(Self(client))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}
