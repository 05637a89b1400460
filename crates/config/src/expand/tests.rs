use proptest::prelude::*;
use serde_json::json;

use super::*;

fn environment() -> Environment {
    [
        ("SET", "x"),
        ("EMPTY", ""),
        ("PORT", "8321"),
        ("KEY", "0123"),
        ("YES", "True"),
        ("RATIO", "1e-3"),
        ("HOME", "/home/jo"),
        ("UNDER_HOME", "~/models"),
        ("lower", "case"),
        ("BRACES", "${env.SET}"),
    ]
    .into_iter()
    .collect()
}

#[test]
fn references_expand_as_the_original_has_it() {
    for (text, expected) in [
        ("plain", None),
        ("$SET ${SET} ${env}", None),
        ("~/kept", None),
        ("${env.SET}", Some("x")),
        ("${env.lower}", Some("case")),
        ("${env.SET:=d}", Some("x")),
        ("${env.UNSET:=d}", Some("d")),
        ("${env.EMPTY:=d}", Some("d")),
        ("${env.EMPTY:=}", Some("")),
        ("${env.UNSET:=http://h:1/v1?a=b}", Some("http://h:1/v1?a=b")),
        ("${env.UNSET:={a:b}", Some("{a:b")),
        ("${env.SET:+v}", Some("v")),
        ("${env.UNSET:+v}", Some("")),
        ("${env.EMPTY:+v}", Some("")),
        ("${env.SET:+}", Some("")),
        ("a${env.SET}b${env.UNSET:=c}d${env.SET:+e}", Some("axbcde")),
        ("${env.UNSET:=~/x}/y", Some("/home/jo/x/y")),
        ("${env.UNDER_HOME}", Some("/home/jo/models")),
        ("${env.UNSET:=~}", Some("/home/jo")),
        ("${env.UNSET:=~other/x}", Some("~other/x")),
        ("${env.BRACES}", Some("${env.SET}")),
    ] {
        assert_eq!(expand(text, &environment()).unwrap().as_deref(), expected, "{text}");
    }
}

#[test]
fn unset_and_malformed_references_are_faults() {
    for (text, messages) in [
        (
            "${env.UNSET}",
            vec!["the environment variable `UNSET` is not set, or empty"],
        ),
        (
            "${env.EMPTY}",
            vec!["the environment variable `EMPTY` is not set, or empty"],
        ),
        (
            "${env.A}${env.SET}${env.B}",
            vec![
                "the environment variable `A` is not set, or empty",
                "the environment variable `B` is not set, or empty",
            ],
        ),
        ("${env.SET", vec!["`${env.SET` has no closing `}`"]),
        ("${env.}", vec!["`${env.}` names no environment variable"]),
        ("${env.:=x}", vec!["`${env.:=x}` names no environment variable"]),
        (
            "${env.A:-b}",
            vec!["`${env.A:-b}` is not a reference to an environment variable"],
        ),
        (
            "${env.A-B}",
            vec!["`${env.A-B}` is not a reference to an environment variable"],
        ),
    ] {
        let faults = expand(text, &environment()).unwrap_err();
        assert_eq!(
            faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>(),
            messages,
            "{text}"
        );
    }
}

#[test]
fn a_home_that_is_not_known_stays_a_tilde() {
    assert_eq!(
        expand("${env.A:=~/x}", &Environment::default()).unwrap().as_deref(),
        Some("~/x")
    );
}

#[test]
fn expanded_texts_are_converted() {
    for (text, value) in [
        ("", json!(null)),
        ("true", json!(true)),
        ("FALSE", json!(false)),
        ("8321", json!(8321)),
        ("-1", json!(-1)),
        ("0123", json!(123)),
        (" 5 ", json!(5)),
        ("1e-3", json!(0.001)),
        ("0.5", json!(0.5)),
        ("0x10", json!("0x10")),
        ("null", json!("null")),
        ("~", json!("~")),
        ("nan", json!("nan")),
        ("yes", json!("yes")),
        (" ", json!(" ")),
        ("99999999999999999999", json!("99999999999999999999")),
    ] {
        assert_eq!(convert(text), value, "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_expands_or_is_refused(text in "(\\$|\\{|\\}|env\\.|:=|:\\+|~|/|[A-Z_]|\\PC){0,40}") {
        let opens = text.contains(OPENING);
        match (pieces(&text), expand(&text, &environment())) {
            (Err(_), Err(_)) => {}
            (Ok(_), Ok(Some(_)) | Err(_)) => prop_assert!(opens),
            (Ok(_), Ok(None)) => prop_assert!(!opens),
            (Err(fault), Ok(_)) => prop_assert!(false, "{}", fault.message),
        }
    }

    #[test]
    fn a_reference_stands_for_its_value_wherever_it_is(before in "[^$]{0,10}", value in "[^}~]{1,10}", after in "[^$]{0,10}") {
        let environment: Environment = [("NAME", value.as_str())].into_iter().collect();
        let expected = format!("{before}{value}{after}");
        for reference in ["${env.NAME}", "${env.NAME:=other}"] {
            prop_assert_eq!(expand(&format!("{before}{reference}{after}"), &environment).unwrap(), Some(expected.clone()));
        }
        let if_set = [before.as_str(), "${env.NAME:+", &value, "}", &after].concat();
        prop_assert_eq!(expand(&if_set, &environment).unwrap(), Some(expected));
    }
}
