//! Llama Stack's own operations, the OpenAPI document and the page.

use http::StatusCode;
use insta::{assert_json_snapshot, assert_snapshot};
use puna_server::{Metrics, ServerSettings};
use serde_json::Value;

use crate::client::Client;

#[tokio::test]
async fn the_server_tells_that_it_is_up_and_which_version() {
    let client = Client::new().await;
    assert_snapshot!(client.get("/v1/health").await.text(), @r#"{"status":"OK"}"#);
    assert_eq!(
        client.get("/v1/version").await.json()["version"],
        env!("CARGO_PKG_VERSION")
    );
}

#[tokio::test]
async fn providers_are_shown_without_secrets() {
    let client = Client::new().await;
    let list = client.get("/v1/providers").await;
    assert!(!list.text().contains("s3cret") && !list.text().contains("10.0.0.7"));
    assert_json_snapshot!(list.json(), @r#"
    {
      "data": [
        {
          "api": "file_processors",
          "provider_id": "reader",
          "provider_type": "inline::reader",
          "config": {},
          "health": {
            "status": "Not Implemented"
          }
        },
        {
          "api": "files",
          "provider_id": "stored",
          "provider_type": "inline::stored",
          "config": {},
          "health": {
            "status": "Not Implemented"
          }
        },
        {
          "api": "inference",
          "provider_id": "scripted",
          "provider_type": "inline::scripted",
          "config": {
            "token": "********"
          },
          "health": {
            "status": "Error",
            "message": "the script says that it is ill"
          }
        }
      ]
    }
    "#);
    assert_eq!(
        client.get("/v1/providers/scripted").await.json(),
        list.json()["data"][2]
    );

    let (status, param, code, message) = client.get("/v1/providers/other").await.error();
    assert_eq!(
        (status, param.as_deref(), code.as_deref()),
        (404, Some("provider_id"), Some("provider_not_found"))
    );
    assert_eq!(
        message,
        "there is no provider `other`; there are `reader`, `stored`, `scripted`"
    );
}

#[tokio::test]
async fn routes_are_listed_with_their_providers() {
    let client = Client::new().await;
    let all = client.get("/v1/inspect/routes").await.json();
    assert_json_snapshot!(all);
    for (filter, expected) in [("v1", 42), ("v1alpha", 2), ("v1beta", 0), ("deprecated", 0)] {
        let answer = client
            .get(&format!("/v1/inspect/routes?api_filter={filter}"))
            .await
            .json();
        assert_eq!(answer["data"].as_array().unwrap().len(), expected, "{filter}");
    }
    let (status, param, _, message) = client.get("/v1/inspect/routes?api_filter=v2").await.error();
    assert_eq!((status, param.as_deref()), (400, Some("api_filter")));
    assert!(message.contains("`v2`") && message.contains("`v1beta`"), "{message}");
}

#[tokio::test]
async fn documents_are_reranked() {
    let client = Client::new().await;
    let sent =
        r#"{"model":"scripted/ranker","query":"q","items":["a",{"type":"text","text":"b"}],"max_num_results":2}"#;
    let answer = client.post("/v1alpha/inference/rerank", sent).await;
    assert_snapshot!(answer.text(), @r#"{"data":[{"index":1,"relevance_score":0.25},{"index":0,"relevance_score":0.0}]}"#);

    for (sent, expected) in [
        (r#"{"model":"scripted/ranker","query":"q","items":[]}"#, "items"),
        (r#"{"model":"scripted/ranker","items":["a"]}"#, "query"),
        (
            r#"{"model":"scripted/ranker","query":"q","items":["a"],"max_num_results":0}"#,
            "max_num_results",
        ),
        (r#"{"model":"scripted/ranker","query":"q","items":["a",5]}"#, "items[1]"),
    ] {
        let (status, param, _, message) = client.post("/v1alpha/inference/rerank", sent).await.error();
        assert_eq!((status, param.as_deref()), (400, Some(expected)), "{message}");
    }
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_kept() {
    let client = Client::new().await;
    let answer = client.get("/openapi.json").await;
    assert_eq!(answer.json(), puna_server::openapi());
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

/// What the document says and what is served come from one table; here the second is asked about the first.
#[tokio::test]
async fn every_documented_operation_is_served() {
    let client = Client::with(ServerSettings {
        metrics: Some(Metrics::default()),
        ..ServerSettings::default()
    })
    .await;
    let document = puna_server::openapi();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (verb, _) in operations.as_object().unwrap() {
            let path = path
                .replace("{model}", "scripted/echo")
                .replace("{provider_id}", "scripted")
                .replace("{file_id}", "file-0")
                .replace("{completion_id}", "chatcmpl-0");
            let status = match verb.as_str() {
                "get" => client.get(&path).await.status,
                "delete" => client.delete(&path).await.status,
                _ => client.post(&path, "{}").await.status,
            };
            let expected = match verb.as_str() {
                // A form is wanted there, and there is no such file or completion.
                "post" if ["/v1/files", "/v1alpha/file-processors/process"].contains(&path.as_str()) => {
                    StatusCode::UNSUPPORTED_MEDIA_TYPE
                }
                // There are no vector stores.
                _ if path.contains("/vector_store") || path.contains("/memory_bank") => StatusCode::BAD_REQUEST,
                _ if path.contains("file-0") => StatusCode::NOT_FOUND,
                "get" | "delete" if path.contains("chatcmpl-0") => StatusCode::NOT_FOUND,
                "get" => StatusCode::OK,
                _ => StatusCode::BAD_REQUEST,
            };
            assert_eq!(status, expected, "{verb} {path}");
        }
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let client = Client::new().await;
    let page = client.get("/docs").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("openapi.json"));
    assert!(!page.text().contains("http://") && !page.text().contains("https://"));
}

/// The answers of a running server against the document's own schemas, as far as required keys and unknown keys tell.
#[tokio::test]
async fn answers_have_the_keys_of_their_schemas() {
    let client = Client::new().await;
    let document = puna_server::openapi();
    for path in [
        "/v1/files",
        "/v1/models",
        "/v1/models/{model}",
        "/v1/providers",
        "/v1/health",
        "/v1/version",
        "/v1/inspect/routes",
    ] {
        let answer = client.get(&path.replace("{model}", "alias")).await.json();
        let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        check(&answer, schema, &document, path);
    }
}

/// Whether a value has the keys that its schema requires, and no others.
pub(crate) fn check(value: &Value, schema: &Value, document: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(target) => document.pointer(&target[1..]).unwrap(),
        None => schema,
    };
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        values.iter().for_each(|value| check(value, items, document, place));
    }
    if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(
                object.contains_key(required.as_str().unwrap()),
                "{place}: {required} is missing"
            );
        }
        for (key, value) in object {
            match properties.get(key) {
                Some(property) => check(value, property, document, &format!("{place}.{key}")),
                None => assert!(
                    schema["additionalProperties"] != false && schema.get("additionalProperties").is_some(),
                    "{place}: {key} is not described"
                ),
            }
        }
    }
}

#[tokio::test]
async fn models_are_registered_and_taken_back() {
    let client = Client::new().await;
    let sent = r#"{"model_id":"team/mine","provider_model_id":"echo","metadata":{"a":1}}"#;
    let answer = client.post("/v1/models", sent).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let model = answer.json();
    assert_eq!(
        (
            &model["identifier"],
            &model["provider_id"],
            &model["provider_resource_id"],
            &model["metadata"]["a"]
        ),
        (&"team/mine".into(), &"scripted".into(), &"echo".into(), &1.into())
    );
    assert_eq!(client.get("/v1/models/team/mine").await.json()["id"], "team/mine");
    let chat = r#"{"model":"team/mine","messages":[{"role":"user","content":"hi"}]}"#;
    let answer = client.post("/v1/chat/completions", chat).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(client.post("/v1/models", sent).await.status, StatusCode::OK);

    for (body, status, param) in [
        (r#"{"provider_id":"scripted"}"#, 400, "model_id"),
        (
            r#"{"model_id":"team/mine","provider_model_id":"slow"}"#,
            400,
            "provider_model_id",
        ),
        (r#"{"model_id":"alias","provider_model_id":"echo"}"#, 409, "model_id"),
        (r#"{"model_id":"x","provider_id":"other"}"#, 400, "provider_id"),
        (r#"{"model_id":"x","model_type":"oracle"}"#, 400, "model_type"),
        (r#"{"model_id":"x","colour":1}"#, 400, "colour"),
    ] {
        let (got, named, _, message) = client.post("/v1/models", body).await.error();
        assert_eq!((got, named.as_deref()), (status, Some(param)), "{message}");
    }

    let deleted = client.delete("/v1/models/team%2Fmine").await;
    assert_snapshot!(deleted.text(), @r#"{"id":"team/mine","object":"model","deleted":true}"#);
    assert_eq!(client.get("/v1/models/team/mine").await.error().0, 404);
    assert_eq!(client.delete("/v1/models/team/mine").await.error().0, 404);
    assert_eq!(client.delete("/v1/models/alias").await.error().0, 400);
}
