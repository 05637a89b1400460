//! Words as tokens, and values that fit a schema.

use serde_json::{Map, Value, json};

/// Cuts a text into words, each with the whitespace before it. What follows the last word stays with it, and the pieces joined are the text.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (at, character) in text.char_indices() {
        if character.is_whitespace() && in_word {
            pieces.push(&text[start..at]);
            start = at;
        }
        in_word = !character.is_whitespace();
    }
    if start < text.len() {
        match pieces.last_mut() {
            // Only whitespace is left.
            Some(last) if text[start..].trim().is_empty() => {
                let last_start = start - last.len();
                *last = &text[last_start..];
            }
            _ => pieces.push(&text[start..]),
        }
    }
    pieces
}

/// How many tokens a text has.
pub(super) fn count(text: &str) -> usize {
    pieces(text).len()
}

/// A small value that fits a JSON Schema of the simple kinds: objects, arrays, strings, numbers, booleans, `enum`, `const`, `anyOf`. Its
/// strings are `text`.
pub(super) fn instance_of(schema: &Value, text: &str) -> Value {
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(first) = schema.get(choice).and_then(|schemas| schemas.get(0)) {
            return instance_of(first, text);
        }
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().unwrap_or(&Value::Null),
        kind => kind,
    };
    match kind.as_str() {
        Some("string") => json!(text),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(0)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => {
            let items = schema["minItems"].as_u64().unwrap_or(1);
            (0..items).map(|_| instance_of(&schema["items"], text)).collect()
        }
        _ => match schema["properties"].as_object() {
            Some(properties) => properties
                .iter()
                .map(|(name, schema)| (name.clone(), instance_of(schema, text)))
                .collect::<Map<_, _>>()
                .into(),
            None => json!({}),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_all_whitespace() {
        for (text, expected) in [
            ("", vec![]),
            ("one", vec!["one"]),
            ("one  two\nthree ", vec!["one", "  two", "\nthree "]),
            ("  \n", vec!["  \n"]),
            (" a", vec![" a"]),
        ] {
            assert_eq!(pieces(text), expected);
            assert_eq!(pieces(text).concat(), text);
        }
    }
}
