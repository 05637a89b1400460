use proptest::prelude::*;
use puna_api::ErrorKind;
use serde_json::Value;

use super::*;

const TABLE: &[Field] = &[
    Field::optional("flag", Rule::Flag),
    Field::required("items", Rule::NonEmptyArray),
    Field::required("model", Rule::Text),
    Field::optional("number", Rule::Number(0.0, 2.0)),
    Field::optional("object", Rule::Object),
    Field::optional("seed", Rule::Integer(i64::MIN, i64::MAX)),
    Field::optional("stop", Rule::TextOrTexts),
    Field::optional("tokens", Rule::Integer(1, u32::MAX as i64)),
];

fn parse(body: &[u8]) -> Result<Head<'_>> {
    Head::parse(body, TABLE, 10)
}

#[test]
fn picks_what_it_knows_and_skips_the_rest() {
    let body = br#" {"x":{"model":["[",1e9]},"flag":true,"mod\u0065l":"a\/\"b","items":[ 1 ],"stop":null,"tokens":1} "#;
    let head = parse(body).unwrap();
    assert_eq!(head.text("model"), "a/\"b");
    assert!(head.flag("flag"));
    assert_eq!(head.raw("items"), Some("[ 1 ]"));
    assert_eq!(head.raw("stop"), None);
    assert_eq!(head.raw("object"), None);
}

#[test]
fn a_plain_text_is_borrowed() {
    let head = parse(br#"{"model":"provider/a-model","items":[1]}"#).unwrap();
    assert!(matches!(head.text("model"), Cow::Borrowed("provider/a-model")));
}

/// Each of these fields replaces the good one in an otherwise good body.
#[test]
fn wrong_values_are_named() {
    let cases = [
        ("model", "null", "missing_required_parameter"),
        ("model", "\"\"", "empty_string"),
        ("model", "5", "invalid_type"),
        ("items", "[]", "empty_array"),
        ("items", "[ \n]", "empty_array"),
        ("items", "{}", "invalid_type"),
        ("items", "\"x\"", "invalid_type"),
        ("flag", "\"true\"", "invalid_type"),
        ("flag", "1", "invalid_type"),
        ("tokens", "0", "integer_below_min_value"),
        ("tokens", "-5", "integer_below_min_value"),
        ("tokens", "4294967296", "integer_above_max_value"),
        ("tokens", "123456789012345678901234567890", "integer_above_max_value"),
        ("tokens", "-123456789012345678901234567890", "integer_below_min_value"),
        ("tokens", "1.5", "invalid_type"),
        ("tokens", "1e3", "invalid_type"),
        ("tokens", "\"7\"", "invalid_type"),
        ("seed", "9223372036854775808", "integer_above_max_value"),
        ("seed", "-9223372036854775809", "integer_below_min_value"),
        ("number", "2.1", "decimal_above_max_value"),
        ("number", "-0.1", "decimal_below_min_value"),
        ("number", "1e999", "decimal_above_max_value"),
        ("number", "\"hot\"", "invalid_type"),
        ("object", "[]", "invalid_type"),
        ("stop", "5", "invalid_type"),
        ("stop", "[\"a\",5]", "invalid_type"),
    ];
    for (name, value, code) in cases {
        let good: String = [("model", "\"m\""), ("items", "[1]")]
            .iter()
            .filter(|(field, _)| *field != name)
            .map(|(field, value)| format!("\"{field}\":{value},"))
            .collect();
        let body = format!("{{{good}\"{name}\":{value}}}");
        let error = parse(body.as_bytes()).unwrap_err();
        assert_eq!(
            (error.param(), error.code()),
            (Some(name), Some(code)),
            "{body}: {error}"
        );
        assert!(error.message().starts_with(&format!("`{name}` ")), "{error}");
        assert!(error.message().contains("; send "), "{error}");
        assert!(error.message().len() < 200, "{error}");
    }
}

#[test]
fn good_values_pass() {
    for (name, value) in [
        ("flag", "false"),
        ("flag", "null"),
        ("tokens", "1"),
        ("tokens", "4294967295"),
        ("seed", "-9223372036854775808"),
        ("seed", "9223372036854775807"),
        ("number", "0"),
        ("number", "2"),
        ("number", "0.7e0"),
        ("number", "-0"),
        ("stop", "\"a\""),
        ("stop", "[\"a\",\"\\n\"]"),
        ("object", "{}"),
    ] {
        let body = format!(r#"{{"model":"m","items":[1],"{name}":{value}}}"#);
        parse(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
    }
}

#[test]
fn what_is_not_json_is_told_with_its_place() {
    for (body, message, param) in [
        (&b""[..], "the request body is empty; send a JSON object", None),
        (b" \n", "the request body is empty; send a JSON object", None),
        (b"[1]", "the request body is not a JSON object", None),
        (b"\"x\"", "the request body is not a JSON object", None),
        (b"null", "the request body is not a JSON object", None),
        (
            b"{\"model\":\"\xff\"}",
            "the request body is not valid UTF-8: a wrong byte at offset 10",
            None,
        ),
        (
            br#"{"model":"m","number":NaN}"#,
            "the request body is not valid JSON: expected a value at line 1 column 23, in `number`",
            Some("number"),
        ),
        (
            br#"{"model":"m","items":[1,"#,
            "the request body is not valid JSON: expected a value at line 1 column 25, in `items`",
            Some("items"),
        ),
        (
            br#"{"model":"m","other":tru}"#,
            "the request body is not valid JSON: expected a value at line 1 column 22",
            None,
        ),
        (
            br#"{"model":"m","items":[1]} {}"#,
            "the request body is not valid JSON: expected the end at line 1 column 27",
            None,
        ),
        (
            b"{\"model\":\"a\nb\"}",
            "the request body is not valid JSON: expected no control character in a string, but its escape at line 1 column 12, in `model`",
            Some("model"),
        ),
    ] {
        let error = parse(body).unwrap_err();
        assert_eq!(
            (error.message(), error.param(), error.code()),
            (message, param, Some("invalid_json"))
        );
    }
}

#[test]
fn a_field_that_is_there_twice_is_named() {
    for body in [
        &br#"{"model":"a","model":"b","items":[1]}"#[..],
        br#"{"model":"a","m\u006fdel":"a","items":[1]}"#,
        br#"{"model":null,"model":"a","items":[1]}"#,
    ] {
        let error = parse(body).unwrap_err();
        assert_eq!(error.message(), "`model` is there twice; send it once");
        assert_eq!(
            (error.param(), error.code()),
            (Some("model"), Some("duplicate_parameter"))
        );
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        format!(r#"{{"model":"m","items":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)).replace("[]", "[1]")
    };
    parse(nested(9).as_bytes()).unwrap();
    let error = parse(nested(10).as_bytes()).unwrap_err();
    assert_eq!(error.code(), Some("json_too_deep"));
    assert!(error.message().contains("10"));
}

#[test]
fn tables_are_sorted() {
    for table in [TABLE].iter().chain(crate::surface::TABLES) {
        assert!(table.is_sorted_by(|a, b| a.name < b.name), "{table:?}");
        assert!(table.len() <= MAX_FIELDS);
    }
}

proptest! {
    #[test]
    fn takes_any_bytes(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse(&body);
    }

    /// What it takes is JSON, and what it reads is what the full decoder reads.
    #[test]
    fn agrees_with_the_full_decoder(
        body in r#"\{"(model|items|x)":("(a|\\u0041|\\|/){0,4}"|\[1?\]|tru?e|-?[01]{1,2}(\.[05])?|\{\}|null),"(model|items)":("b"|\[2\]|5)( ?\}|,|x)"#
    ) {
        let decoded = serde_json::from_str::<Value>(&body);
        match parse(body.as_bytes()) {
            Ok(head) => {
                let decoded = decoded.unwrap();
                prop_assert_eq!(Value::from(head.text("model")), decoded["model"].clone());
                prop_assert!(!decoded["items"].as_array().unwrap().is_empty());
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::InvalidRequest);
                // An error about the syntax means that the full decoder finds one too.
                if error.message().contains("not valid JSON") {
                    prop_assert!(decoded.is_err(), "{body}: {error}");
                }
            }
        }
    }
}
