//! Forms that answers are made to have.

use puna_api::{ErrorKind, FinishReason};
use serde_json::{Value, json};

use crate::local::{Local, body, extend, prompt, said};

#[tokio::test]
async fn a_schema_is_followed_to_its_end() {
    let local = Local::demo().await;
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "age": {"type": "integer", "minimum": 0, "maximum": 30},
            "kind": {"enum": ["llama", "alpaca"]},
        },
        "required": ["name", "age", "kind"],
        "additionalProperties": false,
    });
    for (temperature, seed) in [(0, 0), (1, 1), (2, 2), (2, 3)] {
        let format = json!({"type": "json_schema", "json_schema": {"name": "animal", "schema": schema}});
        let fields = json!({"response_format": format, "temperature": temperature, "seed": seed, "max_tokens": 200});
        let answer = local.chat(&body("An animal, please.", fields)).await.unwrap();
        let value: Value = serde_json::from_str(said(&answer)).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert!(
            value["name"].is_string() && value["age"].is_u64() && value["kind"].is_string(),
            "{value}"
        );
        assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Stop));
    }
    let bad = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 5}}}});
    let error = local.chat(&body("x", bad)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("response_format"))
    );
}

#[tokio::test]
async fn each_way_to_ask_for_a_form_is_followed() {
    let local = Local::demo().await;
    let schema = json!({
        "type": "object", "properties": {"kind": {"enum": ["llama", "alpaca"]}}, "required": ["kind"], "additionalProperties": false,
    });
    let is_animal = |text: &str| text == r#"{"kind":"llama"}"# || text == r#"{"kind":"alpaca"}"#;
    let is_number = |text: &str| text.len() == 4 && text.starts_with('A') && text[1..].parse::<u16>().is_ok();
    let is_word = |text: &str| ["yes", "no \"really\""].contains(&text);
    let is_sum = |text: &str| {
        let terms: Vec<&str> = text.split(" + ").collect();
        terms.len() <= 3 && terms.iter().all(|term| ["one", "two"].contains(term))
    };
    type Check<'a> = &'a dyn Fn(&str) -> bool;
    let grammar = "start: term (\" + \" term){0,2}\nterm: \"one\" | \"two\"\n";
    let gbnf = "root ::= term (\" + \" term){0,2}\nterm ::= \"one\" | [t] \"wo\"\n";
    let cases: [(Value, Check<'_>); 9] = [
        (json!({"guided_json": schema}), &is_animal),
        (json!({"guided_json": schema.to_string()}), &is_animal),
        (json!({"structured_outputs": {"json": schema}}), &is_animal),
        (json!({"guided_regex": "A[0-9]{3}"}), &is_number),
        (json!({"structured_outputs": {"regex": "A[0-9]{3}"}}), &is_number),
        (json!({"guided_choice": ["yes", "no \"really\""]}), &is_word),
        (
            json!({"structured_outputs": {"choice": ["yes", "no \"really\""]}}),
            &is_word,
        ),
        (json!({"guided_grammar": grammar}), &is_sum),
        (json!({"guided_grammar": gbnf}), &is_sum),
    ];
    for (fields, check) in cases {
        for seed in 0..3 {
            let mut fields = fields.clone();
            extend(
                &mut fields,
                json!({"temperature": 1.5, "seed": seed, "max_tokens": 100}),
            );
            let answer = local.chat(&body("Well?", fields.clone())).await.unwrap();
            assert!(check(said(&answer)), "{fields} {:?}", said(&answer));
            assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Stop));
            let answer = local.complete(&prompt("Well?", fields.clone())).await.unwrap();
            assert!(check(&answer.choices[0].text), "{fields} {:?}", answer.choices[0].text);
        }
    }
    let format = json!({"response_format": {"type": "json_object"}, "max_tokens": 60});
    let answer = local.complete(&prompt("Well?", format)).await.unwrap();
    assert!(answer.choices[0].text.starts_with('{'), "{:?}", answer.choices[0].text);
}

#[tokio::test]
async fn a_form_that_cannot_be_is_named() {
    let local = Local::demo().await;
    for (field, value) in [
        ("guided_regex", json!("a(")),
        ("guided_grammar", json!("start: nothing")),
        ("guided_json", json!({"type": "colour"})),
        ("guided_choice", json!("yes")),
    ] {
        let error = local.chat(&body("Well?", json!({field: value}))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some(field)),
            "{}",
            error.message()
        );
    }
}

/// An answer that is cut off in the midst of its form says so.
#[tokio::test]
async fn a_form_that_is_cut_off_ends_for_its_length() {
    let local = Local::demo().await;
    let fields = json!({"guided_regex": "[a-z]{200}", "max_tokens": 5});
    let answer = local.chat(&body("Well?", fields)).await.unwrap();
    assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Length));
    assert_eq!(answer.usage.unwrap().completion_tokens, 5);
}
