//! Request bodies that are worked on as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::header::EXPECT;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use puna_api::{BoxStream, Error, ErrorKind};
use tokio::sync::Mutex;

use super::unpack::Encoding;
use super::{discard, next_part};
use crate::error::{Failure, Result};
use crate::settings::Limits;

/// What a form may have around its file, in bytes.
const AROUND: u64 = 1 << 20;

/// A request body with a file in it, as it comes, bounded. Cheap to clone: one half reads, and the other knows how that went.
#[derive(Clone)]
pub(crate) struct Upload {
    body: Arc<Mutex<Body>>,
    state: Arc<State>,
    limits: Limits,
    /// Whether the client waits for leave to send the body.
    expects: bool,
}

#[derive(Default)]
struct State {
    read: AtomicU64,
    stalled: AtomicBool,
}

impl Upload {
    /// Fails when the body is compressed, which helps nobody with files.
    pub(crate) fn new(body: Body, headers: &HeaderMap, limits: Limits) -> Result<Self> {
        if Encoding::of(headers)?.is_some() {
            let error = Error::invalid_request("an upload must not have a content encoding; send it as it is")
                .with_code("unsupported_content_encoding");
            return Err(Failure::with_status(error, StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        Ok(Self {
            body: Arc::new(Mutex::new(body)),
            state: Arc::default(),
            limits,
            expects: headers.contains_key(EXPECT),
        })
    }

    /// Fails when the body announces more than is taken.
    pub(crate) async fn check_announced(&self) -> puna_api::Result<()> {
        let announced = self.body.lock().await.size_hint().lower();
        if announced > self.max() {
            return Err(too_large(&self.limits));
        }
        Ok(())
    }

    fn max(&self) -> u64 {
        self.limits.max_file_bytes.saturating_add(AROUND)
    }

    /// How many bytes have come.
    pub(crate) fn read(&self) -> u64 {
        self.state.read.load(Ordering::Relaxed)
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> BoxStream<puna_api::Result<Bytes>> {
        let this = self.clone();
        let bytes = async_stream::stream! {
            loop {
                let part = next_part(&mut *this.body.lock().await, &this.limits).await;
                match part {
                    Ok(None) => return,
                    Ok(Some(part)) => {
                        let read = this.state.read.fetch_add(part.len() as u64, Ordering::Relaxed) + part.len() as u64;
                        if read > this.max() {
                            yield Err(too_large(&this.limits));
                            return;
                        }
                        yield Ok(part);
                    }
                    Err(failure) => {
                        let stalled = failure.status() == StatusCode::REQUEST_TIMEOUT;
                        this.state.stalled.store(stalled, Ordering::Relaxed);
                        yield Err(failure.error);
                        return;
                    }
                }
            }
        };
        bytes.boxed()
    }

    /// What a failure is answered with. A client that is still sending would find its connection reset and never see why, so some of what it
    /// sends is read on.
    pub(crate) async fn failed(&self, error: Error) -> Failure {
        if self.state.stalled.load(Ordering::Relaxed) {
            return Failure::with_status(error, StatusCode::REQUEST_TIMEOUT);
        }
        if !self.expects && error.kind() != ErrorKind::Internal {
            discard(&mut *self.body.lock().await, &self.limits).await;
        }
        error.into()
    }
}

/// The answer to a file that is larger than is taken.
pub(crate) fn too_large(limits: &Limits) -> Error {
    Error::too_large(format!(
        "the file is larger than the {} bytes that this server takes (max_file_bytes)",
        limits.max_file_bytes
    ))
    .with_code("file_too_large")
    .with_param("file")
}
