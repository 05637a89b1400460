//! `/memory_banks`, `/memory_bank` and `/vector_store` of the drafts of 2024.

use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client, request};
use crate::retrieval::{client, client_of, stack_in};

const LLAMAS: &[u8] = b"# Animals\n\nllamas carry loads\n\nalpacas give wool";
const RUST: &[u8] = b"# Languages\n\nrust has no garbage collector";

/// A document, as requests and answers have it.
fn document(uuid: &str, content: &[u8]) -> Value {
    json!({
        "uuid": uuid, "content": STANDARD.encode(content), "mime_type": "text/markdown",
        "metadata": { "length": content.len(), "tags": ["a", null], "source": { "page": 1 } },
    })
}

/// The lines of an answer.
fn lines(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/jsonl"));
    let lines = answer.text().lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Client {
    /// A post that has nothing to answer.
    async fn silent(&self, path: &str, body: Value) {
        let answer = self.post(path, body.to_string()).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, ""));
    }

    /// The first texts that a search in a bank finds.
    async fn recalled(&self, bank: &str, query: &str) -> Vec<String> {
        let search = json!({ "query": query, "search_mode": "keyword" });
        let found = self.done(&format!("/v1/vector_stores/{bank}/search"), search).await;
        let hits = found["data"].as_array().unwrap();
        let text = |hit: &Value| hit["content"][0]["text"].as_str().unwrap().to_owned();
        hits.iter().map(text).collect()
    }

    /// How many files of a bank are completed, and how many there are.
    async fn counted(&self, bank: &str) -> (u64, u64) {
        let counts = self.get(&format!("/v1/vector_stores/{bank}")).await.json()["file_counts"].clone();
        (counts["completed"].as_u64().unwrap(), counts["total"].as_u64().unwrap())
    }

    /// A job, once it is over.
    async fn ended(&self, kind: &str, job: &Value) -> Value {
        let path = format!(
            "/vector_store/{kind}/jobs/status?job_id={}",
            job["id"].as_str().unwrap()
        );
        for _ in 0..1000 {
            let answer = self.get(&path).await.json();
            if answer["status"] != "running" && answer["status"] != "queued" {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{path} does not come to an end");
    }
}

#[tokio::test]
async fn banks_are_made_listed_and_dropped() {
    let client = client().await;
    assert_eq!(lines(&client.get("/memory_banks/get").await), Vec::<Value>::new());
    let first = "/memory_banks/create?bank_uuid=animals&bank_name=All%20animals";
    client.silent(first, json!([document("d1", LLAMAS)])).await;
    client
        .silent("/memory_banks/create?bank_uuid=empty.2&bank_name=n", json!([]))
        .await;
    assert_eq!(
        lines(&client.get("/memory_banks/get").await),
        [
            json!({ "uuid": "animals", "name": "All animals" }),
            json!({ "uuid": "empty.2", "name": "n" })
        ]
    );
    assert_eq!(client.recalled("animals", "carry").await, ["llamas carry loads"]);
    assert_eq!(
        (client.counted("animals").await, client.counted("empty.2").await),
        ((1, 1), (0, 0))
    );

    let (status, param, ..) = client.post(first, "[]").await.error();
    assert_eq!((status, param.as_deref()), (409, Some("bank_uuid")));
    let dropped = client.delete("/memory_banks/drop?bank_uuid=animals").await;
    assert_eq!((dropped.status, dropped.text()), (StatusCode::OK, ""));
    assert_eq!(lines(&client.get("/memory_banks/get").await).len(), 1);
    // The id is free again, and nothing of the first bank is in the second.
    client.silent(first, json!([document("d2", RUST)])).await;
    assert_eq!(
        client.recalled("animals", "carry garbage").await,
        ["rust has no garbage collector"]
    );
}

#[tokio::test]
async fn every_store_is_a_bank() {
    let client = client().await;
    let store = client.done("/v1/vector_stores", json!({ "name": "docs" })).await;
    let id = store["id"].as_str().unwrap();
    client
        .silent(
            &format!("/memory_bank/insert?bank_uuid={id}"),
            json!([document("d", RUST)]),
        )
        .await;
    assert_eq!(
        lines(&client.get("/memory_banks/get").await),
        [json!({ "uuid": id, "name": "docs" })]
    );
    let file = client.get(&format!("/v1/vector_stores/{id}/files/d")).await.json();
    assert_eq!(json!([file["id"], file["status"]]), json!(["d", "completed"]));
    // A document goes by any door.
    client.delete(&format!("/v1/vector_stores/{id}/files/d")).await;
    let (status, ..) = client
        .post(&format!("/memory_bank/get?bank_uuid={id}"), r#"["d"]"#)
        .await
        .error();
    assert_eq!(status, 404);
}

#[tokio::test]
async fn documents_are_inserted_read_updated_and_deleted() {
    let client = client().await;
    client
        .silent(
            "/memory_banks/create?bank_uuid=b&bank_name=b",
            json!([document("one", LLAMAS)]),
        )
        .await;
    client
        .silent(
            "/memory_bank/insert?bank_uuid=b",
            json!([document("two", RUST), document("a/b c", b"\xff\x00 bytes")]),
        )
        .await;
    let got = client
        .post("/memory_bank/get?bank_uuid=b", r#"["a/b c", "one", "two"]"#)
        .await;
    assert_eq!(
        lines(&got),
        [
            document("a/b c", b"\xff\x00 bytes"),
            document("one", LLAMAS),
            document("two", RUST)
        ]
    );
    assert_eq!(client.counted("b").await, (3, 3));
    let filters = json!({ "type": "gt", "key": "length", "value": LLAMAS.len() - 1 });
    let found = client
        .done(
            "/v1/vector_stores/b/search",
            json!({ "query": "rust garbage", "filters": filters }),
        )
        .await;
    let found = found["data"].as_array().unwrap();
    assert!(!found.is_empty() && found.iter().all(|hit| hit["file_id"] == "one"));

    client
        .silent(
            "/memory_bank/update?bank_uuid=b",
            json!([document("one", b"camels carry more")]),
        )
        .await;
    assert_eq!(client.recalled("b", "carry").await, ["camels carry more"]);
    let got = client.post("/memory_bank/get?bank_uuid=b", r#"["one"]"#).await;
    assert_eq!(lines(&got), [document("one", b"camels carry more")]);
    assert_eq!(client.counted("b").await, (3, 3));

    client
        .silent("/memory_bank/delete?bank_uuid=b", json!(["one", "a/b c"]))
        .await;
    assert_eq!(client.recalled("b", "carry").await, Vec::<String>::new());
    assert_eq!(client.recalled("b", "garbage").await.len(), 1);
    assert_eq!(client.counted("b").await, (1, 1));
    client.silent("/memory_bank/insert?bank_uuid=b", json!([])).await;
    assert_eq!(
        lines(&client.post("/memory_bank/get?bank_uuid=b", "[]").await),
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let client = client().await;
    client
        .silent(
            "/memory_banks/create?bank_uuid=b&bank_name=b",
            json!([document("one", LLAMAS)]),
        )
        .await;
    let extra = json!([{ "uuid": "x", "content": "", "metadata": {}, "mime_type": "text/plain", "more": 1 }]);
    let base64 =
        json!([document("x", RUST), { "uuid": "y", "content": "*", "metadata": {}, "mime_type": "text/plain" }]);
    let long = "x".repeat(600);
    for (path, body, status, param) in [
        ("/memory_banks/create?bank_name=b", json!([]), 400, Some("bank_uuid")),
        ("/memory_banks/create?bank_uuid=x", json!([]), 400, Some("bank_name")),
        (
            "/memory_banks/create?bank_uuid=x&bank_name=",
            json!([]),
            400,
            Some("bank_name"),
        ),
        (
            "/memory_banks/create?bank_uuid=a%20b&bank_name=b",
            json!([]),
            400,
            Some("bank_uuid"),
        ),
        (
            "/memory_banks/create?bank_uuid=x&bank_name=b&kind=graph",
            json!([]),
            400,
            None,
        ),
        (
            "/memory_banks/create?bank_uuid=x&bank_name=b",
            json!([document("p", b"%!")]),
            400,
            Some("[0].content"),
        ),
        ("/memory_bank/insert", json!([]), 400, Some("bank_uuid")),
        ("/memory_bank/insert?bank_uuid=b", json!({}), 400, None),
        (
            "/memory_bank/insert?bank_uuid=b",
            json!([document("one", RUST)]),
            409,
            Some("[0].uuid"),
        ),
        (
            "/memory_bank/insert?bank_uuid=b",
            json!([document("x", RUST), document("x", RUST)]),
            400,
            Some("[1].uuid"),
        ),
        (
            "/memory_bank/insert?bank_uuid=b",
            json!([document(&long, RUST)]),
            400,
            Some("[0].uuid"),
        ),
        (
            "/memory_bank/insert?bank_uuid=b",
            json!([document("x", RUST), document("y", b"")]),
            400,
            Some("[1].content"),
        ),
        (
            "/memory_bank/insert?bank_uuid=b",
            json!([{ "uuid": "x" }]),
            400,
            Some("[0]"),
        ),
        ("/memory_bank/insert?bank_uuid=b", extra, 400, Some("[0].more")),
        ("/memory_bank/insert?bank_uuid=b", base64, 400, Some("[1].content")),
        (
            "/memory_bank/insert?bank_uuid=none",
            json!([document("x", RUST)]),
            404,
            Some("bank_uuid"),
        ),
        (
            "/memory_bank/update?bank_uuid=b",
            json!([document("one", b"%!")]),
            400,
            Some("[0].content"),
        ),
        (
            "/memory_bank/update?bank_uuid=b",
            json!([document("x", RUST)]),
            404,
            Some("[0].uuid"),
        ),
        (
            "/memory_bank/update?bank_uuid=none",
            json!([document("x", RUST)]),
            404,
            Some("bank_uuid"),
        ),
        ("/memory_bank/get?bank_uuid=b", json!(["one", "x"]), 404, Some("[1]")),
        ("/memory_bank/get?bank_uuid=b", json!([1]), 400, Some("[0]")),
        ("/memory_bank/get?bank_uuid=none", json!(["x"]), 404, Some("bank_uuid")),
        ("/memory_bank/delete?bank_uuid=b", json!(["one", "x"]), 404, Some("[1]")),
        (
            "/memory_bank/delete?bank_uuid=none",
            json!(["x"]),
            404,
            Some("bank_uuid"),
        ),
    ] {
        let answer = client.post(path, body.to_string()).await;
        let (got, place, _, message) = answer.error();
        assert_eq!((got, place.as_deref()), (status, param), "{path}: {message}");
        assert!(!message.contains("index id"), "{path}: {message}");
    }
    let (status, param, ..) = client.delete("/memory_banks/drop?bank_uuid=none").await.error();
    assert_eq!((status, param.as_deref()), (404, Some("bank_uuid")));
    let (status, param, ..) = client.delete("/memory_banks/drop").await.error();
    assert_eq!((status, param.as_deref()), (400, Some("bank_uuid")));

    let got = client.post("/memory_bank/get?bank_uuid=b", r#"["one"]"#).await;
    assert_eq!(lines(&got), [document("one", LLAMAS)]);
    assert_eq!(client.counted("b").await, (1, 1));
    assert_eq!(lines(&client.get("/memory_banks/get").await).len(), 1);
}

#[tokio::test]
async fn bodies_that_are_no_arrays_are_told() {
    let client = client().await;
    let deep = format!("[{{\"metadata\":{}1{}}}]", "[".repeat(80), "]".repeat(80));
    for (body, code, part) in [
        ("", "invalid_json", "empty; send a JSON array"),
        ("{}", "invalid_json", "not a JSON array"),
        ("[", "invalid_json", "line 1 column 2"),
        ("[] []", "invalid_json", "the end"),
        (deep.as_str(), "json_too_deep", "64"),
    ] {
        let (status, _, got, message) = client
            .post("/memory_bank/insert?bank_uuid=b", body.to_owned())
            .await
            .error();
        assert_eq!((status, got.as_deref()), (400, Some(code)), "{message}");
        assert!(message.contains(part), "{message}");
    }
    let mut form = request(Method::POST, "/memory_bank/insert?bank_uuid=b", Body::from("a=b"));
    form.headers_mut().insert(
        "content-type",
        http::HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    assert_eq!(client.answer(form).await.error().0, 415);
}

#[tokio::test]
async fn banks_outlive_their_server() {
    let home = tempfile::tempdir().unwrap();
    let stack = stack_in(home.path()).await;
    let client = client_of(stack.clone(), tempfile::tempdir().unwrap());
    client
        .silent(
            "/memory_banks/create?bank_uuid=b&bank_name=kept",
            json!([document("one", LLAMAS)]),
        )
        .await;
    // What has been submitted and is not done goes on in the next server.
    let waiting = json!({ "vector_store_id": "b", "documents": [document("two", b"wait for it")] });
    let job = client.done("/vector_store/insert/jobs/submit", waiting).await;
    assert_eq!(job["status"], "running");
    drop(client);
    stack.shutdown(Duration::from_secs(5)).await;

    let stack = stack_in(home.path()).await;
    let client = client_of(stack.clone(), tempfile::tempdir().unwrap());
    assert_eq!(
        lines(&client.get("/memory_banks/get").await),
        [json!({ "uuid": "b", "name": "kept" })]
    );
    let got = client.post("/memory_bank/get?bank_uuid=b", r#"["one", "two"]"#).await;
    assert_eq!(lines(&got), [document("one", LLAMAS), document("two", b"wait for it")]);
    assert_eq!(client.recalled("b", "carry").await, ["llamas carry loads"]);
    assert_eq!(client.counted("b").await, (1, 2));
    let cancel = json!({ "job_id": job["id"] });
    let cancelled = client.done("/vector_store/insert/jobs/cancel", cancel).await;
    assert_eq!(
        json!([cancelled["id"], cancelled["status"], cancelled["counts"]["cancelled"]]),
        json!([job["id"], "cancelled", 1])
    );
    drop(client);
    stack.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn stores_are_made_described_changed_and_dropped() {
    let client = client().await;
    assert_eq!(client.get("/vector_store").await.json(), json!([]));
    let made = client
        .done(
            "/vector_store/create",
            json!({ "id": "s", "name": "docs", "description": "what we wrote" }),
        )
        .await;
    assert_eq!(
        made,
        json!({ "id": "s", "name": "docs", "description": "what we wrote" })
    );
    let own = client.done("/vector_store/create", json!({})).await;
    assert_eq!(json!([own["name"], own["description"]]), json!(["", ""]));
    assert_eq!(client.get("/vector_store").await.json(), json!([made, own]));
    assert_eq!(client.get("/vector_store?id=s").await.json(), json!([made]));

    let changed = client
        .done("/vector_store/update", json!({ "id": "s", "description": "and read" }))
        .await;
    assert_eq!(changed, json!({ "id": "s", "name": "docs", "description": "and read" }));
    assert_eq!(client.delete("/vector_store/drop?id=s").await.status, StatusCode::OK);
    assert_eq!(client.get("/vector_store").await.json(), json!([own]));

    for (answer, status, param) in [
        (client.get("/vector_store?id=s").await, 404, Some("id")),
        (client.delete("/vector_store/drop?id=s").await, 404, Some("id")),
        (client.delete("/vector_store/drop").await, 400, Some("id")),
        (
            client.post("/vector_store/update", r#"{"id":"s"}"#).await,
            404,
            Some("id"),
        ),
        (
            client.post("/vector_store/update", r#"{"name":"s"}"#).await,
            400,
            Some("id"),
        ),
        (
            client.post("/vector_store/create", r#"{"id":"a b"}"#).await,
            400,
            Some("id"),
        ),
        (
            client.post("/vector_store/create", r#"{"id":7}"#).await,
            400,
            Some("id"),
        ),
        (
            client.post("/vector_store/create", r#"{"kind":"graph"}"#).await,
            400,
            Some("kind"),
        ),
    ] {
        let (got, place, _, message) = answer.error();
        assert_eq!((got, place.as_deref()), (status, param), "{message}");
    }
}

#[tokio::test]
async fn documents_are_put_in_by_jobs() {
    let client = client().await;
    client.done("/vector_store/create", json!({ "id": "s" })).await;
    let submit = "/vector_store/insert/jobs/submit";
    let documents = json!([document("one", LLAMAS), document("bad", b"%! no text")]);
    let job = client
        .done(submit, json!({ "vector_store_id": "s", "documents": documents }))
        .await;
    let done = client.ended("insert", &job).await;
    assert_eq!(
        json!([done["id"], done["vector_store_id"], done["status"]]),
        json!([job["id"], "s", "completed"])
    );
    assert_eq!(
        done["counts"],
        json!({ "in_progress": 0, "completed": 1, "failed": 1, "cancelled": 0, "total": 2 })
    );
    assert!(done["error"].as_str().unwrap().starts_with("`bad`: "), "{done}");
    // What failed can be sent again.
    let again = json!({ "vector_store_id": "s", "documents": [document("bad", b"now with text")] });
    let job = client.done(submit, again).await;
    let done = client.ended("insert", &job).await;
    assert_eq!(json!([done["status"], done["error"]]), json!(["completed", null]));

    let file = client.keep("r.md", "assistants", RUST).await;
    let job = client
        .done(submit, json!({ "vector_store_id": "s", "file_ids": [file["id"]] }))
        .await;
    assert_eq!(client.ended("insert", &job).await["counts"]["completed"], 1);
    assert_eq!(client.recalled("s", "garbage").await, ["rust has no garbage collector"]);
    assert_eq!(client.counted("s").await, (3, 3));

    let all_bad = json!({ "vector_store_id": "s", "documents": [document("bad2", b"%!")] });
    let job = client.done(submit, all_bad).await;
    assert_eq!(client.ended("insert", &job).await["status"], "failed");

    for (body, status, param) in [
        (json!({ "vector_store_id": "s" }), 400, "documents"),
        (json!({ "documents": [document("x", RUST)] }), 400, "vector_store_id"),
        (
            json!({ "vector_store_id": "s", "documents": [document("x", RUST)], "file_ids": ["f"] }),
            400,
            "file_ids",
        ),
        (json!({ "vector_store_id": "s", "documents": [] }), 400, "documents"),
        (
            json!({ "vector_store_id": "s", "documents": [document("one", RUST)] }),
            409,
            "documents[0].uuid",
        ),
        (json!({ "vector_store_id": "s", "file_ids": ["f"] }), 404, "file_ids[0]"),
        (
            json!({ "vector_store_id": "t", "documents": [document("x", RUST)] }),
            404,
            "vector_store_id",
        ),
        (
            json!({ "vector_store_id": "s", "documents": [document("x", RUST)], "priority": 1 }),
            400,
            "priority",
        ),
    ] {
        let (got, place, _, message) = client.post(submit, body.to_string()).await.error();
        assert_eq!((got, place.as_deref()), (status, Some(param)), "{message}");
    }
}

#[tokio::test]
async fn documents_are_taken_out_by_jobs() {
    let client = client().await;
    let documents = json!([
        document("one", LLAMAS),
        document("two", RUST),
        document("three", b"whales sing")
    ]);
    client
        .silent("/memory_banks/create?bank_uuid=s&bank_name=s", documents)
        .await;
    let submit = "/vector_store/delete/jobs/submit";
    let job = client
        .done(
            submit,
            json!({ "vector_store_id": "s", "document_ids": ["one", "two"] }),
        )
        .await;
    let done = client.ended("delete", &job).await;
    assert_eq!(
        done,
        json!({ "id": job["id"], "vector_store_id": "s", "status": "completed", "done": 2, "total": 2, "error": null })
    );
    assert_eq!(client.recalled("s", "carry garbage sing").await, ["whales sing"]);
    assert_eq!(client.counted("s").await, (1, 1));
    // What is over stays as it is.
    let cancel = json!({ "job_id": job["id"] });
    assert_eq!(client.done("/vector_store/delete/jobs/cancel", cancel).await, done);

    for (body, status, param) in [
        (
            json!({ "vector_store_id": "s", "document_ids": [] }),
            400,
            "document_ids",
        ),
        (
            json!({ "vector_store_id": "s", "document_ids": ["three", "one"] }),
            404,
            "document_ids[1]",
        ),
        (
            json!({ "vector_store_id": "t", "document_ids": ["three"] }),
            404,
            "vector_store_id",
        ),
        (json!({ "document_ids": ["three"] }), 400, "vector_store_id"),
    ] {
        let (got, place, _, message) = client.post(submit, body.to_string()).await.error();
        assert_eq!((got, place.as_deref()), (status, Some(param)), "{message}");
    }
    assert_eq!(client.counted("s").await, (1, 1));

    // A job of one kind is none of the other.
    let id = job["id"].as_str().unwrap();
    for path in [
        format!("/vector_store/insert/jobs/status?job_id={id}"),
        "/vector_store/insert/jobs/status?job_id=none".to_owned(),
        "/vector_store/delete/jobs/status?job_id=none".to_owned(),
    ] {
        let (status, param, ..) = client.get(&path).await.error();
        assert_eq!((status, param.as_deref()), (404, Some("job_id")), "{path}");
    }
    for kind in ["insert", "delete"] {
        let (status, param, ..) = client.get(&format!("/vector_store/{kind}/jobs/status")).await.error();
        assert_eq!((status, param.as_deref()), (400, Some("job_id")));
        let cancel = client
            .post(&format!("/vector_store/{kind}/jobs/cancel"), r#"{"job_id":"none"}"#)
            .await;
        let (status, param, ..) = cancel.error();
        assert_eq!((status, param.as_deref()), (404, Some("job_id")));
    }
}
