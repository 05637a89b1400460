//! Images in messages, for upstreams that take them as data only or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::try_join_all;
use http::{HeaderName, HeaderValue, Method, Uri, header};
use puna_api::{Error, ErrorKind, Result};
use puna_http::{Body, Client, EgressPolicy, Request};
use serde_json::Value;

/// The most images that are fetched for one request.
const MAX_IMAGES: usize = 16;
/// The most bytes of one image.
const MAX_BYTES: usize = 20 << 20;
/// How long one image may take.
const MAX_TIME: Duration = Duration::from_secs(30);

/// The path of the first image in a list of messages, such as `messages[0].content[1]`.
pub(crate) fn first_image(messages: &[u8]) -> Option<String> {
    if !mentions_images(messages) {
        return None;
    }
    let messages: Value = serde_json::from_slice(messages).ok()?;
    images(&messages)
        .next()
        .map(|(message, part, _)| format!("messages[{message}].content[{part}]"))
}

/// The request with every image that it names by URL in place of its URL. The URLs pass the egress guard, redirects are not followed, and what
/// is fetched must be an image of bounded size. A request without such images is not touched.
pub(crate) async fn inline_images(
    client: &Client,
    egress: &Arc<EgressPolicy>,
    document: &Bytes,
    deadline: Option<Instant>,
) -> Result<Option<Bytes>> {
    if !mentions_images(document) {
        return Ok(None);
    }
    // What cannot be read is refused by those who read it next.
    let Ok(mut request) = serde_json::from_slice::<Value>(document) else {
        return Ok(None);
    };
    let mut wanted = Vec::new();
    for (message, part, value) in images(&request["messages"]) {
        let (url, pointer) = match &value["image_url"] {
            Value::String(url) => (url, format!("/messages/{message}/content/{part}/image_url")),
            object => match &object["url"] {
                Value::String(url) => (url, format!("/messages/{message}/content/{part}/image_url/url")),
                _ => continue,
            },
        };
        if is_web_url(url) {
            let param = format!("messages[{message}].content[{part}].image_url");
            wanted.push((url.clone(), pointer, param));
        }
    }
    if wanted.is_empty() {
        return Ok(None);
    }
    if wanted.len() > MAX_IMAGES {
        return Err(Error::too_large(format!(
            "{} images are to be fetched; {MAX_IMAGES} are possible, more if they are sent as data URLs",
            wanted.len()
        ))
        .with_param("messages"));
    }
    let deadline = deadline
        .unwrap_or_else(|| Instant::now() + MAX_TIME)
        .min(Instant::now() + MAX_TIME);
    let fetched = try_join_all(wanted.iter().map(|(url, _, param)| async move {
        fetch(client, egress, url, deadline)
            .await
            .map_err(|e| e.with_param(param))
    }))
    .await?;
    for ((_, pointer, _), data) in wanted.iter().zip(fetched) {
        if let Some(place) = request.pointer_mut(pointer) {
            *place = Value::String(data);
        }
    }
    let document = serde_json::to_vec(&request)
        .map_err(|error| Error::internal("failed to encode a request").with_source(error))?;
    Ok(Some(document.into()))
}

/// A cheap test that spares almost every request the decoding.
fn mentions_images(json: &[u8]) -> bool {
    memchr::memmem::find(json, b"\"image_url\"").is_some()
}

/// The image parts of messages, each with the indexes of its message and of itself.
fn images(messages: &Value) -> impl Iterator<Item = (usize, usize, &Value)> {
    let messages = messages.as_array().into_iter().flatten().enumerate();
    messages.flat_map(|(message, value)| {
        let parts = value["content"].as_array().into_iter().flatten().enumerate();
        parts
            .filter(|(_, part)| part["type"] == "image_url")
            .map(move |(part, value)| (message, part, value))
    })
}

fn is_web_url(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// Fetches an image as a data URL.
async fn fetch(client: &Client, egress: &Arc<EgressPolicy>, url: &str, deadline: Instant) -> Result<String> {
    // The client sees no more than that it did not work: why not would tell it about the network that the server stands in.
    let failed = |why: &str| Error::invalid_request(format!("the image could not be fetched: {why}"));
    let uri: Uri = url.parse().map_err(|_| failed("its URL is not a URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(failed("its URL is not absolute"));
    };
    let client = client.for_untrusted_url(&format!("{scheme}://{authority}"), Arc::clone(egress))?;
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
        deadline: Some(deadline),
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
    let too_large = || Error::too_large(format!("the image is larger than {MAX_BYTES} bytes"));
    let bytes = response.body.bytes_up_to(MAX_BYTES + 1).await.map_err(hide)?;
    if bytes.len() > MAX_BYTES {
        return Err(too_large());
    }
    Ok(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
}

fn is_image(media_type: &str) -> bool {
    media_type.strip_prefix("image/").is_some_and(|subtype| {
        !subtype.is_empty()
            && subtype
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte))
    })
}
