//! Request bodies, read whole and within bounds.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::EXPECT;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use puna_api::{Error, ErrorKind};
use tokio::time::{Instant, timeout};

use crate::error::{Failure, Result};
use crate::settings::Limits;

mod unpack;
mod upload;

use unpack::Encoding;
pub(crate) use upload::{Upload, too_large as file_too_large};

/// Reads a body to its end and unpacks it if it is compressed.
pub(crate) async fn read(mut body: Body, headers: &HeaderMap, limits: &Limits) -> Result<Bytes> {
    let encoding = Encoding::of(headers)?;
    let packed = match read_whole(&mut body, limits).await {
        Ok(packed) => packed,
        Err(failure) => {
            // A client that is still sending would find its connection reset and never see why.
            if failure.error.kind() == ErrorKind::TooLarge && !headers.contains_key(EXPECT) {
                discard(&mut body, limits).await;
            }
            return Err(failure);
        }
    };
    match encoding {
        None => Ok(packed),
        Some(encoding) => Ok(unpack::unpack(encoding, packed, limits.max_decompressed_bytes).await?),
    }
}

async fn read_whole(body: &mut Body, limits: &Limits) -> Result<Bytes> {
    let max = limits.max_body_bytes;
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        return Err(too_large(max).into());
    }
    let Some(first) = next_part(body, limits).await? else {
        return Ok(Bytes::new());
    };
    // The usual case: the body came in one piece with the head, and is used where it lies.
    if body.is_end_stream() && first.len() <= max {
        return Ok(first);
    }
    // `announced` is at most `max`, but a client that announces much need not send it.
    let mut whole =
        BytesMut::with_capacity((announced as usize).clamp(first.len(), PREALLOCATED_BYTES.max(first.len())));
    let mut part = Some(first);
    while let Some(bytes) = part {
        if whole.len() + bytes.len() > max {
            return Err(too_large(max).into());
        }
        whole.extend_from_slice(&bytes);
        part = next_part(body, limits).await?;
    }
    Ok(whole.freeze())
}

/// At most this much is reserved before any of it has come.
const PREALLOCATED_BYTES: usize = 2 << 20;

fn too_large(max: usize) -> Error {
    Error::too_large(format!(
        "the request body is larger than the {max} bytes that this server takes (max_body_bytes)"
    ))
    .with_code("request_too_large")
}

/// The next bytes, waited for no longer than `body_timeout`; `None` at the end.
async fn next_part(body: &mut Body, limits: &Limits) -> Result<Option<Bytes>> {
    loop {
        let frame = timeout(limits.body_timeout, poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).await;
        match frame {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(_trailers) => {}
            },
            Ok(Some(Err(error))) => {
                return Err(
                    Error::invalid_request("the request body ended too early or is not valid HTTP")
                        .with_source(error)
                        .into(),
                );
            }
            Err(_elapsed) => {
                let waited = limits.body_timeout.as_secs_f64();
                let error = Error::timeout(format!("the request body made no progress for {waited} s"));
                return Err(Failure::with_status(error, StatusCode::REQUEST_TIMEOUT));
            }
        }
    }
}

/// Reads on for a while without keeping anything: as much again as is taken, for two seconds at most.
async fn discard(body: &mut Body, limits: &Limits) {
    let until = Instant::now() + std::time::Duration::from_secs(2);
    let mut left = limits.max_body_bytes;
    let read = async {
        while let Ok(Some(bytes)) = next_part(body, limits).await {
            match left.checked_sub(bytes.len()) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    let _ = tokio::time::timeout_at(until, read).await;
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn chunked(parts: &[&'static [u8]]) -> Body {
        Body::from_stream(stream::iter(
            parts
                .iter()
                .map(|part| Ok::<_, std::io::Error>(*part))
                .collect::<Vec<_>>(),
        ))
    }

    async fn read_with(body: Body, max: usize) -> Result<Bytes> {
        let limits = Limits {
            max_body_bytes: max,
            ..Limits::default()
        };
        read(body, &HeaderMap::new(), &limits).await
    }

    #[tokio::test]
    async fn a_body_in_one_piece_is_not_copied() {
        let sent = Bytes::from(vec![b'x'; 100]);
        let read = read_with(Body::from(sent.clone()), 100).await.unwrap();
        assert_eq!(read.as_ptr(), sent.as_ptr());
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_bound() {
        assert_eq!(read_with(chunked(&[b"ab", b"", b"cd"]), 4).await.unwrap(), "abcd");
        assert_eq!(read_with(chunked(&[]), 4).await.unwrap(), "");
        for body in [chunked(&[b"ab", b"cde"]), chunked(&[b"abcde"]), Body::from("abcde")] {
            let failure = read_with(body, 4).await.unwrap_err();
            assert_eq!(failure.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert!(failure.error.message().contains("4 bytes"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_given_up() {
        let stalled = stream::once(async { Ok::<_, std::io::Error>("{") });
        let body = Body::from_stream(futures::StreamExt::chain(stalled, stream::pending()));
        assert_eq!(
            read_with(body, 4).await.unwrap_err().status(),
            StatusCode::REQUEST_TIMEOUT
        );
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_an_error() {
        let parts = [Ok("{"), Err(std::io::Error::other("reset"))];
        let failure = read_with(Body::from_stream(stream::iter(parts)), 4).await.unwrap_err();
        assert_eq!(failure.status(), StatusCode::BAD_REQUEST);
    }
}
