//! Whole chat completions.

use puna_api::{Capability, ErrorKind};
use serde_json::{Value, json};

use super::outcome::{Failure, Verdict, check_usage, choice_text, ensure, ensure_eq, expect_named, list, text};
use super::stream::choices;
use super::subject::{HELLO, REQUESTED_MODEL, Subject, chat_body};
use super::trial::{Need, Trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    const CHAT: Need = Need::Can(Capability::Chat);
    vec![
        trial!("chat", answers_in_the_shape_of_a_chat_completion, CHAT),
        trial!("chat", shows_the_requested_model, CHAT),
        trial!("chat", counts_tokens, CHAT),
        trial!("chat", echoes_the_last_message, CHAT, Need::Echo),
        trial!("chat", repeats_itself_at_temperature_0, CHAT),
        trial!("chat", takes_a_whole_conversation, CHAT),
        trial!("chat", joins_content_parts, CHAT),
        trial!("chat", max_tokens_ends_the_text, CHAT),
        trial!("chat", max_completion_tokens_ends_the_text, CHAT),
        trial!("chat", null_is_as_absent, CHAT),
        trial!("chat", stop_ends_the_text, CHAT, Need::Can(Capability::Stop)),
        trial!(
            "chat",
            the_first_of_several_stops_ends_the_text,
            CHAT,
            Need::Can(Capability::Stop)
        ),
        trial!(
            "chat",
            n_gives_that_many_choices,
            CHAT,
            Need::Can(Capability::MultipleChoices)
        ),
        trial!("chat", n_of_0_is_invalid, CHAT, Need::Ours),
        trial!(
            "chat",
            the_same_seed_gives_the_same_text,
            CHAT,
            Need::Can(Capability::Seed)
        ),
        trial!("chat", logprobs_tell_each_token, CHAT, Need::Can(Capability::Logprobs)),
        trial!("chat", logprobs_are_absent_unless_asked_for, CHAT),
        trial!(
            "chat",
            a_json_object_is_one,
            CHAT,
            Need::Can(Capability::StructuredOutput)
        ),
        trial!(
            "chat",
            a_json_schema_is_kept,
            CHAT,
            Need::Can(Capability::StructuredOutput)
        ),
        trial!("chat", an_unknown_response_format_is_named, CHAT, Need::Ours),
        trial!("chat", takes_an_image, CHAT, Need::Can(Capability::ImageInput)),
    ]
}

async fn answers_in_the_shape_of_a_chat_completion(subject: Subject) -> Verdict {
    let answer = subject.chat(&chat_body(HELLO, json!({}))).await?;
    ensure_eq!(answer["object"], "chat.completion", "the answer's `object`");
    ensure!(
        answer["id"].as_str().is_some_and(|id| !id.is_empty()),
        "the answer has no id: {answer}"
    );
    ensure!(
        answer["created"].as_u64().is_some_and(|created| created > 0),
        "the answer has no time: {answer}"
    );
    let choices = list(&answer, "choices")?;
    ensure_eq!(choices.len(), 1, "the number of choices");
    ensure_eq!(choices[0]["index"], 0, "the choice's index");
    ensure_eq!(choices[0]["message"]["role"], "assistant", "the message's role");
    let reason = &choices[0]["finish_reason"];
    ensure!(
        *reason == "stop" || *reason == "length",
        "the finish reason is {reason}; expected `stop` or `length`"
    );
    Ok(())
}

async fn shows_the_requested_model(subject: Subject) -> Verdict {
    let answer = subject.chat(&chat_body(HELLO, json!({}))).await?;
    ensure_eq!(answer["model"], REQUESTED_MODEL, "the answer's model");
    Ok(())
}

async fn counts_tokens(subject: Subject) -> Verdict {
    let answer = subject.chat(&chat_body(HELLO, json!({ "max_tokens": 4 }))).await?;
    check_usage(&answer["usage"])?;
    let usage = &answer["usage"];
    ensure!(
        usage["prompt_tokens"].as_u64() > Some(0),
        "a prompt without tokens: {usage}"
    );
    let written = usage["completion_tokens"].as_u64();
    ensure!(
        written <= Some(4) && written > Some(0),
        "`max_tokens` was 4, the usage is {usage}"
    );
    Ok(())
}

async fn echoes_the_last_message(subject: Subject) -> Verdict {
    for said in [
        HELLO,
        "one",
        " two  words\n",
        "naïve 日本語 🦙 \u{1f469}\u{200d}\u{1f680}",
        "\"quoted\\\" {\"model\":\"x\"}",
    ] {
        let answer = subject.chat(&chat_body(said, json!({}))).await?;
        ensure_eq!(text(&answer)?, said, "the text");
        ensure_eq!(
            answer["choices"][0]["finish_reason"],
            "stop",
            "the finish reason of {said:?}"
        );
    }
    Ok(())
}

async fn repeats_itself_at_temperature_0(subject: Subject) -> Verdict {
    let body = chat_body(HELLO, json!({}));
    let (first, second) = (subject.chat(&body).await?, subject.chat(&body).await?);
    ensure_eq!(text(&second)?, text(&first)?, "the second answer's text");
    Ok(())
}

async fn takes_a_whole_conversation(subject: Subject) -> Verdict {
    let messages = json!([
        { "role": "system", "content": "You are terse." },
        { "role": "user", "name": "ana", "content": "What lives in the puna?" },
        { "role": "assistant", "content": "Llamas." },
        { "role": "user", "content": [{ "type": "text", "text": "And what else?" }] },
    ]);
    let answer = subject.chat(&chat_body("", json!({ "messages": messages }))).await?;
    let said = text(&answer)?;
    if subject.echoes {
        ensure_eq!(said, "And what else?", "the text");
    }
    Ok(())
}

async fn joins_content_parts(subject: Subject) -> Verdict {
    let parts = json!([{ "role": "user", "content": [{ "type": "text", "text": HELLO }] }]);
    let in_parts = subject.chat(&chat_body("", json!({ "messages": parts }))).await?;
    let plain = subject.chat(&chat_body(HELLO, json!({}))).await?;
    ensure_eq!(text(&in_parts)?, text(&plain)?, "the answer to a text in parts");
    Ok(())
}

async fn max_tokens_ends_the_text(subject: Subject) -> Verdict {
    ends_after_two_tokens(&subject, json!({ "max_tokens": 2 })).await
}

async fn max_completion_tokens_ends_the_text(subject: Subject) -> Verdict {
    ends_after_two_tokens(&subject, json!({ "max_tokens": null, "max_completion_tokens": 2 })).await
}

async fn ends_after_two_tokens(subject: &Subject, limit: Value) -> Verdict {
    let answer = subject.chat(&chat_body(HELLO, limit)).await?;
    let whole = subject.chat(&chat_body(HELLO, json!({}))).await?;
    let written = answer["usage"]["completion_tokens"].as_u64();
    ensure!(written <= Some(2), "a limit of 2 tokens gave {written:?}");
    ensure!(
        text(&whole)?.starts_with(text(&answer)?),
        "{answer} is not the beginning of {whole}"
    );
    if whole["usage"]["completion_tokens"].as_u64() > Some(2) {
        ensure_eq!(
            answer["choices"][0]["finish_reason"],
            "length",
            "the finish reason of a text that the limit ends"
        );
    }
    Ok(())
}

async fn null_is_as_absent(subject: Subject) -> Verdict {
    let mut body = chat_body(HELLO, json!({}));
    let plain = subject.chat(&body).await?;
    for field in [
        "stop",
        "n",
        "seed",
        "tools",
        "tool_choice",
        "response_format",
        "logprobs",
        "stream_options",
        "user",
        "top_p",
    ] {
        body[field] = Value::Null;
    }
    let answer = subject.chat(&body).await?;
    ensure_eq!(text(&answer)?, text(&plain)?, "the text with null for every option");
    Ok(())
}

/// A text that the model is going to say again, and a piece of it that is neither its beginning nor a whole word of it.
async fn text_with_a_stop(subject: &Subject) -> Result<(String, String), Failure> {
    let answer = subject.chat(&chat_body(HELLO, json!({}))).await?;
    let said: Vec<char> = text(&answer)?.chars().collect();
    ensure!(said.len() >= 4, "the model says too little to stop it: {answer}");
    let middle = said.len() / 2;
    let stop: String = said[middle..(middle + 3).min(said.len())].iter().collect();
    Ok((said.into_iter().collect(), stop))
}

async fn stop_ends_the_text(subject: Subject) -> Verdict {
    let (said, stop) = text_with_a_stop(&subject).await?;
    let expected = said.split(&stop).next().unwrap_or_default();
    for form in [json!(stop), json!([stop])] {
        let answer = subject.chat(&chat_body(HELLO, json!({ "stop": form }))).await?;
        ensure_eq!(text(&answer)?, expected, "the text up to {stop:?}");
        ensure_eq!(answer["choices"][0]["finish_reason"], "stop", "the finish reason");
    }
    Ok(())
}

async fn the_first_of_several_stops_ends_the_text(subject: Subject) -> Verdict {
    let (said, stop) = text_with_a_stop(&subject).await?;
    let expected = said.split(&stop).next().unwrap_or_default();
    let stops = json!(["\u{1}never said\u{1}", stop, "\u{2}nor this"]);
    let answer = subject.chat(&chat_body(HELLO, json!({ "stop": stops }))).await?;
    ensure_eq!(text(&answer)?, expected, "the text up to {stop:?}");
    Ok(())
}

async fn n_gives_that_many_choices(subject: Subject) -> Verdict {
    let answer = subject.chat(&chat_body(HELLO, json!({ "n": 3 }))).await?;
    let choices = list(&answer, "choices")?;
    let indexes: Vec<_> = choices.iter().map(|choice| choice["index"].clone()).collect();
    ensure_eq!(indexes, [json!(0), json!(1), json!(2)], "the indexes of the choices");
    for choice in choices {
        choice_text(choice)?;
        ensure!(
            choice["finish_reason"].is_string(),
            "a choice without a finish reason: {choice}"
        );
    }
    Ok(())
}

async fn n_of_0_is_invalid(subject: Subject) -> Verdict {
    let outcome = subject.chat(&chat_body(HELLO, json!({ "n": 0 }))).await;
    expect_named(outcome, &[ErrorKind::InvalidRequest], "n", "`n` of 0")
}

async fn the_same_seed_gives_the_same_text(subject: Subject) -> Verdict {
    let body = chat_body(HELLO, json!({ "temperature": 1, "seed": 7 }));
    let (first, second) = (subject.chat(&body).await?, subject.chat(&body).await?);
    ensure_eq!(text(&second)?, text(&first)?, "the text with the same seed");
    Ok(())
}

async fn logprobs_tell_each_token(subject: Subject) -> Verdict {
    let mut body = chat_body(HELLO, json!({ "logprobs": true, "top_logprobs": 2, "max_tokens": 5 }));
    let answer = subject.chat(&body).await?;
    let tokens = list(&answer["choices"][0]["logprobs"], "content")?;
    for token in tokens {
        ensure!(token["token"].is_string(), "a token without text: {token}");
        ensure!(
            token["logprob"].as_f64().is_some_and(|logprob| logprob <= 0.0),
            "a log probability above 0: {token}"
        );
        let top = token["top_logprobs"].as_array().map_or(0, Vec::len);
        ensure!(
            (1..=2).contains(&top),
            "`top_logprobs` was 2, a token has {top}: {token}"
        );
    }
    ensure_eq!(joined_tokens(tokens), text(&answer)?, "the tokens joined");
    body["stream"] = json!(true);
    let chunks = subject.chat_chunks(&body).await?;
    let streamed: Vec<Value> = choices(&chunks)
        .filter_map(|choice| choice["logprobs"]["content"].as_array())
        .flatten()
        .cloned()
        .collect();
    let names = |tokens: &[Value]| tokens.iter().map(|token| token["token"].clone()).collect::<Vec<_>>();
    ensure_eq!(names(&streamed), names(tokens), "the tokens of the stream");
    Ok(())
}

/// The text of tokens, by their bytes where those are told: a token may be but a part of a character.
fn joined_tokens(tokens: &[Value]) -> String {
    let bytes = tokens.iter().flat_map(|token| match token["bytes"].as_array() {
        Some(bytes) => bytes
            .iter()
            .filter_map(|byte| u8::try_from(byte.as_u64()?).ok())
            .collect(),
        None => token["token"].as_str().unwrap_or_default().as_bytes().to_vec(),
    });
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

async fn logprobs_are_absent_unless_asked_for(subject: Subject) -> Verdict {
    let answer = subject.chat(&chat_body(HELLO, json!({ "logprobs": false }))).await?;
    let logprobs = &answer["choices"][0]["logprobs"];
    ensure!(
        logprobs.is_null(),
        "log probabilities that nobody asked for: {logprobs}"
    );
    Ok(())
}

/// The JSON that a choice's text is; none when the token limit cut it.
fn written_json(answer: &Value) -> Result<Option<Value>, Failure> {
    if answer["choices"][0]["finish_reason"] == "length" {
        return Ok(None);
    }
    let said = text(answer)?;
    serde_json::from_str(said)
        .map(Some)
        .map_err(|error| Failure::from(format!("the text is no JSON: {error}: {said:?}")))
}

async fn a_json_object_is_one(subject: Subject) -> Verdict {
    let body = chat_body(
        "Answer with a JSON object.",
        json!({ "response_format": { "type": "json_object" }, "max_tokens": 256 }),
    );
    let answer = subject.chat(&body).await?;
    match written_json(&answer)? {
        Some(value) => ensure!(value.is_object(), "the text is not a JSON object: {value}"),
        None => ensure!(
            text(&answer)?.trim_start().starts_with('{'),
            "the text does not begin a JSON object: {answer}"
        ),
    }
    Ok(())
}

async fn a_json_schema_is_kept(subject: Subject) -> Verdict {
    let schema = json!({
        "type": "object",
        "properties": {
            "answer": { "type": "string", "enum": ["yes", "no"] },
            "count": { "type": "integer" },
            "sure": { "type": "boolean" },
        },
        "required": ["answer", "count", "sure"],
        "additionalProperties": false,
    });
    let format =
        json!({ "type": "json_schema", "json_schema": { "name": "verdict", "schema": schema, "strict": true } });
    let body = chat_body(
        "Is the puna high?",
        json!({ "response_format": format, "max_tokens": 256 }),
    );
    let answer = subject.chat(&body).await?;
    match written_json(&answer)? {
        Some(value) => {
            ensure!(
                value["answer"] == "yes" || value["answer"] == "no",
                "`answer` is not of the enum: {value}"
            );
            ensure!(
                value["count"].is_i64() || value["count"].is_u64(),
                "`count` is not an integer: {value}"
            );
            ensure!(value["sure"].is_boolean(), "`sure` is not a boolean: {value}");
            ensure_eq!(
                value.as_object().map_or(0, serde_json::Map::len),
                3,
                "the number of fields of {value}"
            );
        }
        None => ensure!(
            text(&answer)?.trim_start().starts_with('{'),
            "the text does not begin a JSON object: {answer}"
        ),
    }
    Ok(())
}

async fn an_unknown_response_format_is_named(subject: Subject) -> Verdict {
    let outcome = subject
        .chat(&chat_body(HELLO, json!({ "response_format": { "type": "xml" } })))
        .await;
    expect_named(
        outcome,
        &[ErrorKind::InvalidRequest, ErrorKind::Unsupported],
        "response_format",
        "the response format `xml`",
    )
}

/// A PNG of one pixel.
pub(super) const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

async fn takes_an_image(subject: Subject) -> Verdict {
    let messages = json!([{ "role": "user", "content": [
        { "type": "text", "text": "What is on it?" },
        { "type": "image_url", "image_url": { "url": PIXEL } },
    ] }]);
    let answer = subject
        .chat_about_images(&chat_body("", json!({ "messages": messages })))
        .await?;
    text(&answer)?;
    Ok(())
}
