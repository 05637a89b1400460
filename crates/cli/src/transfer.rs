//! Files on their way to a server and back.

use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt;
use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use puna_api::{Error, File, Result};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use tokio_util::io::ReaderStream;

use crate::server::{Server, broken};

/// How much is read at once, in bytes.
const PIECE: usize = 256 << 10;

/// What to upload.
pub(crate) struct Upload<'a> {
    /// The file on this machine.
    pub(crate) file: &'a Path,
    /// What it is called on the server.
    pub(crate) name: &'a str,
    /// What it is for.
    pub(crate) purpose: &'a str,
    /// When it goes, in seconds from now.
    pub(crate) expires_after: Option<u32>,
}

impl Server {
    /// Uploads a file as it is read, and moves the bar along.
    pub(crate) async fn upload(&self, upload: Upload<'_>, bar: &ProgressBar) -> Result<File> {
        let file = tokio::fs::File::open(upload.file)
            .await
            .map_err(|error| unreadable(upload.file, error))?;
        let size = file
            .metadata()
            .await
            .map_err(|error| unreadable(upload.file, error))?
            .len();
        let moved = bar.clone();
        let pieces = ReaderStream::with_capacity(file, PIECE).inspect_ok(move |piece| moved.inc(piece.len() as u64));
        let part = Part::stream_with_length(Body::wrap_stream(pieces), size).file_name(upload.name.to_owned());
        let mut form = Form::new().text("purpose", upload.purpose.to_owned());
        if let Some(seconds) = upload.expires_after {
            form = form
                .text("expires_after[anchor]", "created_at")
                .text("expires_after[seconds]", seconds.to_string());
        }
        let request = self
            .request(Method::POST, "/v1/files")
            .multipart(form.part("file", part));
        self.send(request).await?.json().await.map_err(broken)
    }
}

/// A bar for bytes.
pub(crate) fn bytes_bar(bytes: u64) -> ProgressBar {
    const TEMPLATE: &str =
        "{msg:<24!} {wide_bar} {decimal_bytes:>10} of {decimal_total_bytes} {decimal_bytes_per_sec:>12} {eta:>4}";
    ProgressBar::new(bytes).with_style(style(TEMPLATE))
}

/// A bar for things that are counted.
pub(crate) fn count_bar(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(count as u64).with_style(style("{msg:<24!} {wide_bar} {pos} of {len} {elapsed:>4}"));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// An amount for people.
pub(crate) fn size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// What a file on this machine that cannot be read means.
pub(crate) fn unreadable(file: &Path, error: std::io::Error) -> Error {
    Error::invalid_request(format!("failed to read {}: {error}", file.display())).with_source(error)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
