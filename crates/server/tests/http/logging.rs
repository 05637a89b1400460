//! One line for each request.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::Method;
use http_body_util::BodyExt;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::client::{Client, chat_body, request};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// The lines of the target since the last call.
    fn take(&self) -> Vec<Value> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == "puna::request").collect()
    }
}

fn capture() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(lines.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    (lines, guard)
}

#[tokio::test]
async fn each_request_is_one_line() {
    let client = Client::new().await;
    let (lines, _guard) = capture();
    for (model, stream, status, outcome, level) in [
        ("echo", false, 200, "complete", "INFO"),
        ("echo", true, 200, "complete", "INFO"),
        ("refused", false, 422, "failed", "INFO"),
        ("breaks", true, 200, "failed", "WARN"),
        ("broken", false, 500, "failed", "ERROR"),
        ("panics", true, 200, "failed", "ERROR"),
    ] {
        let answer = if stream {
            client.chat_stream(model).await
        } else {
            client.chat(model).await
        };
        let written = lines.take();
        assert_eq!(written.len(), 1, "{model}: {written:?}");
        let fields = &written[0]["fields"];
        assert_eq!(written[0]["level"], level, "{model}");
        assert_eq!(fields["request_id"], answer.header("x-request-id").unwrap());
        assert_eq!(fields["path"], "/v1/chat/completions");
        assert_eq!(fields["method"], "POST");
        assert_eq!(fields["model"], format!("scripted/{model}"));
        assert_eq!(
            (&fields["status"], &fields["outcome"]),
            (&Value::from(status), &Value::from(outcome)),
            "{model}"
        );
        assert_eq!(fields["stream"], stream);
        assert_eq!(fields["bytes_out"], answer.body.len());
        assert!(fields["bytes_in"].as_u64().unwrap() > 50);
        assert!(fields["duration_us"].is_u64());
    }
}

#[tokio::test]
async fn a_fault_is_explained_in_the_log_alone() {
    let client = Client::new().await;
    let (lines, _guard) = capture();
    client.chat("broken").await;
    let written = lines.take();
    let error = written[0]["fields"]["error"].as_str().unwrap().to_owned();
    assert_eq!(
        error,
        "the table `secret` is gone; while reading; caused by: disk on fire"
    );
    client.chat("panics").await;
    let written = lines.take();
    assert!(
        written[0]["fields"]["error"]
            .as_str()
            .unwrap()
            .contains("the script says so")
    );
}

#[tokio::test]
async fn a_client_that_leaves_is_noted() {
    let client = Client::new().await;
    let (lines, _guard) = capture();
    let sent = || {
        request(
            Method::POST,
            "/v1/chat/completions",
            Body::from(chat_body("hangs", r#","stream":true"#)),
        )
    };
    let mut body = client.send(sent()).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let written = lines.take();
    assert_eq!(
        (&written[0]["fields"]["outcome"], &written[0]["fields"]["status"]),
        (&"client_gone".into(), &200.into())
    );

    let waiting = request(Method::POST, "/v1/chat/completions", Body::from(chat_body("hangs", "")));
    tokio::select! {
        biased;
        _ = client.send(waiting) => unreachable!(),
        () = client.probe.begun.notified() => {}
    }
    let written = lines.take();
    assert_eq!(
        (&written[0]["fields"]["outcome"], &written[0]["fields"]["status"]),
        (&"client_gone".into(), &499.into())
    );
}

#[tokio::test]
async fn what_matches_no_route_is_logged_by_its_path() {
    let client = Client::new().await;
    let (lines, _guard) = capture();
    client.get("/v1/models/scripted/echo?x=1").await;
    client.get("/secret/../path").await;
    let written = lines.take();
    assert_eq!(written[0]["fields"]["path"], "/v1/models/{*model}");
    assert_eq!(written[1]["fields"]["path"], "/secret/../path");
    assert_eq!(written[1]["fields"]["status"], 404);
}
