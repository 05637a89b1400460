//! Fetches images that requests name by URL.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri, header};
use puna_api::{Error, ErrorKind, Result};

use crate::body::Body;
use crate::client::{Client, Request};
use crate::egress::EgressPolicy;

/// An image as its server sent it. What its bytes are was not looked at.
#[derive(Debug, Clone)]
pub struct FetchedImage {
    /// What the server says it is, such as `image/png`.
    pub media_type: String,
    /// The image.
    pub bytes: Bytes,
}

/// How much and how long.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// The most bytes.
    pub bytes: usize,
    /// When the image, to its last byte, is of no use any more.
    pub deadline: Instant,
}

/// Whether a URL leads to the web, rather than holding the image itself.
pub fn is_web_url(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Fetches an image whose URL a request chose, with the settings of `client`. The URL passes the egress guard, and redirects are not
/// followed.
///
/// Fails as permission denied when the guard refuses the address, as too large when there are more bytes than the limit, and as an
/// invalid request, without telling of the network, when there is no image to be had.
pub async fn fetch_image(
    client: &Client,
    policy: &Arc<EgressPolicy>,
    url: &str,
    limits: FetchLimits,
) -> Result<FetchedImage> {
    // The client sees no more than that it did not work: why not would tell it about the network that the server stands in.
    let failed = |why: &str| Error::invalid_request(format!("the image could not be fetched: {why}"));
    let uri: Uri = url.parse().map_err(|_| failed("its URL is not a URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(failed("its URL is not absolute"));
    };
    let client = client.for_untrusted_url(&format!("{scheme}://{authority}"), Arc::clone(policy))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = client.headers().clone();
    headers.set(header::ACCEPT, HeaderValue::from_static("image/*"));
    headers.set(
        HeaderName::from_static("sec-fetch-dest"),
        HeaderValue::from_static("image"),
    );
    let request = Request {
        method: Method::GET,
        endpoint: client.endpoint_at(path).map_err(|_| failed("its URL is not a URL"))?,
        headers,
        body: Body::empty(),
        deadline: Some(limits.deadline),
    };
    let hide = |error: Error| match error.kind() {
        ErrorKind::PermissionDenied => error,
        ErrorKind::Timeout => failed("its server took too long").with_source(error),
        _ => failed("its server could not be reached").with_source(error),
    };
    let response = client.send(request).await.map_err(hide)?;
    match response.status.as_u16() {
        200 => {}
        300..=399 => return Err(failed("its server redirects elsewhere, which is not followed")),
        status => return Err(failed(&format!("its server answered with status {status}"))),
    }
    let media_type = response
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .filter(|media_type| is_image(media_type))
        .ok_or_else(|| failed("its server sent something that is not an image"))?
        .to_owned();
    let bytes = response.body.bytes_up_to(limits.bytes + 1).await.map_err(hide)?;
    if bytes.len() > limits.bytes {
        return Err(Error::too_large(format!(
            "the image is larger than {} bytes",
            limits.bytes
        )));
    }
    Ok(FetchedImage { media_type, bytes })
}

fn is_image(media_type: &str) -> bool {
    media_type.strip_prefix("image/").is_some_and(|subtype| {
        !subtype.is_empty()
            && subtype
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte))
    })
}
