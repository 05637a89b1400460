//! The core against upstreams that do what they please.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use puna_api::{
    Capabilities, Error, ErrorKind, InferenceRequest, Json, Model, ModelType, RequestContext, Result, Services,
};
use puna_http::EgressPolicy;
use puna_openai::{OpenAiCompatible, Quirk, Settings};
use puna_testkit::{Fault, Outcome, StubUpstream, context};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CHAT_PATH: &str = "/v1/chat/completions";

fn settings(stub: &StubUpstream) -> Settings {
    Settings {
        base_url: Some(format!("{}/v1", stub.url())),
        ..Settings::new("up", Capabilities::all())
    }
}

fn services(settings: Settings) -> Services {
    OpenAiCompatible::new(settings).unwrap().into_services()
}

fn request<T>(body: impl Into<bytes::Bytes>) -> InferenceRequest<T> {
    InferenceRequest {
        model: Arc::new(Model {
            id: "mine".to_owned(),
            provider_id: "up".to_owned(),
            provider_model_id: StubUpstream::CHAT_MODEL.to_owned(),
            model_type: ModelType::Llm,
            metadata: Map::new(),
        }),
        requested_model: "my \"model\"".into(),
        body: Json::from_bytes(body),
    }
}

fn hello() -> String {
    json!({ "model": "mine", "messages": [{ "role": "user", "content": "one two three" }] }).to_string()
}

/// An answer to a streaming request, as it stands.
fn events(body: &str) -> Fault {
    Fault::Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/event-stream; charset=utf-8".to_owned())],
        body: body.to_owned(),
    }
}

async fn chunks(stub: &StubUpstream, body: &str) -> Result<(Vec<Value>, Option<Error>)> {
    let services = services(settings(stub));
    let mut stream = services
        .inference
        .unwrap()
        .chat_completion_stream(&context(), request(body.to_owned()))
        .await?;
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => chunks.push(serde_json::from_slice(chunk.bytes()?).unwrap()),
            Err(error) => {
                assert!(stream.next().await.is_none(), "the stream goes on after a fault");
                return Ok((chunks, Some(error)));
            }
        }
    }
    assert!(stream.next().await.is_none(), "the stream goes on after its end");
    Ok((chunks, None))
}

#[tokio::test]
async fn bytes_pass_through_but_for_the_model() {
    let stub = StubUpstream::start().unwrap();
    let answer = r#"{ "id":"1",  "model" : "x", "choices":[ {"message":{"content":"é \u00e9"}} ], "new":1.50 }"#;
    stub.fail(
        CHAT_PATH,
        Fault::Answer {
            status: 200,
            headers: vec![],
            body: answer.to_owned(),
        },
    );
    let services = services(settings(&stub));
    let body = r#"{ "messages":[{"role":"user","content":"é \u00e9"}], "model" : "mine", "n":1.0 }"#;
    let got = services
        .inference
        .unwrap()
        .chat_completion(&context(), request(body))
        .await
        .unwrap();
    assert_eq!(got.raw().unwrap(), &answer.replace("\"x\"", r#""my \"model\"""#));
    assert_eq!(stub.requests()[0].body, body.replace("\"mine\"", "\"stub/llm\""));
}

#[tokio::test]
async fn a_typed_body_is_sent_too() {
    let stub = StubUpstream::start().unwrap();
    let services = services(settings(&stub));
    let typed = Json::<puna_api::ChatCompletionRequest>::from_bytes(hello())
        .into_value()
        .unwrap();
    let request = InferenceRequest {
        body: Json::new(typed),
        ..request("")
    };
    let mut stream = services
        .inference
        .unwrap()
        .chat_completion_stream(&context(), request)
        .await
        .unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    assert_eq!(stub.requests()[0].json()["stream"], true);
}

#[tokio::test]
async fn streams_are_read_in_every_form() {
    let stub = StubUpstream::start().unwrap();
    let chunk = |text: &str, reason: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{reason}}}],\"model\":\"x\"}}\n\n"
        )
    };
    let (a, end) = (chunk("a", "null"), chunk("", "\"stop\""));
    let usage = "data: {\"choices\":[],\"usage\":{\"total_tokens\":1}}\n\n";
    let done = "data: [DONE]\n\n";
    for (body, expected) in [
        (format!("{a}{end}{done}"), 2),
        (format!("{a}{end}{done}data: ignored after the end\n\n"), 2),
        (format!("{a}{end}data: [DONE]"), 2),
        (format!(": ping\n\n{a}event: x\n{end}"), 2),
        // Nobody asked for the usage.
        (format!("{a}{end}{usage}{done}"), 2),
        (format!("{a}{done}"), 1),
    ] {
        stub.fail(CHAT_PATH, events(&body));
        let (chunks, error) = chunks(&stub, &hello()).await.unwrap();
        assert!(error.is_none(), "{body:?} gave {error:?}");
        assert_eq!(chunks.len(), expected, "{body:?}");
        assert!(chunks.iter().all(|chunk| chunk["model"] == "my \"model\""));
    }
    stub.fail(CHAT_PATH, events(&format!("{a}{end}{usage}{done}")));
    let mut asking: Value = serde_json::from_str(&hello()).unwrap();
    asking["stream_options"] = json!({ "include_usage": true });
    let (chunks, _) = chunks(&stub, &asking.to_string()).await.unwrap();
    assert_eq!(chunks[2]["usage"]["total_tokens"], 1);
}

#[tokio::test]
async fn streams_that_are_not_whole_fail() {
    let stub = StubUpstream::start().unwrap();
    let a = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    for (body, kind, message) in [
        (
            a.to_owned(),
            ErrorKind::Unavailable,
            "provider `up` ended its stream before the answer was complete",
        ),
        (
            format!("{a}data: {{\"choi"),
            ErrorKind::Unavailable,
            "provider `up` ended its stream before the answer was complete",
        ),
        (
            format!("{a}data: nonsense\n\n"),
            ErrorKind::Unavailable,
            "provider `up` sent a chunk that is not a JSON object: expected an object at byte 0",
        ),
        (
            format!("{a}data: {{\"error\":{{\"message\":\"m\",\"code\":400}}}}\n\n"),
            ErrorKind::InvalidRequest,
            "m",
        ),
        (
            format!("{a}event: error\ndata: {{\"error\":\"m\"}}\n\n"),
            ErrorKind::Unavailable,
            "provider `up` failed: m",
        ),
    ] {
        stub.fail(CHAT_PATH, events(&body));
        let (chunks, error) = chunks(&stub, &hello()).await.unwrap();
        let error = error.unwrap();
        assert_eq!(
            (chunks.len(), error.kind(), error.message()),
            (1, kind, message),
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_stream_fails_before_one() {
    let stub = StubUpstream::start().unwrap();
    for (fault, kind, message) in [
        (
            Fault::html(200),
            ErrorKind::Unavailable,
            "provider `up` answered with HTML instead of a stream of events",
        ),
        (
            Fault::json(200, &json!({ "choices": [] })),
            ErrorKind::Unavailable,
            "provider `up` answered with something else instead of a stream of events",
        ),
        (
            Fault::json(200, &json!({ "error": { "message": "m", "code": 429 } })),
            ErrorKind::RateLimited,
            "m",
        ),
        (
            Fault::json(400, &json!({ "error": { "message": "m" } })),
            ErrorKind::InvalidRequest,
            "m",
        ),
    ] {
        stub.fail(CHAT_PATH, fault);
        let error = chunks(&stub, &hello()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, message));
    }
}

#[tokio::test]
async fn dropping_a_stream_hangs_up() {
    let stub = StubUpstream::start().unwrap();
    stub.fail(CHAT_PATH, Fault::StallAfter(1));
    let services = services(settings(&stub));
    let mut stream = services
        .inference
        .unwrap()
        .chat_completion_stream(&context(), request(hello()))
        .await
        .unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    assert_eq!(stub.requests()[0].outcome().await, Outcome::Abandoned);
}

#[tokio::test]
async fn a_deadline_ends_a_stream() {
    let stub = StubUpstream::start().unwrap();
    stub.fail(CHAT_PATH, Fault::StallAfter(1));
    let services = services(settings(&stub));
    let deadline = std::time::Instant::now() + Duration::from_millis(100);
    let context = RequestContext::builder("r").deadline(deadline).build();
    let mut stream = services
        .inference
        .unwrap()
        .chat_completion_stream(&context, request(hello()))
        .await
        .unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn only_allowed_models_are_listed_and_used() {
    let stub = StubUpstream::start().unwrap();
    let allowed = Some(vec![StubUpstream::EMBEDDING_MODEL.to_owned()]);
    let services = services(Settings {
        allowed_models: allowed,
        ..settings(&stub)
    });
    let listed = services.models.unwrap().list_models(&context()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].provider_model_id.as_str(), listed[0].model_type),
        (StubUpstream::EMBEDDING_MODEL, ModelType::Embedding)
    );
    let error = services
        .inference
        .unwrap()
        .chat_completion(&context(), request(hello()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.code(), error.param()),
        (ErrorKind::NotFound, Some("model_not_found"), Some("model"))
    );
}

#[tokio::test]
async fn images_are_fetched_for_those_who_cannot() {
    let images = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = images.local_addr().unwrap();
    let stub = StubUpstream::start().unwrap();
    let policy = Arc::new(EgressPolicy::allowing([address.to_string().as_str()]).unwrap());
    let services = services(Settings {
        quirks: vec![Quirk::ImagesAsData],
        egress: policy,
        ..settings(&stub)
    });
    let inference = services.inference.unwrap();
    let ask = |url: String| {
        let body = json!({ "model": "mine", "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "what is it?" }, { "type": "image_url", "image_url": { "url": url, "detail": "low" } },
        ] }] });
        let inference = Arc::clone(&inference);
        async move { inference.chat_completion(&context(), request(body.to_string())).await }
    };
    let serve = async |answer: &str| {
        let (mut stream, _) = images.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    };

    let answer = "HTTP/1.1 200 OK\r\ncontent-type: image/png; x=y\r\ncontent-length: 3\r\n\r\nabc";
    let (result, head) = tokio::join!(ask(format!("HTTP://{address}/a.png?size=1")), serve(answer));
    result.unwrap();
    assert!(head.starts_with("GET /a.png?size=1 HTTP/1.1\r\n"), "{head}");
    let sent = stub.requests()[0].json();
    assert_eq!(
        sent["messages"][0]["content"][1]["image_url"],
        json!({ "url": "data:image/png;base64,YWJj", "detail": "low" })
    );

    for (answer, message) in [
        (
            "HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n",
            "its server redirects elsewhere, which is not followed",
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "its server answered with status 404",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n",
            "its server sent something that is not an image",
        ),
        ("SSH-2.0-OpenSSH\r\n", "its server could not be reached"),
    ] {
        let (result, _) = tokio::join!(ask(format!("http://{address}/a.png")), serve(answer));
        let error = result.unwrap_err();
        assert_eq!(error.message(), format!("the image could not be fetched: {message}"));
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some("messages[0].content[1].image_url"))
        );
    }
    let error = ask("http://10.0.0.1/a.png".to_owned()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn settings_are_checked() {
    let stub = StubUpstream::start().unwrap();
    for (settings, param) in [
        (
            Settings {
                base_url: Some("nowhere".to_owned()),
                ..settings(&stub)
            },
            "base_url",
        ),
        (
            Settings {
                api_key: Some(puna_api::Secret::new("a\nb".to_owned())),
                ..settings(&stub)
            },
            "api_key",
        ),
    ] {
        let error = OpenAiCompatible::new(settings).unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::Configuration, Some(param)));
        assert!(!format!("{error:?}").contains("a\\nb"));
    }
}
