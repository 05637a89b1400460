//! What a provider does not declare it refuses, and names it: nothing is silently ignored.

use puna_api::{Capability, Error, ErrorKind};
use serde_json::{Value, json};

use super::chat::PIXEL;
use super::outcome::{Verdict, expect_error, expect_named};
use super::subject::{HELLO, Subject, chat_body, completion_body, embeddings_body};
use super::trial::{Need, Trial, trial};
use crate::host::context;

pub(super) fn trials() -> Vec<Trial> {
    const CHAT: Need = Need::Can(Capability::Chat);
    vec![
        trial!("lacking", chat_is_unsupported, Need::Cannot(Capability::Chat)),
        trial!(
            "lacking",
            completion_is_unsupported,
            Need::Cannot(Capability::Completion)
        ),
        trial!(
            "lacking",
            embeddings_are_unsupported,
            Need::Cannot(Capability::Embeddings)
        ),
        trial!(
            "lacking",
            dimensions_is_refused_by_name,
            Need::Can(Capability::Embeddings),
            Need::Cannot(Capability::EmbeddingDimensions)
        ),
        trial!(
            "lacking",
            tools_is_refused_by_name,
            CHAT,
            Need::Cannot(Capability::Tools)
        ),
        trial!(
            "lacking",
            tool_choice_is_refused_by_name,
            CHAT,
            Need::Can(Capability::Tools),
            Need::Cannot(Capability::ForcedToolChoice)
        ),
        trial!(
            "lacking",
            response_format_is_refused_by_name,
            CHAT,
            Need::Cannot(Capability::StructuredOutput)
        ),
        trial!(
            "lacking",
            logprobs_is_refused_by_name,
            CHAT,
            Need::Cannot(Capability::Logprobs)
        ),
        trial!("lacking", seed_is_refused_by_name, CHAT, Need::Cannot(Capability::Seed)),
        trial!(
            "lacking",
            n_is_refused_by_name,
            CHAT,
            Need::Cannot(Capability::MultipleChoices)
        ),
        trial!("lacking", stop_is_refused_by_name, CHAT, Need::Cannot(Capability::Stop)),
        trial!(
            "lacking",
            image_url_is_refused_by_name,
            CHAT,
            Need::Cannot(Capability::ImageInput)
        ),
    ]
}

const REFUSED: &[ErrorKind] = &[ErrorKind::Unsupported, ErrorKind::InvalidRequest];

/// Checks a whole chat with these fields, and a stream of it.
async fn refused(subject: &Subject, fields: Value, field: &str) -> Verdict {
    let mut body = chat_body(HELLO, fields);
    expect_named(
        subject.chat(&body).await,
        REFUSED,
        field,
        &format!("a chat with `{field}`"),
    )?;
    body["stream"] = json!(true);
    let outcome = subject.open_chat_stream(&body).await.map(drop);
    expect_named(outcome, REFUSED, field, &format!("a streamed chat with `{field}`"))
}

fn unsupported<T>(outcome: Result<T, Error>, what: &str) -> Verdict {
    expect_error(outcome, &[ErrorKind::Unsupported], what)?;
    Ok(())
}

async fn chat_is_unsupported(subject: Subject) -> Verdict {
    let body = chat_body(HELLO, json!({}));
    unsupported(subject.chat(&body).await, "a chat")?;
    unsupported(subject.open_chat_stream(&body).await.map(drop), "a streamed chat")
}

async fn completion_is_unsupported(subject: Subject) -> Verdict {
    let body = completion_body(json!(HELLO), json!({}));
    unsupported(subject.complete(&body).await, "a completion")?;
    let request = subject.completion_request(body.to_string());
    unsupported(
        subject
            .inference()
            .completion_stream(&context(), request)
            .await
            .map(drop),
        "a streamed completion",
    )
}

async fn embeddings_are_unsupported(subject: Subject) -> Verdict {
    unsupported(
        subject.embed(&embeddings_body(json!(HELLO), json!({}))).await,
        "an embedding",
    )
}

async fn dimensions_is_refused_by_name(subject: Subject) -> Verdict {
    let outcome = subject
        .embed(&embeddings_body(json!(HELLO), json!({ "dimensions": 4 })))
        .await;
    expect_named(outcome, REFUSED, "dimensions", "embeddings with `dimensions`")
}

fn tool() -> Value {
    let parameters = json!({ "type": "object", "properties": {} });
    json!({ "type": "function", "function": { "name": "get_weather", "parameters": parameters } })
}

async fn tools_is_refused_by_name(subject: Subject) -> Verdict {
    refused(&subject, json!({ "tools": [tool()] }), "tools").await
}

async fn tool_choice_is_refused_by_name(subject: Subject) -> Verdict {
    let named = json!({ "type": "function", "function": { "name": "get_weather" } });
    for choice in [json!("required"), named] {
        refused(
            &subject,
            json!({ "tools": [tool()], "tool_choice": choice }),
            "tool_choice",
        )
        .await?;
    }
    Ok(())
}

async fn response_format_is_refused_by_name(subject: Subject) -> Verdict {
    let schema = json!({ "name": "answer", "schema": { "type": "object" } });
    for format in [
        json!({ "type": "json_object" }),
        json!({ "type": "json_schema", "json_schema": schema }),
    ] {
        refused(&subject, json!({ "response_format": format }), "response_format").await?;
    }
    Ok(())
}

async fn logprobs_is_refused_by_name(subject: Subject) -> Verdict {
    refused(&subject, json!({ "logprobs": true }), "logprobs").await?;
    if subject.stated_capabilities().has(Capability::Completion) {
        let outcome = subject
            .complete(&completion_body(json!(HELLO), json!({ "logprobs": 2 })))
            .await;
        expect_named(outcome, REFUSED, "logprobs", "a completion with `logprobs`")?;
    }
    Ok(())
}

async fn seed_is_refused_by_name(subject: Subject) -> Verdict {
    refused(&subject, json!({ "seed": 7 }), "seed").await
}

async fn n_is_refused_by_name(subject: Subject) -> Verdict {
    refused(&subject, json!({ "n": 2 }), "n").await?;
    // One choice is what there is.
    subject.chat(&chat_body(HELLO, json!({ "n": 1 }))).await?;
    Ok(())
}

async fn stop_is_refused_by_name(subject: Subject) -> Verdict {
    refused(&subject, json!({ "stop": ["llamas"] }), "stop").await
}

async fn image_url_is_refused_by_name(subject: Subject) -> Verdict {
    let messages = json!([{ "role": "user", "content": [
        { "type": "text", "text": "What is on it?" },
        { "type": "image_url", "image_url": { "url": PIXEL } },
    ] }]);
    refused(&subject, json!({ "messages": messages }), "messages[0].content[1]").await
}
