//! What a remote provider sends to its upstream, and what it makes of the bytes that come back.

use puna_api::{Capability, Error, ErrorKind};
use serde_json::{Value, json};

use super::outcome::{Failure, Verdict, ensure, ensure_eq};
use super::stream::joined;
use super::subject::{HELLO, REQUESTED_MODEL, Subject, chat_body};
use super::target::Place;
use super::trial::{Need, Trial, trial};
use crate::fixtures;
use crate::host::context;
use crate::stub::{Fault, Framing, ReceivedRequest, StubUpstream};

pub(super) fn trials() -> Vec<Trial> {
    const CHAT: Need = Need::Can(Capability::Chat);
    vec![
        trial!("wire", names_the_upstream_model, CHAT, Need::Stub),
        trial!("wire", unknown_fields_reach_the_upstream, CHAT, Need::Stub),
        trial!("wire", numbers_stay_as_they_were_written, CHAT, Need::Stub),
        trial!("wire", bodies_of_real_clients_reach_the_upstream, CHAT, Need::Stub),
        trial!(
            "wire",
            completions_of_real_clients_reach_the_upstream,
            Need::Can(Capability::Completion),
            Need::Stub
        ),
        trial!(
            "wire",
            embeddings_of_real_clients_reach_the_upstream,
            Need::Can(Capability::Embeddings),
            Need::Stub
        ),
        trial!("wire", unknown_fields_come_back, CHAT, Need::Stub),
        trial!("wire", sends_the_configured_key, CHAT, Need::Stub),
        trial!("wire", sends_json, CHAT, Need::Stub),
        trial!("wire", reads_a_stream_however_it_is_cut, CHAT, Need::Stub),
    ]
}

const CHAT_PATH: &str = "/v1/chat/completions";

fn last_chat(subject: &Subject) -> Result<ReceivedRequest, Failure> {
    last_to(CHAT_PATH, subject)
}

fn last_to(path: &str, subject: &Subject) -> Result<ReceivedRequest, Failure> {
    let last = subject.stub()?.requests_to(path).pop();
    last.ok_or_else(|| format!("the stub received nothing at {path}").into())
}

/// Checks that every field of a chat arrived as it was sent; a provider may add some, and must set the model.
fn check_arrived(sent: &Value, arrived: &Value) -> Verdict {
    check_arrived_for(StubUpstream::CHAT_MODEL, sent, arrived)
}

fn check_arrived_for(model: &str, sent: &Value, arrived: &Value) -> Verdict {
    for (field, value) in sent.as_object().into_iter().flatten() {
        let expected = if field == "model" { &json!(model) } else { value };
        ensure_eq!(
            arrived[field],
            *expected,
            "the field `{field}` that reached the upstream"
        );
    }
    Ok(())
}

async fn names_the_upstream_model(subject: Subject) -> Verdict {
    // The client's id elsewhere in the body is text like any other.
    let said = format!("{{\"model\": \"{REQUESTED_MODEL}\"}} \\\"model\\\":");
    let body = chat_body(&said, json!({ "metadata": { "model": REQUESTED_MODEL } }));
    let nested =
        json!({ "metadata": { "model": REQUESTED_MODEL }, "messages": body["messages"], "model": REQUESTED_MODEL });
    for body in [&body, &nested] {
        subject.chat(body).await?;
        check_arrived(body, &last_chat(&subject)?.json())?;
    }
    Ok(())
}

async fn unknown_fields_reach_the_upstream(subject: Subject) -> Verdict {
    let body = chat_body(
        HELLO,
        json!({ "guided_choice": ["a", "b"], "x_vendor": { "deep": [1, { "null": false }] }, "top_k": 40 }),
    );
    subject.chat(&body).await?;
    check_arrived(&body, &last_chat(&subject)?.json())
}

async fn numbers_stay_as_they_were_written(subject: Subject) -> Verdict {
    let numbers = "1.50, 1e2, 123456789012345678901234567890, -0.0";
    let body = format!(
        r#"{{"model": "{REQUESTED_MODEL}", "messages": [{{"role": "user", "content": "hi"}}], "x_numbers": [{numbers}]}}"#
    );
    subject
        .inference()
        .chat_completion(&context(), subject.chat_request(body))
        .await?;
    let arrived = String::from_utf8_lossy(&last_chat(&subject)?.body).into_owned();
    ensure!(
        arrived.contains(numbers),
        "the numbers {numbers} were written anew: {arrived}"
    );
    Ok(())
}

async fn bodies_of_real_clients_reach_the_upstream(subject: Subject) -> Verdict {
    for (name, body) in fixtures::chat_requests() {
        let sent = of_fixture(name, body)?;
        if sent["stream"] == true {
            subject.chat_chunks(&sent).await
        } else {
            subject.chat(&sent).await.map(|answer| vec![answer])
        }
        .map_err(|error| format!("the body of the fixture {name} was refused: {error:?}"))?;
        check_arrived(&sent, &last_chat(&subject)?.json()).map_err(|failure| format!("{name}: {failure}"))?;
    }
    Ok(())
}

async fn completions_of_real_clients_reach_the_upstream(subject: Subject) -> Verdict {
    for (name, body) in fixtures::completion_requests() {
        let sent = of_fixture(name, body)?;
        let outcome = subject.complete(&sent).await;
        check_arrived_or_refused(&subject, ("/v1/completions", StubUpstream::CHAT_MODEL), &sent, outcome)
            .map_err(|failure| format!("{name}: {failure}"))?;
    }
    Ok(())
}

async fn embeddings_of_real_clients_reach_the_upstream(subject: Subject) -> Verdict {
    for (name, body) in fixtures::embeddings_requests() {
        let sent = of_fixture(name, body)?;
        let outcome = subject.embed(&sent).await;
        check_arrived_or_refused(
            &subject,
            ("/v1/embeddings", StubUpstream::EMBEDDING_MODEL),
            &sent,
            outcome,
        )
        .map_err(|failure| format!("{name}: {failure}"))?;
    }
    Ok(())
}

fn of_fixture(name: &str, body: &str) -> Result<Value, Failure> {
    let mut sent: Value = serde_json::from_str(body).map_err(|error| format!("the fixture {name}: {error}"))?;
    sent["model"] = json!(REQUESTED_MODEL);
    Ok(sent)
}

/// Not every upstream can do all that clients ask for: what is refused by the name of its field need not arrive.
fn check_arrived_or_refused(
    subject: &Subject,
    (path, model): (&str, &str),
    sent: &Value,
    outcome: Result<Value, Error>,
) -> Verdict {
    match outcome {
        Err(error)
            if error.kind() == ErrorKind::Unsupported
                && error.param().is_some_and(|param| sent.get(param).is_some()) =>
        {
            Ok(())
        }
        Err(error) => Err(format!("the body was refused: {error:?}").into()),
        Ok(_) => check_arrived_for(model, sent, &last_to(path, subject)?.json()),
    }
}

async fn unknown_fields_come_back(subject: Subject) -> Verdict {
    let answer = subject.chat(&chat_body(HELLO, json!({}))).await?;
    // The stub sends this field as vLLM does; the OpenAI API does not have it.
    ensure!(
        answer["choices"][0].get("stop_reason").is_some(),
        "the vendor's `stop_reason` is gone: {answer}"
    );
    Ok(())
}

async fn sends_the_configured_key(subject: Subject) -> Verdict {
    subject.chat(&chat_body(HELLO, json!({}))).await?;
    let expected = format!("Bearer {}", Place::STUB_API_KEY);
    ensure_eq!(
        last_chat(&subject)?.header("authorization"),
        Some(expected.as_str()),
        "the header `authorization`"
    );
    Ok(())
}

async fn sends_json(subject: Subject) -> Verdict {
    subject.chat(&chat_body(HELLO, json!({}))).await?;
    let request = last_chat(&subject)?;
    ensure_eq!(request.method, "POST", "the method");
    let kind = request.header("content-type").unwrap_or_default();
    ensure!(kind.starts_with("application/json"), "the content type is {kind:?}");
    Ok(())
}

async fn reads_a_stream_however_it_is_cut(subject: Subject) -> Verdict {
    let said = "naïve 日本語 🦙 text, with: colons\r\nand lines\n\ndata: within";
    let body = chat_body(
        said,
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
    );
    let plain = subject.chat_chunks(&body).await?;
    ensure_eq!(
        joined(&plain).into_values().collect::<Vec<_>>(),
        [said],
        "the chunks joined"
    );
    for framing in [Framing::Bytes, Framing::Whole, Framing::Ornate] {
        subject.stub()?.set_framing(framing);
        let chunks = subject
            .chat_chunks(&body)
            .await
            .map_err(|error| format!("cut as {framing:?}: {error:?}"))?;
        ensure_eq!(chunks, plain, "the chunks of a stream cut as {framing:?}");
    }
    // A stream that ends without `[DONE]` is whole when it had its finish reason.
    subject.stub()?.set_framing(Framing::Events);
    subject.stub()?.fail(CHAT_PATH, Fault::EndAfter(plain.len()));
    ensure_eq!(
        subject.chat_chunks(&body).await?,
        plain,
        "the chunks of a stream without `[DONE]`"
    );
    Ok(())
}
