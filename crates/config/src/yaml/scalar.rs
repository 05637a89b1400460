//! What a scalar means, after YAML 1.2's core schema.

use serde_json::{Number, Value};

/// The value of a plain scalar: null, a boolean, a number, else its text. A number that no machine number holds stays text, and so do
/// infinities, which JSON does not have.
pub(crate) fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    integer(text)
        .or_else(|| float(text))
        .map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// An integer in decimal, octal (`0o17`) or hexadecimal (`0x1f`) form.
fn integer(text: &str) -> Option<Number> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
            return valid
                .then(|| u64::from_str_radix(digits, radix).ok())
                .flatten()
                .map(Number::from);
        }
    }
    decimal(text)
}

/// A decimal integer with an optional sign.
fn decimal(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse::<i64>()
        .map(Number::from)
        .or_else(|_| text.parse::<u64>().map(Number::from))
        .ok()
}

/// A decimal number with a point or an exponent.
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_valid = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    let has_form = mantissa.contains('.') || exponent.is_some();
    if !has_form || whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) || !exponent_is_valid {
        return None;
    }
    Number::from_f64(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("True", json!(true)),
            ("FALSE", json!(false)),
            ("yes", json!("yes")),
            ("off", json!("off")),
            ("8321", json!(8321)),
            ("-5", json!(-5)),
            ("+5", json!(5)),
            ("007", json!(7)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0x", json!("0x")),
            ("0x+1", json!("0x+1")),
            ("18446744073709551615", json!(u64::MAX)),
            ("18446744073709551616", json!("18446744073709551616")),
            ("0.5", json!(0.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("1e999", json!("1e999")),
            (".", json!(".")),
            ("e5", json!("e5")),
            ("1e", json!("1e")),
            (".inf", json!(".inf")),
            ("12:30", json!("12:30")),
            ("1_000", json!("1_000")),
        ] {
            assert_eq!(resolve_plain(text), value, "{text:?}");
        }
    }
}
