//! An upstream that misbehaves gives the caller a clear error of the right kind, and leaves the provider serving.

use std::time::{Duration, Instant};

use puna_api::{Capability, Error, ErrorKind, RequestContext};
use serde_json::{Value, json};

use super::outcome::{Failure, Verdict, ensure, ensure_eq, expect_error, text};
use super::subject::{HELLO, Subject, chat_body, embeddings_body, read};
use super::target::Place;
use super::trial::{Need, Trial, trial};
use crate::host::context;
use crate::stub::{Fault, RefusedPort};

pub(super) fn trials() -> Vec<Trial> {
    const CHAT: Need = Need::Can(Capability::Chat);
    const EMBEDDINGS: Need = Need::Can(Capability::Embeddings);
    vec![
        trial!("faults", a_refused_connection_is_unavailable, CHAT, Need::Stub),
        trial!(
            "faults",
            a_refused_connection_is_no_empty_list,
            Need::Models,
            Need::Stub
        ),
        trial!("faults", a_refused_connection_is_ill_health, Need::Health, Need::Stub),
        trial!("faults", a_passed_deadline_is_a_timeout, CHAT, Need::Stub),
        trial!("faults", a_closed_connection_is_unavailable, CHAT, Need::Stub),
        trial!("faults", a_truncated_answer_is_unavailable, CHAT, Need::Stub),
        trial!("faults", html_is_unavailable, CHAT, Need::Stub),
        trial!("faults", json_of_another_kind_is_unavailable, CHAT, Need::Stub),
        trial!("faults", rate_limits_tell_when_to_try_again, CHAT, Need::Stub),
        trial!("faults", a_rejected_key_is_unauthenticated, CHAT, Need::Stub),
        trial!("faults", a_forbidden_request_is_denied, CHAT, Need::Stub),
        trial!("faults", a_server_error_keeps_its_message, CHAT, Need::Stub),
        trial!("faults", an_overloaded_upstream_is_unavailable, CHAT, Need::Stub),
        trial!("faults", a_rejected_request_keeps_its_message, CHAT, Need::Stub),
        trial!(
            "faults",
            error_bodies_of_other_servers_keep_their_message,
            CHAT,
            Need::Stub
        ),
        trial!("faults", a_stream_that_breaks_off_fails, CHAT, Need::Stub),
        trial!("faults", a_stream_that_ends_early_fails, CHAT, Need::Stub),
        trial!("faults", a_malformed_chunk_fails_the_stream, CHAT, Need::Stub),
        trial!("faults", an_error_in_a_stream_keeps_its_message, CHAT, Need::Stub),
        trial!("faults", embeddings_tell_the_same_faults, EMBEDDINGS, Need::Stub),
        trial!("faults", an_empty_list_of_models_is_no_fault, Need::Models, Need::Stub),
        trial!("faults", no_error_shows_the_key, CHAT, Need::Stub),
        trial!("faults", it_serves_after_them_all, CHAT, Need::Stub),
    ]
}

const CHAT_PATH: &str = "/v1/chat/completions";
const EMBEDDINGS_PATH: &str = "/v1/embeddings";
const UNAVAILABLE: &[ErrorKind] = &[ErrorKind::Unavailable];

fn body() -> Value {
    chat_body(HELLO, json!({}))
}

fn streamed() -> Value {
    chat_body(HELLO, json!({ "stream": true }))
}

/// Checks that a whole chat and a stream both fail with one of these kinds; answers both errors. The stream may fail by its first chunk.
async fn both_fail(subject: &Subject, fault: Fault, kinds: &[ErrorKind], what: &str) -> Result<[Error; 2], Failure> {
    subject.stub()?.fail(CHAT_PATH, fault);
    let whole = expect_error(subject.chat(&body()).await, kinds, &format!("{what}, to a chat"))?;
    let stream = expect_error(
        subject.chat_chunks(&streamed()).await,
        kinds,
        &format!("{what}, to a streamed chat"),
    )?;
    subject.stub()?.heal();
    Ok([whole, stream])
}

/// Both fail, and the client reads this in the message.
async fn both_say(
    subject: &Subject,
    fault: Fault,
    kinds: &[ErrorKind],
    message: &str,
    what: &str,
) -> Result<[Error; 2], Failure> {
    let errors = both_fail(subject, fault, kinds, what).await?;
    for error in &errors {
        ensure!(
            error.message().contains(message),
            "{what} gave {error:?}, without the upstream's message {message:?}"
        );
    }
    Ok(errors)
}

/// The services of a provider whose upstream refuses connections.
async fn unreachable(subject: &Subject) -> Result<(puna_api::Services, RefusedPort), Failure> {
    let port = RefusedPort::take()?;
    let services = subject.rebuild(&port.url()).await?;
    Ok((services, port))
}

async fn a_refused_connection_is_unavailable(subject: Subject) -> Verdict {
    let (services, _port) = unreachable(&subject).await?;
    let inference = services
        .inference
        .ok_or("the provider serves no inference without its upstream")?;
    let whole = inference
        .chat_completion(&context(), subject.chat_request(body().to_string()))
        .await;
    expect_error(whole.map(drop), UNAVAILABLE, "a chat with a refused connection")?;
    let stream = inference
        .chat_completion_stream(&context(), subject.chat_request(streamed().to_string()))
        .await;
    expect_error(
        stream.map(drop),
        UNAVAILABLE,
        "a streamed chat with a refused connection",
    )?;
    Ok(())
}

async fn a_refused_connection_is_no_empty_list(subject: Subject) -> Verdict {
    let (services, _port) = unreachable(&subject).await?;
    let models = services
        .models
        .ok_or("the provider lists no models without its upstream")?;
    expect_error(
        models.list_models(&context()).await,
        UNAVAILABLE,
        "a list of models with a refused connection",
    )?;
    Ok(())
}

async fn a_refused_connection_is_ill_health(subject: Subject) -> Verdict {
    let (services, _port) = unreachable(&subject).await?;
    let health = services
        .health
        .ok_or("the provider tells no health without its upstream")?;
    expect_error(
        health.check().await,
        UNAVAILABLE,
        "a health check with a refused connection",
    )?;
    Ok(())
}

async fn a_passed_deadline_is_a_timeout(subject: Subject) -> Verdict {
    subject.stub()?.fail(CHAT_PATH, Fault::Hang);
    let context = RequestContext::builder("test-request")
        .deadline(Instant::now() + Duration::from_millis(50))
        .build();
    expect_error(
        subject.chat_in(&context, &body()).await,
        &[ErrorKind::Timeout],
        "an upstream that hangs past the deadline",
    )?;
    Ok(())
}

async fn a_closed_connection_is_unavailable(subject: Subject) -> Verdict {
    both_fail(
        &subject,
        Fault::Disconnect,
        UNAVAILABLE,
        "a connection that closes without an answer",
    )
    .await
    .map(drop)
}

async fn a_truncated_answer_is_unavailable(subject: Subject) -> Verdict {
    subject.stub()?.fail(CHAT_PATH, Fault::TruncatedBody);
    expect_error(subject.chat(&body()).await, UNAVAILABLE, "an answer that breaks off")?;
    Ok(())
}

async fn html_is_unavailable(subject: Subject) -> Verdict {
    for status in [200, 502] {
        let what = format!("an HTML page of status {status}");
        for error in both_fail(&subject, Fault::html(status), UNAVAILABLE, &what).await? {
            ensure!(
                !error.message().contains('<'),
                "the client is shown the page: {error:?}"
            );
        }
    }
    Ok(())
}

async fn json_of_another_kind_is_unavailable(subject: Subject) -> Verdict {
    for body in [json!({ "status": "ok" }), json!([]), json!(null)] {
        subject.stub()?.fail(CHAT_PATH, Fault::json(200, &body));
        expect_error(
            subject.chat(&self::body()).await,
            UNAVAILABLE,
            &format!("the answer {body}"),
        )?;
    }
    Ok(())
}

async fn rate_limits_tell_when_to_try_again(subject: Subject) -> Verdict {
    let fault = Fault::error(429, "slow down, llama", "rate_limit_error", Some("rate_limit_exceeded"))
        .with_header("retry-after", "3600");
    for error in both_say(
        &subject,
        fault,
        &[ErrorKind::RateLimited],
        "slow down, llama",
        "status 429",
    )
    .await?
    {
        ensure_eq!(
            error.retry_after(),
            Some(Duration::from_secs(3600)),
            "when to try again"
        );
        ensure_eq!(error.code(), Some("rate_limit_exceeded"), "the upstream's code");
    }
    Ok(())
}

async fn a_rejected_key_is_unauthenticated(subject: Subject) -> Verdict {
    let fault = Fault::error(401, "no such key", "invalid_request_error", Some("invalid_api_key"));
    for error in both_say(
        &subject,
        fault,
        &[ErrorKind::Unauthenticated],
        "no such key",
        "status 401",
    )
    .await?
    {
        ensure_eq!(error.code(), Some("invalid_api_key"), "the upstream's code");
    }
    Ok(())
}

async fn a_forbidden_request_is_denied(subject: Subject) -> Verdict {
    let fault = Fault::error(403, "not from your country", "permission_error", None);
    both_say(
        &subject,
        fault,
        &[ErrorKind::PermissionDenied],
        "not from your country",
        "status 403",
    )
    .await
    .map(drop)
}

async fn a_server_error_keeps_its_message(subject: Subject) -> Verdict {
    let fault = Fault::error(500, "the engine is dead", "server_error", Some("engine_dead"));
    for error in both_say(&subject, fault, UNAVAILABLE, "the engine is dead", "status 500").await? {
        ensure_eq!(error.code(), Some("engine_dead"), "the upstream's code");
        ensure_eq!(error.error_type(), Some("server_error"), "the upstream's error type");
        ensure_eq!(error.upstream_status(), Some(500), "the upstream's status");
    }
    Ok(())
}

async fn an_overloaded_upstream_is_unavailable(subject: Subject) -> Verdict {
    let fault = Fault::error(503, "loading the model", "unavailable_error", None).with_header("retry-after", "3600");
    for error in both_say(&subject, fault, UNAVAILABLE, "loading the model", "status 503").await? {
        ensure_eq!(
            error.retry_after(),
            Some(Duration::from_secs(3600)),
            "when to try again"
        );
    }
    Ok(())
}

async fn a_rejected_request_keeps_its_message(subject: Subject) -> Verdict {
    let error = json!({ "error": {
        "message": "this model has 4096 tokens", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded",
    } });
    let fault = Fault::json(400, &error);
    for error in both_say(
        &subject,
        fault,
        &[ErrorKind::InvalidRequest],
        "this model has 4096 tokens",
        "status 400",
    )
    .await?
    {
        ensure_eq!(error.code(), Some("context_length_exceeded"), "the upstream's code");
        ensure_eq!(error.param(), Some("messages"), "the upstream's parameter");
    }
    Ok(())
}

async fn error_bodies_of_other_servers_keep_their_message(subject: Subject) -> Verdict {
    for body in [
        // vLLM before 0.10, llama.cpp's server, Ollama's own API, and FastAPI.
        json!({ "object": "error", "message": "the llama says no", "type": "BadRequestError", "param": null, "code": 400 }),
        json!({ "error": { "code": 400, "message": "the llama says no", "type": "invalid_request_error" } }),
        json!({ "error": "the llama says no" }),
        json!({ "detail": "the llama says no" }),
        json!({ "detail": [{ "type": "missing", "loc": ["body", "messages"], "msg": "the llama says no" }] }),
    ] {
        let what = format!("the error body {body}");
        both_say(
            &subject,
            Fault::json(400, &body),
            &[ErrorKind::InvalidRequest],
            "the llama says no",
            &what,
        )
        .await?;
    }
    Ok(())
}

/// Reads a stream that must begin well and then fail; answers what came before and the error.
async fn breaks(subject: &Subject, fault: Fault, what: &str) -> Result<(Vec<Value>, Error), Failure> {
    subject.stub()?.fail(CHAT_PATH, fault);
    let (chunks, fault) = read(subject.open_chat_stream(&streamed()).await?).await;
    subject.stub()?.heal();
    let error = expect_error(fault.map_or(Ok(()), Err), UNAVAILABLE, what)?;
    Ok((chunks, error))
}

async fn a_stream_that_breaks_off_fails(subject: Subject) -> Verdict {
    let (chunks, _) = breaks(&subject, Fault::DisconnectAfter(3), "a stream that breaks off").await?;
    ensure_eq!(chunks.len(), 3, "the chunks before the break");
    Ok(())
}

async fn a_stream_that_ends_early_fails(subject: Subject) -> Verdict {
    let what = "a stream that ends without a finish reason and without `[DONE]`";
    let (chunks, _) = breaks(&subject, Fault::EndAfter(3), what).await?;
    ensure_eq!(chunks.len(), 3, "the chunks before the end");
    Ok(())
}

async fn a_malformed_chunk_fails_the_stream(subject: Subject) -> Verdict {
    let (chunks, _) = breaks(&subject, Fault::MalformedChunkAfter(3), "a malformed chunk").await?;
    ensure_eq!(chunks.len(), 3, "the chunks before the malformed one");
    Ok(())
}

async fn an_error_in_a_stream_keeps_its_message(subject: Subject) -> Verdict {
    let (chunks, error) = breaks(&subject, Fault::ErrorAfter(3), "an error in a stream").await?;
    ensure_eq!(chunks.len(), 3, "the chunks before the error");
    let message = Fault::STREAM_ERROR_MESSAGE;
    ensure!(
        error.message().contains(message),
        "the stream failed with {error:?}, without the upstream's message {message:?}"
    );
    Ok(())
}

async fn embeddings_tell_the_same_faults(subject: Subject) -> Verdict {
    for (fault, kind) in [
        (Fault::html(502), ErrorKind::Unavailable),
        (Fault::html(200), ErrorKind::Unavailable),
        (Fault::Disconnect, ErrorKind::Unavailable),
        (Fault::TruncatedBody, ErrorKind::Unavailable),
        (Fault::json(200, &json!({ "status": "ok" })), ErrorKind::Unavailable),
        (
            Fault::error(401, "no such key", "invalid_request_error", None),
            ErrorKind::Unauthenticated,
        ),
        (
            Fault::error(429, "slow down", "rate_limit_error", None),
            ErrorKind::RateLimited,
        ),
        (
            Fault::error(400, "too long", "invalid_request_error", None),
            ErrorKind::InvalidRequest,
        ),
    ] {
        let what = format!("embeddings with {fault:?}");
        subject.stub()?.fail(EMBEDDINGS_PATH, fault);
        expect_error(
            subject.embed(&embeddings_body(json!(HELLO), json!({}))).await,
            &[kind],
            &what,
        )?;
    }
    Ok(())
}

async fn an_empty_list_of_models_is_no_fault(subject: Subject) -> Verdict {
    subject
        .stub()?
        .fail("/v1/models", Fault::json(200, &json!({ "object": "list", "data": [] })));
    let models = subject
        .services
        .models
        .as_ref()
        .ok_or("the provider does not list models")?;
    ensure_eq!(
        models.list_models(&context()).await?,
        [],
        "the list of an upstream without models"
    );
    subject.stub()?.fail("/v1/models", Fault::html(502));
    expect_error(
        models.list_models(&context()).await,
        UNAVAILABLE,
        "a list of models that is an HTML page",
    )?;
    Ok(())
}

async fn no_error_shows_the_key(subject: Subject) -> Verdict {
    let mut errors = Vec::new();
    for fault in [
        Fault::Disconnect,
        Fault::html(502),
        Fault::error(401, "no such key", "invalid_request_error", None),
        Fault::error(500, "the engine is dead", "server_error", None),
    ] {
        let what = format!("a chat with {fault:?}");
        subject.stub()?.fail(CHAT_PATH, fault);
        let kinds = [ErrorKind::Unavailable, ErrorKind::Unauthenticated];
        errors.push(expect_error(subject.chat(&body()).await, &kinds, &what)?);
    }
    for error in errors {
        ensure!(
            !format!("{error} {error:?}").contains(Place::STUB_API_KEY),
            "an error shows the key: {error:?}"
        );
    }
    Ok(())
}

async fn it_serves_after_them_all(subject: Subject) -> Verdict {
    for fault in [
        Fault::Disconnect,
        Fault::TruncatedBody,
        Fault::html(200),
        Fault::error(500, "no", "server_error", None),
    ] {
        subject.stub()?.fail(CHAT_PATH, fault);
        ensure!(subject.chat(&body()).await.is_err(), "a fault was answered");
    }
    for fault in [
        Fault::DisconnectAfter(2),
        Fault::MalformedChunkAfter(2),
        Fault::ErrorAfter(2),
    ] {
        subject.stub()?.fail(CHAT_PATH, fault);
        ensure!(
            subject.chat_chunks(&streamed()).await.is_err(),
            "a fault in a stream was answered"
        );
    }
    subject.stub()?.heal();
    let answer = subject.chat(&body()).await?;
    ensure_eq!(text(&answer)?, HELLO, "the answer afterwards");
    Ok(())
}
