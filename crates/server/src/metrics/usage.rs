//! The token counts of an answer, found in its bytes without decoding the rest.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;

/// How much of a document's end is searched: the counts come last in every known server's answers, but for a few small fields.
const END_BYTES: usize = 2 << 10;
/// How much of its beginning is searched where the end holds none.
const START_BYTES: usize = 1 << 10;

/// The counts as OpenAI's API has them; others in the object are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Usage {
    #[serde(rename = "prompt_tokens")]
    pub(super) input: u64,
    /// None for embeddings.
    #[serde(default, rename = "completion_tokens")]
    pub(super) output: Option<u64>,
}

/// The last `"usage": {…}` near an end of a document. Inside a string it would have backslashes before its quotes, so it is a key.
pub(super) fn find(document: &[u8]) -> Option<Usage> {
    let end = document.len().saturating_sub(END_BYTES);
    last(&document[end..], document, end).or_else(|| last(&document[..end.min(START_BYTES)], document, 0))
}

/// The last one whose key is in `window`, which begins at `offset` of the document.
fn last(window: &[u8], document: &[u8], offset: usize) -> Option<Usage> {
    static KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
    KEY.find_iter(window)
        .filter_map(|at| object(&document[offset + at + KEY.needle().len()..]))
        .last()
}

fn object(rest: &[u8]) -> Option<Usage> {
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    if value.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::Deserializer::from_slice(value).into_iter().next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: Option<u64>) -> Option<Usage> {
        Some(Usage { input, output })
    }

    #[test]
    fn counts_are_found_wherever_servers_put_them() {
        let long = format!("\"{}\"", "x".repeat(END_BYTES));
        let counts = r#""usage" : {"completion_tokens_details":{"a":[1]},"prompt_tokens":3, "total_tokens":7,"completion_tokens":4}"#;
        for document in [
            format!("{{{counts}}}"),
            format!("{{\"choices\":[{long}],{counts},\"kv_transfer_params\":null}}"),
            format!("{{\"id\":\"x\",{counts},\"choices\":[{long}]}}"),
        ] {
            assert_eq!(find(document.as_bytes()), usage(3, Some(4)), "{document}");
        }
        let embeddings = br#"{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}"#;
        assert_eq!(find(embeddings), usage(5, None));
    }

    #[test]
    fn what_only_looks_like_counts_is_none() {
        let long = "x".repeat(START_BYTES + END_BYTES);
        for document in [
            String::new(),
            r#"{"usage":null}"#.to_owned(),
            r#"{"usage":{"prompt_tokens":-1}}"#.to_owned(),
            r#"{"usage":{"prompt_tokens":1"#.to_owned(),
            r#"{"content":"{\"usage\":{\"prompt_tokens\":1}}"}"#.to_owned(),
            format!(r#"{{"a":"{long}","usage":{{"prompt_tokens":1}},"b":"{long}"}}"#),
        ] {
            assert_eq!(find(document.as_bytes()), None, "{document}");
        }
        // The one at the top comes after those of parts.
        let document = br#"{"part":{"usage":{"prompt_tokens":1}},"usage":{"prompt_tokens":2}}"#;
        assert_eq!(find(document), usage(2, None));
    }
}
