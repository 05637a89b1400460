//! Downloads.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use puna_api::ByteRange;

use crate::call::{Call, Reply};
use crate::error::{Failure, Result};
use crate::routes::BYTES;

pub(super) async fn download(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("file_id").await?;
    let range = call.headers().get(RANGE).and_then(|value| range(value.as_bytes()));
    let files = call.stack.files()?;
    let found = match files.content(&call.context, &id, range).await {
        Ok(found) => found,
        // HTTP has a status of its own for a range that is not there, and tells how much there is.
        Err(error) if error.code() == Some("range_not_satisfiable") => {
            let size = files.get(&call.context, &id).await?.bytes;
            return Err(Failure::range_not_satisfiable(error, size));
        }
        Err(error) => return Err(error.into()),
    };

    let mut headers = HeaderMap::new();
    // Whoever uploads a file decides what is in it, and must not thereby run something in the browser of who reads it.
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BYTES));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_DISPOSITION, disposition(&found.file.filename));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let length = found.range.end - found.range.start;
    let mut status = StatusCode::OK;
    if range.is_some() {
        status = StatusCode::PARTIAL_CONTENT;
        let (first, last, size) = (found.range.start, found.range.end.saturating_sub(1), found.file.bytes);
        if let Ok(value) = HeaderValue::try_from(format!("bytes {first}-{last}/{size}")) {
            headers.insert(CONTENT_RANGE, value);
        }
    }
    Ok(Reply::Bytes {
        status,
        headers,
        length,
        content: found.content,
    })
}

/// One range of bytes (RFC 9110). Several, and what is no range, are as good as none, which that specification allows.
fn range(value: &[u8]) -> Option<ByteRange> {
    let (first, last) = std::str::from_utf8(value)
        .ok()?
        .strip_prefix("bytes=")?
        .split_once('-')?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a number has mean a byte far behind every end.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", last) => number(last).map(ByteRange::Last),
        (first, "") => number(first).map(ByteRange::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(ByteRange::Between(first, last))
        }
    }
}

/// The name to save the file under (RFC 6266): in ASCII for old clients, and in full.
fn disposition(filename: &str) -> HeaderValue {
    let plain: String = filename
        .chars()
        .map(|c| match c {
            '"' | '\\' | '/' => '_',
            c if c.is_ascii_graphic() || c == ' ' => c,
            _ => '_',
        })
        .collect();
    let mut full = String::with_capacity(filename.len());
    for byte in filename.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            full.push(char::from(byte));
        } else {
            full.push_str(&format!("%{byte:02X}"));
        }
    }
    HeaderValue::try_from(format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}"))
        .unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_read() {
        for (value, expected) in [
            ("bytes=0-499", Some(ByteRange::Between(0, 499))),
            ("bytes=500-", Some(ByteRange::From(500))),
            ("bytes=-5", Some(ByteRange::Last(5))),
            ("bytes=0-99999999999999999999999", Some(ByteRange::Between(0, u64::MAX))),
            ("bytes=5-4", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(range(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let shown = |name: &str| disposition(name).to_str().unwrap().to_owned();
        assert_eq!(
            shown("a b.pdf"),
            "attachment; filename=\"a b.pdf\"; filename*=UTF-8''a%20b.pdf"
        );
        assert_eq!(
            shown("../ä\"; x=\"\r\n"),
            "attachment; filename=\"..___; x=___\"; filename*=UTF-8''..%2F%C3%A4%22%3B%20x%3D%22%0D%0A"
        );
    }
}
