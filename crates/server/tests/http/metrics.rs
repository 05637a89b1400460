//! What `/metrics` shows after what was asked.

use axum::body::Body;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use puna_api::Secret;
use puna_server::{ApiKey, Metrics, ServerSettings};

use crate::client::{Client, chat_body, request};

async fn measured() -> Client {
    Client::with(ServerSettings {
        metrics: Some(Metrics::new()),
        ..ServerSettings::default()
    })
    .await
}

impl Client {
    /// The value of a series, written as `/metrics` writes it.
    async fn metric(&self, series: &str) -> Option<f64> {
        let answer = self.get("/metrics").await;
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; version=0.0.4; charset=utf-8")
        );
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        answer.text().lines().find_map(value)
    }

    async fn metrics(&self) -> String {
        self.get("/metrics").await.text().to_owned()
    }
}

/// The labels of one operation of a model of the scripted provider, between those that sort before and after them.
fn labels(before: &str, operation: &str, model: &str, after: &str) -> String {
    let all = [
        before.to_owned(),
        format!("gen_ai_operation_name=\"{operation}\""),
        "gen_ai_provider_name=\"scripted\"".to_owned(),
        format!("gen_ai_request_model=\"scripted/{model}\""),
        after.to_owned(),
    ];
    let all: Vec<_> = all.into_iter().filter(|label| !label.is_empty()).collect();
    format!("{{{}}}", all.join(","))
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    let client = measured().await;
    client.chat("echo").await;
    client.chat("refused").await;
    client.chat("limited").await;
    client.get("/v1/models/scripted/echo").await;
    client.get("/v1/embeddings").await;
    client.get("/no/such/path").await;
    for series in [
        r#"{http_request_method="POST",http_response_status_code="200",http_route="/v1/chat/completions"}"#,
        r#"{http_request_method="POST",http_response_status_code="422",http_route="/v1/chat/completions"}"#,
        r#"{http_request_method="POST",http_response_status_code="429",http_route="/v1/chat/completions"}"#,
        r#"{http_request_method="GET",http_response_status_code="200",http_route="/v1/models/{*model}"}"#,
        r#"{http_request_method="GET",http_response_status_code="405",http_route="/v1/embeddings"}"#,
        r#"{http_request_method="GET",http_response_status_code="404"}"#,
    ] {
        let count = format!("http_server_request_duration_seconds_count{series}");
        assert_eq!(
            client.metric(&count).await,
            Some(1.0),
            "{series}\n{}",
            client.metrics().await
        );
    }
}

#[tokio::test]
async fn an_answer_counts_as_what_it_is_until_it_has_ended() {
    let client = measured().await;
    let active = r#"http_server_active_requests{http_route="/v1/chat/completions"}"#;
    let cancelled = format!(
        "gen_ai_server_request_duration_seconds_count{}",
        labels(r#"error_type="cancelled""#, "chat", "hangs", r#"outcome="cancelled""#)
    );
    let sent = request(
        Method::POST,
        "/v1/chat/completions",
        Body::from(chat_body("hangs", r#","stream":true"#)),
    );
    let mut body = client.send(sent).await.into_body();
    body.frame().await.unwrap().unwrap();
    assert_eq!(client.metric(active).await, Some(1.0));
    assert_eq!(client.metric(&cancelled).await, None);
    drop(body);
    assert_eq!(client.metric(active).await, Some(0.0));
    assert_eq!(client.metric(&cancelled).await, Some(1.0), "{}", client.metrics().await);
}

#[tokio::test]
async fn models_answers_are_measured_by_operation_and_outcome() {
    let client = measured().await;
    client.chat("counted").await;
    client.chat_stream("counted").await;
    client.chat_stream("breaks").await;
    client.chat("panics").await;
    client
        .post("/v1/embeddings", r#"{"model":"scripted/vectors","input":"hi"}"#)
        .await;
    let chat = |more: &str| labels("", "chat", "counted", more);
    for (series, value) in [
        (
            format!(
                "gen_ai_server_request_duration_seconds_count{}",
                chat("outcome=\"complete\"")
            ),
            2.0,
        ),
        (
            format!("gen_ai_client_token_usage_sum{}", chat("gen_ai_token_type=\"input\"")),
            2.0 * 11.0,
        ),
        (
            format!("gen_ai_client_token_usage_sum{}", chat("gen_ai_token_type=\"output\"")),
            2.0 * 5.0,
        ),
        (
            format!("gen_ai_server_time_to_first_token_seconds_count{}", chat("")),
            1.0,
        ),
        (
            format!("gen_ai_server_time_per_output_token_seconds_count{}", chat("")),
            1.0,
        ),
        (
            format!(
                "gen_ai_server_request_duration_seconds_count{}",
                labels(r#"error_type="unavailable""#, "chat", "breaks", r#"outcome="failed""#)
            ),
            1.0,
        ),
        (
            format!(
                "gen_ai_server_request_duration_seconds_count{}",
                labels(r#"error_type="internal""#, "chat", "panics", r#"outcome="failed""#)
            ),
            1.0,
        ),
        (
            format!(
                "gen_ai_client_token_usage_sum{}",
                labels("", "embeddings", "vectors", r#"gen_ai_token_type="input""#)
            ),
            1.0,
        ),
    ] {
        assert_eq!(
            client.metric(&series).await,
            Some(value),
            "{series}\n{}",
            client.metrics().await
        );
    }
}

#[tokio::test]
async fn names_that_clients_make_up_are_no_series() {
    let client = measured().await;
    for i in 0..20 {
        assert_eq!(client.chat(&format!("made-up-{i}")).await.status, StatusCode::NOT_FOUND);
        client.get(&format!("/made/up/{i}")).await;
        client
            .answer(request(
                format!("MADEUP{i}").parse().unwrap(),
                "/v1/models",
                Body::empty(),
            ))
            .await;
    }
    let text = client.metrics().await;
    assert!(!text.to_lowercase().contains("made"), "{text}");
    assert!(
        text.contains(r#"http_request_method="_OTHER",http_response_status_code="405",http_route="/v1/models""#),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_with_keys_asks_for_one_and_one_without_metrics_says_so() {
    let client = Client::with(ServerSettings {
        metrics: Some(Metrics::new()),
        api_keys: vec![ApiKey {
            name: None,
            key: Secret::new("k".to_owned()),
        }],
        ..ServerSettings::default()
    })
    .await;
    assert_eq!(client.get("/metrics").await.status, StatusCode::UNAUTHORIZED);
    let mut scrape = request(Method::GET, "/metrics", Body::empty());
    scrape
        .headers_mut()
        .insert("authorization", "Bearer k".parse().unwrap());
    assert_eq!(client.answer(scrape).await.status, StatusCode::OK);

    let (status, _, code, message) = Client::new().await.get("/metrics").await.error();
    assert_eq!((status, code.as_deref()), (404, Some("metrics_disabled")));
    assert!(message.contains("server.metrics.enabled"), "{message}");
}

#[tokio::test]
async fn the_process_is_measured_too() {
    let client = measured().await;
    assert!(client.metric("process_resident_memory_bytes").await.unwrap() > 1e6);
    assert!(client.metric("process_start_time_seconds").await.unwrap() > 1.7e9);
    assert!(client.metric("process_open_fds").await.unwrap() >= 3.0);
    let build = format!("puna_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(client.metric(&build).await, Some(1.0));
}

#[tokio::test]
async fn what_providers_emit_is_shown_once_metrics_are_installed() {
    let metrics = Metrics::new();
    metrics.install().unwrap();
    assert!(Metrics::new().install().is_err());
    metrics::counter!("puna_engine_generated_tokens_total", "gen_ai_request_model" => "m").increment(3);
    let client = Client::with(ServerSettings {
        metrics: Some(metrics),
        ..ServerSettings::default()
    })
    .await;
    let series = r#"puna_engine_generated_tokens_total{gen_ai_request_model="m"}"#;
    assert_eq!(client.metric(series).await, Some(3.0));
}
