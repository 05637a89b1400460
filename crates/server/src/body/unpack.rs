//! Compressed request bodies.

use std::io::{self, Cursor, Read};

use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;
use http::header::CONTENT_ENCODING;
use puna_api::{Error, Result};

use crate::error::Failure;

/// The encodings that a request body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Zstd,
}

impl Encoding {
    /// The body's encoding; `None` where it is sent as it is.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let Some(value) = headers.get(CONTENT_ENCODING) else {
            return Ok(None);
        };
        let name = value.as_bytes().trim_ascii();
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"gzip") || is(b"x-gzip") {
            return Ok(Some(Self::Gzip));
        }
        if is(b"zstd") {
            return Ok(Some(Self::Zstd));
        }
        if is(b"identity") || name.is_empty() {
            return Ok(None);
        }
        let error = Error::invalid_request(format!(
            "the content encoding `{}` is not supported; send `gzip`, `zstd` or none",
            String::from_utf8_lossy(name).chars().take(50).collect::<String>()
        ))
        .with_code("unsupported_content_encoding");
        Err(Failure::with_status(error, StatusCode::UNSUPPORTED_MEDIA_TYPE))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// This much is unpacked at once on the runtime's own thread; what is more goes elsewhere, so that no other request waits.
const INLINE_BYTES: usize = 64 << 10;

/// A zstd frame may ask for a window of up to 8 MiB, as RFC 8878 recommends for decoders; memory for it is taken before anything is decoded.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

/// Unpacks a whole body. Fails as too large as soon as more than `max` bytes come out.
pub(super) async fn unpack(encoding: Encoding, packed: Bytes, max: usize) -> Result<Bytes> {
    let mut unpacking = Unpacking::start(encoding, packed, max)?;
    if !unpacking.read(INLINE_BYTES)? {
        let rest = tokio::task::spawn_blocking(move || unpacking.read(usize::MAX).map(|_| unpacking)).await;
        unpacking = rest.map_err(|error| Error::internal("unpacking a request body failed").with_source(error))??;
    }
    Ok(unpacking.unpacked.into())
}

struct Unpacking {
    encoding: Encoding,
    reader: Box<dyn Read + Send>,
    unpacked: Vec<u8>,
    max: usize,
}

impl Unpacking {
    fn start(encoding: Encoding, packed: Bytes, max: usize) -> Result<Self> {
        let packed = Cursor::new(packed);
        let reader: Box<dyn Read + Send> = match encoding {
            Encoding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Encoding::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
                    decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
                    Ok(decoder)
                });
                Box::new(decoder.map_err(|error| Error::internal("no zstd decoder can be made").with_source(error))?)
            }
        };
        Ok(Self {
            encoding,
            reader,
            unpacked: Vec::new(),
            max,
        })
    }

    /// Unpacks up to so many bytes more; true when that was all.
    fn read(&mut self, at_most: usize) -> Result<bool> {
        // One byte beyond the bound is enough to know.
        let limit = at_most.min(self.max + 1 - self.unpacked.len());
        let read = (&mut self.reader)
            .take(limit as u64)
            .read_to_end(&mut self.unpacked)
            .map_err(|error| self.malformed(&error))?;
        if self.unpacked.len() > self.max {
            return Err(Error::too_large(format!(
                "the request body unpacks to more than the {} bytes that this server takes (max_decompressed_bytes)",
                self.max
            ))
            .with_code("request_too_large"));
        }
        Ok(read < limit)
    }

    fn malformed(&self, error: &io::Error) -> Error {
        Error::invalid_request(format!(
            "the request body is not valid {}: {error}",
            self.encoding.name()
        ))
        .with_code("invalid_content_encoding")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http::HeaderValue;
    use proptest::prelude::*;
    use puna_api::ErrorKind;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn pack(encoding: Encoding, data: &[u8]) -> Bytes {
        match encoding {
            Encoding::Gzip => gzip(data).into(),
            Encoding::Zstd => zstd::encode_all(data, 1).unwrap().into(),
        }
    }

    const BOTH: [Encoding; 2] = [Encoding::Gzip, Encoding::Zstd];

    #[tokio::test]
    async fn bodies_come_out_as_they_went_in() {
        for encoding in BOTH {
            // Below, at and above what is unpacked on the spot.
            for size in [0, 1, INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, 3 * INLINE_BYTES] {
                let data: Vec<u8> = (0..size).map(|i| (i * i % 251) as u8).collect();
                assert!(
                    unpack(encoding, pack(encoding, &data), size).await.unwrap() == data,
                    "{encoding:?} {size}"
                );
            }
        }
    }

    #[tokio::test]
    async fn two_members_are_one_body() {
        for encoding in BOTH {
            let packed = [pack(encoding, b"ab"), pack(encoding, b"cd")].concat();
            assert_eq!(unpack(encoding, packed.into(), 10).await.unwrap(), "abcd");
        }
    }

    #[tokio::test]
    async fn a_bomb_is_stopped_at_the_bound() {
        for encoding in BOTH {
            let bomb = pack(encoding, &vec![b'x'; 50 << 20]);
            assert!(bomb.len() < 1 << 20);
            for max in [10, 1 << 20] {
                let error = unpack(encoding, bomb.clone(), max).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TooLarge);
                assert!(error.message().contains(&format!("{max} bytes")), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_packed_is_named() {
        for encoding in BOTH {
            let mut cut = pack(encoding, &[b'x'; 1000]).to_vec();
            cut.truncate(cut.len() - 5);
            for packed in [&b"{}"[..], &cut] {
                let error = unpack(encoding, Bytes::copy_from_slice(packed), 10_000)
                    .await
                    .unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{encoding:?} {error}");
                assert!(error.message().contains(encoding.name()), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_huge_zstd_window_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(MAX_ZSTD_WINDOW_LOG + 1).unwrap();
        encoder.write_all(&[b'x'; 100]).unwrap();
        // Flushed, so that the frame is not told how small its content is.
        encoder.flush().unwrap();
        let packed = encoder.finish().unwrap();
        let error = unpack(Encoding::Zstd, packed.into(), 10_000).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    }

    #[test]
    fn encodings_are_known_by_name() {
        for (name, encoding) in [
            ("gzip", Some(Encoding::Gzip)),
            ("ZSTD", Some(Encoding::Zstd)),
            ("identity", None),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(name))]);
            assert_eq!(Encoding::of(&headers).unwrap(), encoding);
        }
        for name in ["br", "gzip, zstd", "deflate"] {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(name))]);
            let failure = Encoding::of(&headers).unwrap_err();
            assert_eq!(failure.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
            assert!(failure.error.message().contains(name));
        }
    }

    proptest! {
        #[test]
        fn takes_any_bytes(packed in prop::collection::vec(any::<u8>(), 0..64), zstd in any::<bool>()) {
            let encoding = if zstd { Encoding::Zstd } else { Encoding::Gzip };
            if let Ok(mut unpacking) = Unpacking::start(encoding, packed.into(), 1000) {
                let _ = unpacking.read(usize::MAX);
            }
        }
    }
}
