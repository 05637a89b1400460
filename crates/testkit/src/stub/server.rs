//! The HTTP side of a stub upstream.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::answer::{Answer, answer};
use super::body::{End, Progress, StubBody, hang, once};
use super::check::Refusal;
use super::fault::{Fault, Framing};
use super::received::ReceivedRequest;
use super::{State, files, lock};

/// Accepts connections until told to stop; then all of them end.
pub(super) async fn serve(listener: std::net::TcpListener, state: Arc<State>, mut stopped: oneshot::Receiver<()>) {
    // The handle notices a dead server by its requests failing.
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&state)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    // Without it, the end of an answer waits for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, Arc::clone(&state)));
    // A client that goes away in the middle is what the stub is there to see; `Outcome` tells it.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Tells hyper to close the connection without an answer.
#[derive(Debug)]
struct Disconnect;

impl std::fmt::Display for Disconnect {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the stub closes the connection")
    }
}

impl std::error::Error for Disconnect {}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> Result<Response<StubBody>, Disconnect> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let fault = lock(&state.faults).get(&path).cloned();
    let body = match fault {
        Some(Fault::CutUpload(length)) => beginning(body, length).await,
        _ => body.collect().await.map_err(|_| Disconnect)?.to_bytes(),
    };
    let authorized = is_authorized(&head.headers, state.settings.api_key.as_deref());
    let (progress, outcome) = Progress::new();
    lock(&state.requests).push(ReceivedRequest {
        method: head.method.to_string(),
        path: path.clone(),
        query: head.uri.query().map(str::to_owned),
        headers: plain(&head.headers),
        body: body.clone(),
        outcome,
    });
    state.received.send_replace(());
    let framing = *lock(&state.framing);

    let answer = if authorized {
        // What is refused is not done before.
        let is_refused = matches!(
            fault,
            Some(Fault::Answer { status: 400..=499, .. } | Fault::CutUpload(_))
        );
        let about_files = if is_refused {
            None
        } else {
            files::answer(&head, &body, &state).await
        };
        about_files.unwrap_or_else(|| answer(head.method.as_str(), &path, &body, &state.settings))
    } else {
        let refusal = Refusal::wrong_api_key();
        Answer::Refused(refusal.status, refusal.body())
    };
    match fault {
        Some(Fault::Hang) => match hang(progress).await {
            Ok(never) | Err(never) => match never {},
        },
        Some(Fault::Disconnect | Fault::CutUpload(_)) => {
            progress.finish();
            Err(Disconnect)
        }
        Some(Fault::Answer { status, headers, body }) => {
            let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            response(status, headers, body.into(), progress)
        }
        Some(Fault::TruncatedBody) => {
            let body = StubBody::new(once(&b"{\"id\": \"chatcmpl-5b"[..]), End::Disconnect, progress);
            let builder = Response::builder()
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_LENGTH, "4096");
            builder.body(body).map_err(|_| Disconnect)
        }
        fault => match answer {
            Answer::Whole(body) => json_response(200, &body, progress),
            Answer::Refused(status, body) => json_response(status, &body, progress),
            Answer::Bytes { status, headers, body } => {
                let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                response(status, headers, body, progress)
            }
            Answer::Empty => response(200, [], Bytes::new(), progress),
            Answer::Stream(chunks) => event_stream(chunks, fault.as_ref(), framing, progress),
        },
    }
}

/// The first bytes of a request's body, at least so many where there are.
async fn beginning(mut body: Incoming, length: usize) -> Bytes {
    let mut read = Vec::new();
    while read.len() < length {
        match body.frame().await {
            Some(Ok(frame)) => read.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            _ => break,
        }
    }
    read.into()
}

fn is_authorized(headers: &HeaderMap, api_key: Option<&str>) -> bool {
    api_key.is_none_or(|key| {
        headers
            .get(AUTHORIZATION)
            .is_some_and(|sent| sent.as_bytes() == format!("Bearer {key}").as_bytes())
    })
}

fn plain(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut plain = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        plain
            .entry(name.as_str().to_owned())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    plain
}

fn json_response(status: u16, body: &Value, progress: Progress) -> Result<Response<StubBody>, Disconnect> {
    response(
        status,
        [("content-type", "application/json")],
        body.to_string().into(),
        progress,
    )
}

fn response<'a>(
    status: u16,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: Bytes,
    progress: Progress,
) -> Result<Response<StubBody>, Disconnect> {
    let mut builder = Response::builder()
        .status(StatusCode::from_u16(status).map_err(|_| Disconnect)?)
        .header(CONTENT_LENGTH, body.len());
    for (name, value) in headers {
        builder = builder.header(name, value);
    }
    if body.is_empty() {
        progress.finish();
    }
    builder
        .body(StubBody::new(once(body), End::Proper, progress))
        .map_err(|_| Disconnect)
}

/// A stream of events, with what the fault does to it.
fn event_stream(
    chunks: Box<dyn Iterator<Item = Value> + Send>,
    fault: Option<&Fault>,
    framing: Framing,
    progress: Progress,
) -> Result<Response<StubBody>, Disconnect> {
    let events = chunks.map(|chunk| chunk.to_string());
    let done = || std::iter::once("[DONE]".to_owned());
    let (events, end): (Box<dyn Iterator<Item = String> + Send>, _) = match fault {
        Some(Fault::DisconnectAfter(count)) => (Box::new(events.take(*count)), End::Disconnect),
        Some(Fault::StallAfter(count)) => (Box::new(events.take(*count)), End::Stall),
        Some(Fault::EndAfter(count)) => (Box::new(events.take(*count)), End::Proper),
        Some(&Fault::MalformedChunkAfter(count)) => {
            let malformed = events.enumerate().map(move |(at, event)| {
                if at == count {
                    event[..event.len() / 2].to_owned()
                } else {
                    event
                }
            });
            (Box::new(malformed.chain(done())), End::Proper)
        }
        Some(Fault::ErrorAfter(count)) => {
            let error = json!({ "error": {
                "message": Fault::STREAM_ERROR_MESSAGE,
                "type": "server_error",
                "param": null,
                "code": 500,
            } });
            (
                Box::new(events.take(*count).chain([error.to_string()]).chain(done())),
                End::Proper,
            )
        }
        _ => (Box::new(events.chain(done())), End::Proper),
    };
    let writes: Box<dyn Iterator<Item = Bytes> + Send> = match framing {
        Framing::Events => Box::new(events.map(|event| Bytes::from(format!("data: {event}\n\n")))),
        Framing::Bytes => Box::new(
            events
                .flat_map(|event| format!("data: {event}\n\n").into_bytes())
                .map(|byte| Bytes::from(vec![byte])),
        ),
        Framing::Whole => {
            let whole: String = events.map(|event| format!("data: {event}\n\n")).collect();
            Box::new(once(whole))
        }
        Framing::Ornate => Box::new(events.enumerate().map(|(at, event)| {
            Bytes::from(format!(
                ": keep-alive\r\n\r\nid: {at}\r\nevent: message\r\ndata:{event}\r\n\r\n"
            ))
        })),
    };
    Response::builder()
        .header(CONTENT_TYPE, "text/event-stream; charset=utf-8")
        .header("cache-control", "no-cache")
        .body(StubBody::new(writes, end, progress))
        .map_err(|_| Disconnect)
}
