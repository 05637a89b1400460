//! Makes answers comparable: what differs from run to run is replaced by a placeholder.

use serde_json::Value;

/// Replaces generated ids and times by placeholders, all the way down, so that the rest can be kept as a golden file.
///
/// The fields `id`, `request_id`, `tool_call_id`, `created`, `created_at` and `system_fingerprint` are meant; ids that are not text, and
/// those of `kept`, stay.
pub fn redact(mut value: Value, kept: &[&str]) -> Value {
    redact_in(&mut value, kept);
    value
}

fn redact_in(value: &mut Value, kept: &[&str]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| redact_in(item, kept)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let placeholder = match name.as_str() {
                    "id" | "request_id" | "tool_call_id" if value.is_string() => Some("[id]"),
                    "created" | "created_at" if value.is_number() => Some("[time]"),
                    "system_fingerprint" if value.is_string() => Some("[fingerprint]"),
                    _ => None,
                };
                match placeholder {
                    Some(placeholder) if !value.as_str().is_some_and(|text| kept.contains(&text)) => {
                        *value = placeholder.into();
                    }
                    _ => redact_in(value, kept),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_and_times_go_and_the_rest_stays() {
        let answer = json!({ "id": "chatcmpl-1", "created": 5, "model": "m", "data": [{ "id": "m" }, { "id": 7, "text": "id" }] });
        assert_eq!(
            redact(answer, &["m"]),
            json!({ "id": "[id]", "created": "[time]", "model": "m", "data": [{ "id": "m" }, { "id": 7, "text": "id" }] })
        );
    }
}
