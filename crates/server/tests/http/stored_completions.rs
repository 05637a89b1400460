//! Chat completions that are kept.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use insta::assert_json_snapshot;
use puna_server::ServerSettings;
use serde_json::{Value, json};

use crate::client::{Answer, Client, chat_body, request};
use crate::scripted::{CONFIG, Probe};

const PATH: &str = "/v1/chat/completions";

impl Client {
    /// A server whose configuration says this of the store.
    async fn storing(inference: &str) -> Self {
        Self::over(&configuration(inference), ServerSettings::default()).await
    }

    /// The id of a completion that is asked for with more members in its request.
    async fn stored(&self, more: &str) -> String {
        let answer = self.post(PATH, chat_body("counted", more)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    async fn listed(&self, query: &str) -> (Vec<String>, bool) {
        let list = self.get(&format!("{PATH}{query}")).await.json();
        let data = list["data"].as_array().unwrap();
        let ids: Vec<_> = data
            .iter()
            .map(|listed| listed["id"].as_str().unwrap().to_owned())
            .collect();
        let ends = |id: Option<&String>| json!(id.map_or("", String::as_str));
        assert_eq!(
            (&list["first_id"], &list["last_id"]),
            (&ends(ids.first()), &ends(ids.last()))
        );
        assert_eq!(list["object"], "list");
        (ids, list["has_more"].as_bool().unwrap())
    }
}

fn configuration(inference: &str) -> String {
    format!("{CONFIG}storage:\n  stores:\n    inference: {inference}\n")
}

/// The status and the parameter of an error.
fn fault(answer: &Answer) -> (u16, String) {
    let (status, param, ..) = answer.error();
    (status, param.unwrap_or_default())
}

#[tokio::test]
async fn a_completion_is_stored_read_changed_and_deleted() {
    let client = Client::new().await;
    let sent = r#"{"model":"scripted/counted","messages":[{"role":"user","content":"hi"}],"store":true,"temperature":0.5,
        "metadata":{"topic":"greetings"},"tools":[],"user":"jo"}"#;
    let answer = client.post(PATH, sent).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("chatcmpl-") && id.len() == 41, "{id}");
    let path = format!("{PATH}/{id}");

    let mut stored = client.get(&path).await.json();
    assert_eq!(stored["request_id"], answer.header("x-request-id").unwrap());
    assert_eq!(stored["choices"], answer.json()["choices"]);
    for (name, shown) in [
        ("id", "[id]"),
        ("request_id", "[request]"),
        ("choices", "[the answer's]"),
    ] {
        stored[name] = shown.into();
    }
    assert_json_snapshot!(stored, @r#"
    {
      "id": "[id]",
      "object": "chat.completion",
      "created": 1,
      "model": "scripted/counted",
      "choices": "[the answer's]",
      "usage": {
        "prompt_tokens": 11,
        "completion_tokens": 5,
        "total_tokens": 16
      },
      "request_id": "[request]",
      "tool_choice": null,
      "seed": null,
      "top_p": null,
      "temperature": 0.5,
      "presence_penalty": null,
      "frequency_penalty": null,
      "input_user": "jo",
      "tools": [],
      "response_format": null,
      "metadata": {
        "topic": "greetings"
      },
      "input_messages": [
        {
          "role": "user",
          "content": "hi"
        }
      ]
    }
    "#);
    assert_eq!(client.listed("").await, (vec![id.clone()], false));

    let updated = client.post(&path, r#"{"metadata":{"a":"1"}}"#).await.json();
    assert_eq!(updated["metadata"], json!({ "a": "1" }));
    assert_eq!(client.get(&path).await.json(), updated);
    assert_eq!(client.listed("?metadata[a]=1").await.0, [id.as_str()]);
    assert_eq!(client.listed("?metadata%5Ba%5D=2").await.0, [""; 0]);
    assert_eq!(
        client.post(&path, r#"{"metadata":null}"#).await.json()["metadata"],
        json!({})
    );

    let messages = client.get(&format!("{path}/messages")).await.json();
    assert_eq!(
        messages,
        json!({
            "object": "list", "first_id": format!("{id}-0"), "last_id": format!("{id}-0"), "has_more": false,
            "data": [{ "id": format!("{id}-0"), "role": "user", "content": "hi", "refusal": null, "name": null, "content_parts": null }],
        })
    );

    let deleted = client.delete(&path).await.json();
    assert_eq!(
        deleted,
        json!({ "id": id, "object": "chat.completion.deleted", "deleted": true })
    );
    for answer in [
        client.get(&path).await,
        client.delete(&path).await,
        client.post(&path, r#"{"metadata":{}}"#).await,
        client.get(&format!("{path}/messages")).await,
        client.get(&format!("{PATH}/chatcmpl-1")).await,
        client.get(&format!("{PATH}/..%2Fx/messages")).await,
    ] {
        assert_eq!(fault(&answer), (404, "completion_id".to_owned()));
    }
}

#[tokio::test]
async fn without_a_store_in_the_configuration_the_request_decides() {
    let client = Client::new().await;
    for more in ["", r#","store":false"#, r#","store":null"#] {
        assert_eq!(client.stored(more).await, "chatcmpl-1", "{more}");
    }
    assert_eq!(client.listed("").await, (Vec::new(), false));
    assert!(
        !has_database(&client.probe),
        "nothing was kept, and something was opened"
    );
    let id = client.stored(r#","store":true"#).await;
    assert_eq!(client.listed("").await, (vec![id], false));
}

fn has_database(probe: &Arc<Probe>) -> bool {
    probe.home.path().join(".puna/distributions/test/sql_store.db").exists()
}

#[tokio::test]
async fn with_a_store_in_the_configuration_everything_is_stored_but_what_is_not_to_be() {
    let client = Client::storing("{ backend: sql_default, table_name: inference_store, num_writers: 2 }").await;
    assert_eq!(client.stored(r#","store":false"#).await, "chatcmpl-1");
    let mut ids = vec![client.stored("").await, client.stored(r#","store":true"#).await];
    assert_eq!(client.listed("").await, (ids.clone(), false));
    ids.reverse();
    assert_eq!(client.listed("?order=desc").await.0, ids);
    // The provider has the request as it came where the client did not ask.
    let path = format!("{PATH}/{}", ids[1]);
    assert_eq!(
        client.get(&path).await.json()["choices"][0]["message"]["content"],
        chat_body("counted", "")
    );
}

#[tokio::test]
async fn a_store_that_is_switched_off_stores_nothing() {
    let client = Client::storing("{ enabled: false }").await;
    let more = r#","store":true,"metadata":{"a":"b"}"#;
    let answer = client.post(PATH, chat_body("echo", more)).await;
    // The provider decides what it makes of it.
    assert_eq!(answer.content(), chat_body("echo", more));
    let id = format!("chatcmpl-{}", "0".repeat(32));
    for answer in [
        client.get(PATH).await,
        client.get(&format!("{PATH}/{id}")).await,
        client.delete(&format!("{PATH}/{id}")).await,
    ] {
        let (status, _, code, message) = answer.error();
        assert_eq!((status, code.as_deref()), (400, Some("unsupported_parameter")));
        assert!(message.contains("storage.stores.inference"), "{message}");
    }
}

#[tokio::test]
async fn a_provider_is_not_asked_to_store_too() {
    let client = Client::new().await;
    let sent = r#"{"metadata": {"a":"b"}, "model":"scripted/echo","store" : true,"messages":[{"role":"user","content":"\u0068i"}]}"#;
    let answer = client.post(PATH, sent).await;
    assert_eq!(
        answer.content(),
        sent.replace(r#"{"a":"b"}"#, "null")
            .replace(r#""store" : true"#, r#""store" : false"#)
    );
}

#[tokio::test]
async fn a_stream_is_stored_as_the_answer_that_it_is() {
    let client = Client::new().await;
    let sent = chat_body("counted", r#","stream":true,"store":true"#);
    let answer = client.post(PATH, sent).await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    let chunks: Vec<Value> = answer
        .text()
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    let id = chunks[0]["id"].as_str().unwrap();
    assert!(chunks.iter().all(|chunk| chunk["id"] == id));
    let stored = client.get(&format!("{PATH}/{id}")).await.json();
    assert_eq!(stored["object"], "chat.completion");
    assert_eq!(stored["usage"]["total_tokens"], 16);
    assert_eq!(
        stored["choices"],
        json!([{ "index": 0, "message": { "role": "assistant", "content": "a\nb", "refusal": null }, "logprobs": null, "finish_reason": "stop" }])
    );
}

#[tokio::test]
async fn what_fails_or_is_cut_off_is_not_stored() {
    let client = Client::new().await;
    for model in ["breaks", "panics", "empty", "limited"] {
        client
            .post(PATH, chat_body(model, r#","stream":true,"store":true"#))
            .await;
    }
    for model in ["refused", "broken", "panics", "nothing"] {
        client.post(PATH, chat_body(model, r#","store":true"#)).await;
    }
    let sent = chat_body("hangs", r#","stream":true,"store":true"#);
    let mut body = client
        .send(request(Method::POST, PATH, Body::from(sent)))
        .await
        .into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(client.listed("").await, (Vec::new(), false));
}

#[tokio::test]
async fn a_list_is_walked_and_filtered() {
    let client = Client::new().await;
    let mut ids = Vec::new();
    for metadata in [r#"{"a":"1"}"#, r#"{"a":"1","b":"x y&z"}"#, r#"{"a":"2"}"#] {
        ids.push(client.stored(&format!(r#","store":true,"metadata":{metadata}"#)).await);
    }
    assert_eq!(client.listed("?limit=2").await, (ids[..2].to_vec(), true));
    assert_eq!(
        client.listed(&format!("?limit=2&after={}", ids[1])).await,
        (ids[2..].to_vec(), false)
    );
    assert_eq!(client.listed("?metadata[a]=1&metadata[b]=x+y%26z").await.0, ids[1..2]);
    assert_eq!(
        client.listed("?model=scripted%2Fcounted&order=desc&limit=1").await,
        (ids[2..].to_vec(), true)
    );
    assert_eq!(client.listed("?model=counted").await.0, [""; 0]);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let client = Client::new().await;
    let id = client.stored(r#","store":true"#).await;
    for (path, param) in [
        ("?limit=0".to_owned(), "limit"),
        ("?limit=1001".to_owned(), "limit"),
        ("?order=newest".to_owned(), "order"),
        ("?after=x".to_owned(), "after"),
        ("?before=x".to_owned(), "before"),
        ("?metadata=x".to_owned(), "metadata"),
        (format!("/{id}/messages?after={id}-1"), "after"),
        (format!("/{id}/messages?limit=-1"), "limit"),
        (format!("/{id}/messages?model=x"), "model"),
    ] {
        let answer = client.get(&format!("{PATH}{path}")).await;
        assert_eq!(fault(&answer), (400, param.to_owned()), "{path}");
    }
    let many: Value = (0..17)
        .map(|number| (format!("{number}"), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let bad = [
        many,
        json!({ "x".repeat(65): "a" }),
        json!({ "a": "x".repeat(513) }),
        json!({ "a": 1 }),
        json!([]),
    ];
    for metadata in bad {
        let update = client
            .post(&format!("{PATH}/{id}"), json!({ "metadata": metadata }).to_string())
            .await;
        let (status, param) = fault(&update);
        assert!(status == 400 && param.starts_with("metadata"), "{metadata}: {param}");
        let create = client
            .post(
                PATH,
                chat_body("echo", &format!(r#","store":true,"metadata":{metadata}"#)),
            )
            .await;
        assert_eq!(fault(&create), (400, "metadata".to_owned()), "{metadata}");
    }
    for (body, param) in [
        ("{}", "metadata"),
        (r#"{"metadata":{},"model":"x"}"#, "model"),
        ("", ""),
        ("[]", ""),
    ] {
        let answer = client.post(&format!("{PATH}/{id}"), body).await;
        assert_eq!(
            (fault(&answer).0, answer.status),
            (400, StatusCode::BAD_REQUEST),
            "{body}"
        );
        assert!(answer.text().contains(param), "{}", answer.text());
    }
    let create = client.post(PATH, chat_body("echo", r#","store":"yes""#)).await;
    assert_eq!(fault(&create), (400, "store".to_owned()));
}
