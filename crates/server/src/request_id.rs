//! The id that a request has in the log, in the answer and, where they are asked, upstream.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName};

/// The header that carries the id, both ways.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A longer id than this is not taken over.
const MAX_LENGTH: usize = 128;

/// The client's own id where it is short, visible ASCII; else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    match headers.get(&X_REQUEST_ID).map(http::HeaderValue::as_bytes) {
        Some(id) if is_sane(id) => String::from_utf8_lossy(id).into_owned(),
        _ => new_request_id(),
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// `req_` and 32 hexadecimal digits: a counter under a hash whose key is random and lives as long as the process. No system call.
fn new_request_id() -> String {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNTER: AtomicU64 = AtomicU64::new(0);

    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let (high, low) = (KEY.hash_one((number, 0_u8)), KEY.hash_one((number, 1_u8)));
    let mut id = String::with_capacity(36);
    id.push_str("req_");
    for word in [high, low] {
        for shift in (0..16).rev() {
            let digit = (word >> (shift * 4)) & 0xf;
            id.push(char::from_digit(digit as u32, 16).unwrap_or('0'));
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_sane_id_is_taken_over_and_any_other_replaced() {
        let long = "x".repeat(MAX_LENGTH + 1);
        for (sent, taken) in [
            ("abc-123", true),
            ("", false),
            ("with space", false),
            (&long, false),
            (&long[1..], true),
        ] {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(sent).unwrap())]);
            assert_eq!(request_id(&headers) == sent, taken, "{sent:?}");
        }
        let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_bytes(b"\xffid").unwrap())]);
        assert!(request_id(&headers).starts_with("req_"));
    }

    #[test]
    fn new_ids_differ_and_have_one_shape() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| request_id(&HeaderMap::new())).collect();
        assert_eq!(ids.len(), 1000);
        assert!(
            ids.iter()
                .all(|id| id.len() == 36 && id[4..].bytes().all(|byte| byte.is_ascii_hexdigit()))
        );
    }
}
