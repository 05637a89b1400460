//! Images in messages: from where they are to pixels, within bounds.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, TryStreamExt, stream};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use puna_api::{Error, ErrorKind, Host, Result};
use puna_http::{Client, ClientSettings, EgressPolicy, FetchLimits, NetworkConfig, fetch_image, is_web_url};
use tokio::sync::Semaphore;

use crate::checkpoint::Vision;
use crate::error;

/// The longest side of an image, in pixels.
pub(crate) const MAX_SIDE: u32 = 16_384;
/// The most pixels of an image: as many as 8,192 by 4,096.
const MAX_PIXELS: u64 = 1 << 25;
/// The most bytes of an image as it comes.
const MAX_BYTES: usize = 20 << 20;
/// The most memory that a decoder may take.
const MAX_DECODER_BYTES: u64 = 512 << 20;
/// The most images in a request.
const MAX_IMAGES: usize = 16;
/// How many of a request's images are fetched at the same time.
const FETCHED_AT_ONCE: usize = 4;
/// How long all images of a request may take to fetch.
const MAX_TIME: Duration = Duration::from_secs(30);

/// The formats that are read, by their media types.
const FORMATS: [(&str, ImageFormat); 4] = [
    ("image/png", ImageFormat::Png),
    ("image/jpeg", ImageFormat::Jpeg),
    ("image/gif", ImageFormat::Gif),
    ("image/webp", ImageFormat::WebP),
];

/// An image that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedImage {
    /// Where it is named, such as `messages[0].content[1].image_url`.
    pub(crate) place: String,
    /// A URL of the web, or one that holds the image.
    pub(crate) url: String,
}

/// Gets images. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Images(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    provider_id: String,
    network: NetworkConfig,
    policy: Arc<EgressPolicy>,
    /// Made when the first image is fetched.
    client: OnceLock<Client>,
    /// Bounds the memory that decoding takes.
    decoders: Arc<Semaphore>,
}

impl Images {
    pub(crate) fn new(network: NetworkConfig, host: &Host) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Inner {
            provider_id: host.provider_id().to_owned(),
            network,
            policy: host.resource().unwrap_or_default(),
            client: OnceLock::new(),
            decoders: Arc::new(Semaphore::new(cores.min(4))),
        }))
    }

    /// The images, in their order, as the model is going to see them. Fails, naming the place, with what is wrong with one of them.
    pub(crate) async fn get(
        &self,
        named: Vec<NamedImage>,
        vision: &Vision,
        deadline: Option<Instant>,
    ) -> Result<Vec<DynamicImage>> {
        if named.len() > MAX_IMAGES {
            let message = format!("there are {} images; {MAX_IMAGES} are possible", named.len());
            return Err(Error::invalid_request(message).with_param("messages"));
        }
        let latest = Instant::now() + MAX_TIME;
        let deadline = deadline.map_or(latest, |deadline| deadline.min(latest));
        stream::iter(named)
            .map(|NamedImage { place, url }| async move {
                let got = self.one(url, vision, deadline).await;
                got.map_err(|error| error.with_param(place))
            })
            .buffered(FETCHED_AT_ONCE)
            .try_collect()
            .await
    }

    async fn one(&self, url: String, vision: &Vision, deadline: Instant) -> Result<DynamicImage> {
        let source = if is_web_url(&url) {
            let limits = FetchLimits {
                bytes: MAX_BYTES,
                deadline,
            };
            let fetched = fetch_image(&self.client()?, &self.0.policy, &url, limits).await;
            let fetched = fetched.map_err(|error| match error.kind() {
                ErrorKind::TooLarge => Error::invalid_request(error.message()),
                _ => error,
            })?;
            Source::Bytes(fetched.media_type, fetched.bytes.to_vec())
        } else {
            Source::DataUrl(url)
        };
        let vision = vision.clone();
        let decoder = Arc::clone(&self.0.decoders).acquire_owned().await;
        let decoder = decoder.map_err(|_| error::stopped())?;
        let decoded = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also where nobody waits for it any more.
            let _decoder = decoder;
            vision.prepare(source.decode()?)
        });
        decoded.await.map_err(|cause| error::failed(&cause.to_string()))?
    }

    fn client(&self) -> Result<Client> {
        if let Some(client) = self.0.client.get() {
            return Ok(client.clone());
        }
        let client = Client::new(ClientSettings {
            name: self.0.provider_id.clone(),
            // Never called: each image has a client of its own, for its own server.
            base_url: "http://images.invalid".to_owned(),
            network: self.0.network.clone(),
        })
        .map_err(|error| Error::unavailable(error.message()).with_source(error))?;
        Ok(self.0.client.get_or_init(|| client).clone())
    }
}

/// An image that is there, but was not looked at.
enum Source {
    /// Its media type, as somebody says, and its bytes.
    Bytes(String, Vec<u8>),
    DataUrl(String),
}

impl Source {
    fn decode(self) -> Result<DynamicImage> {
        let (media_type, bytes) = match self {
            Self::Bytes(media_type, bytes) => (media_type, bytes),
            Self::DataUrl(url) => data_of(&url)?,
        };
        decode(&media_type, &bytes)
    }
}

/// The media type and the bytes of a `data:` URL.
fn data_of(url: &str) -> Result<(String, Vec<u8>)> {
    let wrong = || {
        let shown: String = url.chars().take(40).collect();
        Error::invalid_request(format!(
            "the image's URL must begin with `https://`, `http://` or `data:image/png;base64,`, not `{shown}`"
        ))
    };
    let rest = url
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"))
        .map(|scheme| &url[scheme.len()..])
        .ok_or_else(wrong)?;
    let (head, data) = rest.split_once(',').ok_or_else(wrong)?;
    let mut head = head.split(';');
    let media_type = head.next().unwrap_or_default();
    if !head.any(|part| part.eq_ignore_ascii_case("base64")) {
        return Err(wrong());
    }
    if data.len() / 4 * 3 > MAX_BYTES + 3 {
        return Err(too_many_bytes());
    }
    let bytes = STANDARD
        .decode(data)
        .map_err(|cause| Error::invalid_request(format!("the image is not valid base64: {cause}")))?;
    if bytes.len() > MAX_BYTES {
        return Err(too_many_bytes());
    }
    Ok((media_type.to_owned(), bytes))
}

fn too_many_bytes() -> Error {
    Error::invalid_request(format!("the image is larger than {MAX_BYTES} bytes"))
}

/// The pixels of an image, upright, without transparency. Its size is looked at before anything is made of that size.
fn decode(media_type: &str, bytes: &[u8]) -> Result<DynamicImage> {
    let broken = |cause: ImageError| Error::invalid_request(format!("the image is broken: {cause}"));
    // A name that some write in place of the right one.
    let media_type = media_type.to_ascii_lowercase().replace("image/jpg", "image/jpeg");
    let format = FORMATS.iter().find(|(name, _)| *name == media_type);
    let (_, format) = format.ok_or_else(|| {
        let names = FORMATS.map(|(name, _)| name).join(", ");
        Error::invalid_request(format!(
            "the image is of the type `{media_type}`; it must be one of {names}"
        ))
    })?;
    match image::guess_format(bytes) {
        Ok(found) if found == *format => {}
        found => {
            let found = found.map_or("something else", |found| found.to_mime_type());
            return Err(Error::invalid_request(format!(
                "the image is said to be `{media_type}`, but its bytes are {found}"
            )));
        }
    }
    let mut decoder = ImageReader::with_format(Cursor::new(bytes), *format)
        .into_decoder()
        .map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if width.max(height) > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Error::invalid_request(format!(
            "the image has {width} by {height} pixels; at most {MAX_PIXELS} are possible, and {MAX_SIDE} on a side"
        )));
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    decoder.set_limits(limits).map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    Ok(DynamicImage::ImageRgb8(image.into_rgb8()))
}

#[cfg(test)]
mod tests;
