//! Images in messages, for upstreams that take them as data only or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::try_join_all;
use puna_api::{Error, Result};
use puna_http::{Client, EgressPolicy, FetchLimits, FetchedImage, fetch_image, is_web_url};
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

/// Fetches an image as a data URL.
async fn fetch(client: &Client, egress: &Arc<EgressPolicy>, url: &str, deadline: Instant) -> Result<String> {
    let limits = FetchLimits {
        bytes: MAX_BYTES,
        deadline,
    };
    let FetchedImage { media_type, bytes } = fetch_image(client, egress, url, limits).await?;
    Ok(format!("data:{media_type};base64,{}", STANDARD.encode(bytes)))
}
