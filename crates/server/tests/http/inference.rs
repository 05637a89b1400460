//! The OpenAI surface: what is answered, and how errors look.

use http::StatusCode;
use insta::{assert_json_snapshot, assert_snapshot};

use crate::client::{Client, chat_body};

#[tokio::test]
async fn a_chat_is_answered_and_its_bytes_reach_the_provider_untouched() {
    let client = Client::new().await;
    let sent = "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"h\\u00e9\"} ],\n \"model\":\"scripted\\/echo\", \"guided_json\":{\"a\": 1e2} }";
    let answer = client.post("/v1/chat/completions", sent).await;
    assert_eq!(answer.content(), sent);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["model"], "scripted/echo");
}

#[tokio::test]
async fn a_registered_alias_is_a_model() {
    let client = Client::new().await;
    let sent = r#"{"model":"alias","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(client.post("/v1/chat/completions", sent).await.json()["model"], "alias");
}

#[tokio::test]
async fn completions_and_embeddings_are_answered() {
    let client = Client::new().await;
    let sent = r#"{"model":"scripted/echo","prompt":["a",[1,2]],"max_tokens":0}"#;
    let answer = client.post("/v1/completions", sent).await;
    assert_eq!(answer.json()["choices"][0]["text"], sent);

    let answer = client
        .post("/v1/embeddings", r#"{"model":"scripted/vectors","input":"hi"}"#)
        .await;
    assert_json_snapshot!(answer.json());
}

#[tokio::test]
async fn models_are_listed_for_both_generations_of_clients() {
    let client = Client::new().await;
    let answer = client.get("/v1/models").await;
    let list = answer.json();
    assert_eq!(list["object"], "list");
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 16);
    assert!(ids.is_sorted());

    let mut alias = client.get("/v1/models/alias").await.json();
    assert!(list["data"].as_array().unwrap().contains(&alias));
    assert!(alias["created"].as_u64().unwrap() > 1_700_000_000);
    alias["created"] = "a time".into();
    assert_json_snapshot!(alias);
}

#[tokio::test]
async fn a_model_is_found_by_an_id_with_slashes() {
    let client = Client::new().await;
    for path in [
        "/v1/models/scripted/org/name%20with%20space",
        "/v1/models/scripted%2Forg%2Fname%20with%20space",
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["provider_resource_id"], "org/name with space");
    }
}

#[tokio::test]
async fn an_unknown_model_is_not_found_with_near_names() {
    let client = Client::new().await;
    let by_path = client.get("/v1/models/scripted/ecko").await;
    let by_body = client.chat("ecko").await;
    for answer in [by_path, by_body] {
        let (status, param, code, message) = answer.error();
        assert_eq!(
            (status, param.as_deref(), code.as_deref()),
            (404, Some("model"), Some("model_not_found"))
        );
        assert!(
            message.contains("`scripted/ecko`") && message.contains("`scripted/echo`"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_model_of_another_kind_is_refused() {
    let client = Client::new().await;
    let (status, param, _, message) = client.chat("vectors").await.error();
    assert_eq!((status, param.as_deref()), (400, Some("model")));
    assert!(message.contains("embedding"), "{message}");
}

/// One snapshot for each kind of failure, as it stands in the answer's body.
#[tokio::test]
async fn errors_have_the_shape_of_openai() {
    let client = Client::new().await;
    let limited = client.chat("limited").await;
    assert_eq!(
        (limited.status.as_u16(), limited.header("retry-after")),
        (429, Some("2"))
    );
    assert_snapshot!(limited.text(), @r#"{"error":{"message":"too many requests","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#);

    let refused = client.chat("refused").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (422, None));
    assert_snapshot!(refused.text(), @r#"{"error":{"message":"no such tool","type":"tool_error","param":"tools[0]","code":"no_tool"}}"#);

    for (model, hidden) in [("broken", "secret"), ("panics", "script")] {
        let failed = client.chat(model).await;
        let (status, param, code, message) = failed.error();
        assert_eq!((status, param, code), (500, None, None));
        assert!(message.contains(failed.header("x-request-id").unwrap()), "{message}");
        assert!(!message.contains(hidden));
        assert_eq!(failed.json()["error"]["type"], "server_error");
    }
    // The server goes on.
    client.chat("echo").await.content();
}

#[tokio::test]
async fn a_mistake_deep_in_a_body_is_named_by_who_looks_there() {
    let client = Client::new().await;
    assert_eq!(client.chat("typed").await.content(), "it is well typed");
    let sent = r#"{"model":"scripted/typed","messages":[{"role":"user","content":"a"},{"role":"user","content":5}]}"#;
    let (status, param, _, message) = client.post("/v1/chat/completions", sent).await.error();
    assert_eq!(status, 400);
    assert!(
        param.as_deref().unwrap().starts_with("messages[1]"),
        "{param:?} {message}"
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told() {
    let client = Client::new().await;
    let unknown = client.get("/v1/nothing").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_snapshot!(unknown.text(), @r#"{"error":{"message":"there is no path `/v1/nothing`","type":"invalid_request_error","param":null,"code":"unknown_url"}}"#);

    let (status, _, _, message) = client.post("/chat/completions", chat_body("echo", "")).await.error();
    assert_eq!(
        (status, &*message),
        (
            404,
            "there is no path `/chat/completions`; did you mean `/v1/chat/completions`?"
        )
    );

    let refused = client.get("/v1/completions").await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.header("allow"), Some("POST"));
    assert_snapshot!(refused.text(), @r#"{"error":{"message":"the path `/v1/completions` does not take the method GET","type":"invalid_request_error","param":null,"code":"method_not_allowed"}}"#);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let client = Client::new().await;
    let answer = client
        .answer(crate::client::request(
            http::Method::HEAD,
            "/v1/health",
            axum::body::Body::empty(),
        ))
        .await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
}
