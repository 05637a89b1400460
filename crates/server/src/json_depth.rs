//! How deeply a JSON document nests, without decoding it.

use memchr::memchr2;

/// Whether arrays and objects nest more deeply than `max`. Strings are skipped; what is not JSON is left to the decoder.
pub(crate) fn is_deeper_than(json: &[u8], max: usize) -> bool {
    let mut rest = json;
    let mut depth = 0_usize;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = after_string(after),
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// What follows a string whose opening quote has been read; nothing where it is not closed.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        if rest[at] == b'"' {
            return &rest[at + 1..];
        }
        // The escaped byte is skipped with its backslash; it may be a quote.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            // Brackets, quotes and backslashes in strings are what could confuse the scan.
            r#"[\[\]{}"\\a-c\u{e9}\n]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((r#"[{}\[\]"\\a]{0,4}"#, inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_decoder(value in any_value()) {
            let json = serde_json::to_vec(&value).unwrap();
            let depth = depth(&value);
            prop_assert!(!is_deeper_than(&json, depth));
            prop_assert!(depth == 0 || is_deeper_than(&json, depth - 1));
        }

        #[test]
        fn takes_any_bytes(json in prop::collection::vec(any::<u8>(), 0..64), max in 0_usize..4) {
            is_deeper_than(&json, max);
        }
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert!(!is_deeper_than(br#"{"a":"[[[[\"[[[[","b":[]}"#, 2));
        assert!(is_deeper_than(br#"{"a":"\\","b":[[]]}"#, 2));
        assert!(is_deeper_than(&b"[".repeat(10_000_000), 100));
    }
}
