use puna_api::Capability as C;
use serde_json::{Value, json};

use super::*;

fn rules(quirks: &[Quirk]) -> Rules {
    Rules::new(Capabilities::all(), quirks)
}

fn prepare(rules: &Rules, task: Task, body: &str, stream: bool) -> Result<String> {
    let prepared = rules.prepare(task, &Bytes::copy_from_slice(body.as_bytes()), "up/m", stream)?;
    Ok(String::from_utf8(prepared.body.concat()).unwrap())
}

#[test]
fn only_the_model_changes_where_nothing_else_must() {
    for (body, stream, expected) in [
        (
            r#"{"messages" : [ ],"model":"a/b" , "x":1.50}"#,
            false,
            r#"{"messages" : [ ],"model":"up/m" , "x":1.50}"#,
        ),
        (
            r#"{"model":"a","stream": true}"#,
            true,
            r#"{"model":"up/m","stream": true}"#,
        ),
        (
            r#"{"model":"a","stream":false}"#,
            true,
            r#"{"model":"up/m","stream":true}"#,
        ),
        (
            r#"{"model":"a","stream":true}"#,
            false,
            r#"{"model":"up/m","stream":false}"#,
        ),
        (r#"{"model":"a"}"#, true, r#"{"stream":true,"model":"up/m"}"#),
        (r#"{}"#, false, r#"{"model":"up/m"}"#),
        (r#"{"mod\u0065l":"a"}"#, false, r#"{"mod\u0065l":"up/m"}"#),
    ] {
        assert_eq!(prepare(&rules(&[]), Task::Chat, body, stream).unwrap(), expected);
    }
    assert_eq!(
        prepare(&rules(&[]), Task::Embeddings, r#"{"model":"a","stream":1}"#, false).unwrap(),
        r#"{"model":"up/m","stream":1}"#
    );
}

#[test]
fn a_member_that_is_given_twice_cannot_deceive() {
    for body in [
        r#"{"model":"a","model":"secret"}"#,
        r#"{"model":"a","messages":[],"m\u006fdel":"secret"}"#,
    ] {
        let error = prepare(&rules(&[]), Task::Chat, body, false).unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some("model"))
        );
    }
    let error = prepare(&rules(&[]), Task::Chat, r#"{"model":"a""#, false).unwrap_err();
    assert_eq!(
        error.message(),
        "the body is not a JSON object: expected `,` or `}` at byte 12"
    );
}

#[test]
fn usage_is_wanted_only_when_asked_for() {
    for (options, expected) in [
        ("", false),
        (r#","stream_options":null"#, false),
        (r#","stream_options":{}"#, false),
        (r#","stream_options":{"include_usage":false}"#, false),
        (r#","stream_options":{"other":1,"include_usage":true}"#, true),
    ] {
        let body = format!(r#"{{"model":"a"{options}}}"#);
        let prepared = rules(&[]).prepare(Task::Chat, &body.into(), "m", true).unwrap();
        assert_eq!(prepared.include_usage, expected, "{options}");
    }
}

#[test]
fn a_default_limit_is_set_where_none_is() {
    let rules = rules(&[Quirk::DefaultMaxTokens(7)]);
    for (body, expected) in [
        (r#"{"model":"a"}"#, r#"{"max_tokens":7,"model":"up/m"}"#),
        (
            r#"{"model":"a","max_tokens":null}"#,
            r#"{"model":"up/m","max_tokens":7}"#,
        ),
        (r#"{"model":"a","max_tokens":3}"#, r#"{"model":"up/m","max_tokens":3}"#),
        (
            r#"{"model":"a","max_completion_tokens":3}"#,
            r#"{"model":"up/m","max_completion_tokens":3}"#,
        ),
    ] {
        assert_eq!(prepare(&rules, Task::Chat, body, false).unwrap(), expected);
    }
    assert_eq!(
        prepare(&rules, Task::Completion, r#"{"model":"a"}"#, false).unwrap(),
        r#"{"model":"up/m"}"#
    );
}

#[test]
fn a_limit_is_put_where_the_upstream_looks_for_it() {
    let rules = rules(&[Quirk::MaxTokensOnly]);
    for (body, expected) in [
        (r#"{"model":"a"}"#, r#"{"model":"up/m"}"#),
        (
            r#"{"model":"a","max_completion_tokens":3}"#,
            r#"{"max_tokens":3,"model":"up/m","max_completion_tokens":3}"#,
        ),
        (
            r#"{"model":"a","max_completion_tokens":3,"max_tokens":2}"#,
            r#"{"model":"up/m","max_completion_tokens":3,"max_tokens":2}"#,
        ),
    ] {
        assert_eq!(prepare(&rules, Task::Chat, body, false).unwrap(), expected);
    }
    let error = prepare(&rules, Task::Chat, r#"{"model":"a","max_completion_tokens":-7}"#, false).unwrap_err();
    assert_eq!(
        error.message(),
        "`max_completion_tokens` is -7; a whole number of 1 or more is right"
    );
}

#[test]
fn no_tools_are_shown_to_who_would_not_leave_them_alone() {
    let rules = rules(&[Quirk::ToolChoiceIgnored]);
    let body = r#"{"model":"a","tools":[{}],"tool_choice":"none"}"#;
    assert_eq!(
        prepare(&rules, Task::Chat, body, false).unwrap(),
        r#"{"model":"up/m","tools":null,"tool_choice":null}"#
    );
    let body = r#"{"model":"a","tools":[{}],"tool_choice":"auto"}"#;
    assert_eq!(
        prepare(&rules, Task::Chat, body, false).unwrap(),
        body.replace("\"a\"", "\"up/m\"")
    );
}

#[test]
fn what_the_upstream_cannot_do_is_refused_by_name() {
    let none = Rules::new(
        Capabilities::of(&[C::Chat, C::Completion, C::Embeddings]),
        &[Quirk::Ignores {
            member: "logit_bias",
            harmless: &["{}"],
        }],
    );
    let image = json!([{"role": "user", "content": "x"}, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]);
    for (task, member, value, refused) in [
        (Task::Chat, "n", json!(2), "n"),
        (Task::Chat, "seed", json!(2), "seed"),
        (Task::Chat, "stop", json!("x"), "stop"),
        (Task::Chat, "logprobs", json!(true), "logprobs"),
        (Task::Chat, "top_logprobs", json!(2), "top_logprobs"),
        (Task::Completion, "logprobs", json!(0), "logprobs"),
        (Task::Chat, "tools", json!([{}]), "tools"),
        (Task::Chat, "tool_choice", json!("required"), "tool_choice"),
        (Task::Chat, "tool_choice", json!({"type": "function"}), "tool_choice"),
        (
            Task::Chat,
            "response_format",
            json!({"type": "json_object"}),
            "response_format",
        ),
        (Task::Chat, "messages", image, "messages[1].content[0]"),
        (Task::Chat, "logit_bias", json!({"5": 1}), "logit_bias"),
        (Task::Embeddings, "dimensions", json!(2), "dimensions"),
    ] {
        let body = json!({"model": "a", member: value}).to_string();
        let error = prepare(&none, task, &body, false).unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::Unsupported, Some(refused)),
            "{body}"
        );
        assert!(prepare(&rules(&[]), task, &body, false).is_ok());
    }
    for (member, value) in [
        ("n", json!(1)),
        ("n", Value::Null),
        ("logprobs", json!(false)),
        ("tools", json!([])),
        ("tool_choice", json!("auto")),
        ("response_format", json!({"type": "text"})),
        ("logit_bias", json!({})),
        ("logit_bias", Value::Null),
        ("stop", json!([])),
        ("messages", json!([{"role": "user", "content": "\"image_url\""}])),
    ] {
        let body = json!({"model": "a", member: value}).to_string();
        assert!(prepare(&none, Task::Chat, &body, false).is_ok(), "{body}");
    }
    for (task, member, value) in [
        (Task::Chat, "n", json!("2")),
        (Task::Chat, "n", json!(0)),
        (Task::Embeddings, "dimensions", json!(1.5)),
    ] {
        let body = json!({"model": "a", member: value}).to_string();
        let error = prepare(&none, task, &body, false).unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some(member)),
            "{body}"
        );
    }
    let nothing = Rules::new(Capabilities::default(), &[]);
    for task in [Task::Chat, Task::Completion, Task::Embeddings] {
        assert_eq!(
            prepare(&nothing, task, "{}", false).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
}
