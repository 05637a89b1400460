//! What is wrong in a request is an invalid request that names the field, and leaves the provider serving.

use puna_api::{Capability, Error, ErrorKind};
use serde_json::{Value, json};

use super::outcome::{Verdict, ensure, expect_error, expect_named, text};
use super::subject::{HELLO, REQUESTED_MODEL, Subject, chat_body, completion_body, embeddings_body};
use super::trial::{Need, Trial, trial};
use crate::host::context;

pub(super) fn trials() -> Vec<Trial> {
    const CHAT: Need = Need::Can(Capability::Chat);
    vec![
        trial!("rejections", empty_messages_are_named, CHAT),
        trial!("rejections", absent_messages_are_named, CHAT),
        trial!("rejections", a_wrong_type_is_named, CHAT, Need::Ours),
        trial!("rejections", a_wrong_type_is_named_before_a_stream, CHAT, Need::Ours),
        trial!("rejections", a_value_out_of_range_is_named, CHAT, Need::Ours),
        trial!("rejections", a_wrong_message_is_named, CHAT, Need::Ours),
        trial!("rejections", a_body_that_is_no_json_is_invalid, CHAT),
        trial!("rejections", a_body_that_is_no_object_is_invalid, CHAT),
        trial!("rejections", an_unknown_field_is_refused_by_name, CHAT, Need::Inline),
        trial!(
            "rejections",
            an_unknown_field_of_a_completion_is_refused_by_name,
            Need::Can(Capability::Completion),
            Need::Inline
        ),
        trial!(
            "rejections",
            an_unknown_field_of_embeddings_is_refused_by_name,
            Need::Can(Capability::Embeddings),
            Need::Inline
        ),
        trial!(
            "rejections",
            an_unknown_field_of_a_ranking_is_refused_by_name,
            Need::Rerank,
            Need::Inline
        ),
        trial!(
            "rejections",
            an_unknown_content_part_is_refused_by_name,
            CHAT,
            Need::Inline
        ),
        trial!("rejections", audio_is_given_or_refused_by_name, CHAT, Need::Inline),
        trial!(
            "rejections",
            legacy_functions_are_called_or_refused_by_name,
            CHAT,
            Need::Inline
        ),
        trial!("rejections", it_serves_after_them_all, CHAT, Need::Ours),
    ]
}

const INVALID: &[ErrorKind] = &[ErrorKind::InvalidRequest];

async fn ask(subject: &Subject, fields: Value) -> Result<Value, Error> {
    subject.chat(&chat_body(HELLO, fields)).await
}

async fn empty_messages_are_named(subject: Subject) -> Verdict {
    let outcome = ask(&subject, json!({ "messages": [] })).await;
    expect_named(outcome, INVALID, "messages", "a conversation without messages")?;
    let body = chat_body(HELLO, json!({ "messages": [], "stream": true }));
    expect_named(
        first_of_stream(&subject, &body).await,
        INVALID,
        "messages",
        "a streamed conversation without messages",
    )
}

async fn absent_messages_are_named(subject: Subject) -> Verdict {
    expect_named(
        ask(&subject, json!({ "messages": null })).await,
        INVALID,
        "messages",
        "a body without `messages`",
    )
}

/// Wrong types of fields that every provider reads.
fn wrong_types() -> Vec<(&'static str, Value)> {
    vec![
        ("messages", json!("hello")),
        ("messages", json!([HELLO])),
        ("temperature", json!("hot")),
        ("top_p", json!([1])),
        ("max_tokens", json!("ten")),
        ("max_tokens", json!(1.5)),
        ("n", json!("2")),
        ("stop", json!(5)),
        ("stop", json!(["a", 5])),
        ("seed", json!("7")),
    ]
}

async fn a_wrong_type_is_named(subject: Subject) -> Verdict {
    for (field, value) in wrong_types() {
        let what = format!("`{field}` of {value}");
        expect_named(ask(&subject, json!({ field: value })).await, INVALID, field, &what)?;
    }
    Ok(())
}

async fn a_wrong_type_is_named_before_a_stream(subject: Subject) -> Verdict {
    for (field, value) in wrong_types() {
        let what = format!("a stream with `{field}` of {value}");
        let body = chat_body(HELLO, json!({ "stream": true, field: value }));
        expect_named(subject.open_chat_stream(&body).await.map(drop), INVALID, field, &what)?;
    }
    Ok(())
}

async fn a_value_out_of_range_is_named(subject: Subject) -> Verdict {
    for (field, value) in [
        ("temperature", json!(-0.5)),
        ("temperature", json!(1e9)),
        ("top_p", json!(1.5)),
        ("top_p", json!(-0.1)),
        ("max_tokens", json!(0)),
        ("max_tokens", json!(-1)),
        ("max_completion_tokens", json!(-7)),
    ] {
        let mut fields = json!({ "max_tokens": null });
        fields[field] = value.clone();
        expect_named(
            ask(&subject, fields).await,
            INVALID,
            field,
            &format!("`{field}` of {value}"),
        )?;
    }
    Ok(())
}

async fn a_wrong_message_is_named(subject: Subject) -> Verdict {
    for (place, message) in [
        ("messages[1]", json!({ "content": HELLO })),
        ("messages[1]", json!({ "role": "llama", "content": HELLO })),
        ("messages[1]", json!({ "role": "user" })),
        ("messages[1]", json!({ "role": "user", "content": 5 })),
        ("messages[1]", json!({ "role": "user", "content": [{ "text": HELLO }] })),
    ] {
        let first = json!({ "role": "user", "content": HELLO });
        let outcome = ask(&subject, json!({ "messages": [first, message] })).await;
        expect_named(outcome, INVALID, place, &format!("the message {message}"))?;
    }
    Ok(())
}

const NO_JSON: [&str; 5] = [
    "",
    "{",
    "{\"model\": \"m\", \"messages\": [",
    "not json",
    "{\"model\": \"m\", \"messages\": []} x",
];

async fn a_body_that_is_no_json_is_invalid(subject: Subject) -> Verdict {
    for body in NO_JSON {
        let outcome = subject
            .inference()
            .chat_completion(&context(), subject.chat_request(body.to_owned()))
            .await;
        expect_error(outcome.map(drop), INVALID, &format!("the body {body:?}"))?;
    }
    Ok(())
}

async fn a_body_that_is_no_object_is_invalid(subject: Subject) -> Verdict {
    for body in ["null", "[]", "7", "\"hello\"", "true"] {
        let outcome = subject
            .inference()
            .chat_completion(&context(), subject.chat_request(body.to_owned()))
            .await;
        expect_error(outcome.map(drop), INVALID, &format!("the body {body:?}"))?;
    }
    Ok(())
}

const REFUSED: &[ErrorKind] = &[ErrorKind::Unsupported, ErrorKind::InvalidRequest];

/// A field that no provider can know the meaning of, so none can honour it.
const UNKNOWN: &str = "x_no_such_option_5b0d";

async fn an_unknown_field_is_refused_by_name(subject: Subject) -> Verdict {
    expect_named(
        ask(&subject, json!({ UNKNOWN: 1 })).await,
        REFUSED,
        UNKNOWN,
        "a chat with an unknown field",
    )
}

async fn an_unknown_field_of_a_completion_is_refused_by_name(subject: Subject) -> Verdict {
    let outcome = subject
        .complete(&completion_body(json!(HELLO), json!({ UNKNOWN: 1 })))
        .await;
    expect_named(outcome, REFUSED, UNKNOWN, "a completion with an unknown field")
}

async fn an_unknown_field_of_embeddings_is_refused_by_name(subject: Subject) -> Verdict {
    let outcome = subject
        .embed(&embeddings_body(json!(HELLO), json!({ UNKNOWN: 1 })))
        .await;
    expect_named(outcome, REFUSED, UNKNOWN, "embeddings with an unknown field")
}

async fn an_unknown_field_of_a_ranking_is_refused_by_name(subject: Subject) -> Verdict {
    let body = json!({ "model": REQUESTED_MODEL, "query": HELLO, "items": [HELLO], UNKNOWN: 1 });
    let outcome = subject.rerank(subject.rerank_model(), &body).await;
    expect_named(outcome, REFUSED, UNKNOWN, "a ranking with an unknown field")
}

async fn an_unknown_content_part_is_refused_by_name(subject: Subject) -> Verdict {
    let parts = json!([{ "type": "text", "text": HELLO }, { "type": "x_smell", "x_smell": { "of": "llama" } }]);
    let outcome = ask(&subject, json!({ "messages": [{ "role": "user", "content": parts }] })).await;
    expect_named(
        outcome,
        REFUSED,
        "messages[0].content[1]",
        "a content part of an unknown type",
    )
}

async fn audio_is_given_or_refused_by_name(subject: Subject) -> Verdict {
    let audio = json!({ "voice": "alloy", "format": "wav" });
    let outcome = ask(&subject, json!({ "modalities": ["text", "audio"], "audio": audio })).await;
    match outcome {
        Ok(answer) => {
            let audio = &answer["choices"][0]["message"]["audio"];
            ensure!(audio.is_object(), "no audio in spite of `modalities`: {answer}");
            Ok(())
        }
        refused if is_named(&refused, "audio") => expect_named(refused, REFUSED, "audio", "a request for audio"),
        refused => expect_named(refused, REFUSED, "modalities", "a request for audio"),
    }
}

async fn legacy_functions_are_called_or_refused_by_name(subject: Subject) -> Verdict {
    let functions = json!([{ "name": "look", "parameters": { "type": "object", "properties": {} } }]);
    let outcome = ask(
        &subject,
        json!({ "functions": functions, "function_call": { "name": "look" } }),
    )
    .await;
    match outcome {
        Ok(answer) => {
            let call = &answer["choices"][0]["message"]["function_call"];
            ensure!(call["name"] == "look", "no call in spite of `function_call`: {answer}");
            Ok(())
        }
        refused if is_named(&refused, "functions") => expect_named(refused, REFUSED, "functions", "`functions`"),
        refused => expect_named(refused, REFUSED, "function_call", "`function_call`"),
    }
}

fn is_named<T>(outcome: &Result<T, Error>, field: &str) -> bool {
    outcome.as_ref().is_err_and(|error| error.param() == Some(field))
}

async fn it_serves_after_them_all(subject: Subject) -> Verdict {
    let before = ask(&subject, json!({})).await?;
    for (field, value) in wrong_types() {
        let outcome = ask(&subject, json!({ field: value })).await;
        ensure!(outcome.is_err(), "`{field}` of {value} was answered");
    }
    for body in NO_JSON {
        let outcome = subject
            .inference()
            .chat_completion(&context(), subject.chat_request(body.to_owned()))
            .await;
        ensure!(outcome.is_err(), "the body {body:?} was answered");
    }
    let after = ask(&subject, json!({})).await?;
    ensure!(
        text(&before)? == text(&after)?,
        "the answer afterwards is {after}, it was {before}"
    );
    Ok(())
}

/// What a stream comes to by its first chunk: a provider may find the mistake before the stream or in it.
async fn first_of_stream(subject: &Subject, body: &Value) -> Result<(), Error> {
    use futures::StreamExt;

    match subject.open_chat_stream(body).await?.next().await {
        Some(item) => item.map(drop),
        None => Ok(()),
    }
}
