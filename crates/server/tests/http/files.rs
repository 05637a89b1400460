//! `/v1/files`.

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Method, Request, StatusCode};
use insta::assert_json_snapshot;
use puna_server::Limits;
use serde_json::{Value, json};

use crate::client::{Answer, Client};

const PATH: &str = "/v1/files";
const BOUNDARY: &str = "----a-boundary";

/// A part of a form: its name, its file name, its bytes.
pub(crate) type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

pub(crate) fn form(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, filename, bytes) in parts {
        let filename = filename
            .map(|filename| format!("; filename=\"{filename}\""))
            .unwrap_or_default();
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

pub(crate) fn upload(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .body(body.into())
        .unwrap()
}

impl Client {
    async fn upload(&self, parts: &[Part<'_>]) -> Answer {
        self.answer(upload(PATH, form(parts))).await
    }

    pub(crate) async fn keep(&self, name: &str, purpose: &str, bytes: &[u8]) -> Value {
        let answer = self
            .upload(&[("purpose", None, purpose.as_bytes()), ("file", Some(name), bytes)])
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()
    }

    async fn download(&self, id: &str, range: Option<&str>) -> Answer {
        let mut request = Request::builder().uri(format!("/v1/files/{id}/content"));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        self.answer(request.body(Body::empty()).unwrap()).await
    }

    async fn ids(&self, query: &str) -> Value {
        let list = self.get(&format!("/v1/files{query}")).await.json();
        let ids: Vec<_> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["filename"].clone())
            .collect();
        json!([ids, list["has_more"]])
    }
}

/// With what differs from run to run replaced.
fn steady(mut file: Value) -> Value {
    assert!(file["id"].as_str().unwrap().starts_with("file-"));
    file["id"] = "[id]".into();
    if let Some(at) = file["expires_at"].as_u64() {
        file["expires_at"] = format!("[{} s later]", at - file["created_at"].as_u64().unwrap()).into();
    }
    file["created_at"] = "[time]".into();
    file
}

#[tokio::test]
async fn a_file_is_uploaded_described_downloaded_and_deleted() {
    let client = Client::new().await;
    assert_json_snapshot!(client.get("/v1/files").await.json(), @r#"
    {
      "object": "list",
      "data": [],
      "first_id": "",
      "last_id": "",
      "has_more": false
    }
    "#);
    let file = client
        .keep("../notes <b>.html", "user_data", b"<script>1</script>")
        .await;
    assert_json_snapshot!(steady(file.clone()), @r#"
    {
      "id": "[id]",
      "object": "file",
      "bytes": 18,
      "created_at": "[time]",
      "expires_at": null,
      "filename": "../notes <b>.html",
      "purpose": "user_data",
      "status": "processed",
      "status_details": null
    }
    "#);
    let id = file["id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/v1/files/{id}")).await.json(), file);
    let list = client.get("/v1/files").await.json();
    assert_eq!(list["data"], json!([file]));
    assert_eq!((&list["first_id"], &list["last_id"]), (&file["id"], &file["id"]));

    let content = client.download(id, None).await;
    assert_eq!((content.status, content.text()), (StatusCode::OK, "<script>1</script>"));
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", "18"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        (
            "content-disposition",
            "attachment; filename=\".._notes <b>.html\"; filename*=UTF-8''..%2Fnotes%20%3Cb%3E.html",
        ),
    ] {
        assert_eq!(content.header(name), Some(value), "{name}");
    }

    let deleted = client.delete(&format!("/v1/files/{id}")).await.json();
    assert_eq!(deleted, json!({ "id": id, "object": "file", "deleted": true }));
    for answer in [
        client.get(&format!("/v1/files/{id}")).await,
        client.download(id, None).await,
        client.delete(&format!("/v1/files/{id}")).await,
        client.get("/v1/files/..%2F..%2Fpasswd/content").await,
    ] {
        let (status, param, ..) = answer.error();
        assert_eq!((status, param.as_deref()), (404, Some("file_id")));
    }
}

#[tokio::test]
async fn fields_may_come_in_any_order_and_in_both_forms() {
    let client = Client::new().await;
    let answer = client
        .upload(&[
            ("file", Some("a.jsonl"), b"{}\n"),
            ("expires_after[seconds]", None, b"3600"),
            ("purpose", None, b"batch"),
            ("expires_after[anchor]", None, b"created_at"),
        ])
        .await;
    assert_eq!(steady(answer.json())["expires_at"], "[3600 s later]");
    let answer = client
        .upload(&[
            ("expires_after", None, br#"{"anchor":"created_at","seconds":7200}"#),
            ("purpose", None, b"evals"),
            ("file", Some("a"), b""),
        ])
        .await;
    let file = steady(answer.json());
    assert_eq!(
        (&file["expires_at"], &file["bytes"]),
        (&json!("[7200 s later]"), &json!(0))
    );
    let batch = client.keep("a", "batch", b"{}").await;
    assert_eq!(steady(batch)["expires_at"], "[2592000 s later]");
}

#[tokio::test]
async fn a_list_is_walked_and_filtered() {
    let client = Client::new().await;
    for (name, purpose) in [
        ("1", "user_data"),
        ("2", "vision"),
        ("3", "user_data"),
        ("4", "fine-tune"),
    ] {
        client.keep(name, purpose, b"x").await;
    }
    assert_eq!(client.ids("").await, json!([["4", "3", "2", "1"], false]));
    assert_eq!(client.ids("?order=asc&limit=2").await, json!([["1", "2"], true]));
    assert_eq!(client.ids("?purpose=user_data").await, json!([["3", "1"], false]));
    let last = client.get("/v1/files?limit=3").await.json()["last_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(client.ids(&format!("?after={last}")).await, json!([["1"], false]));
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("purpose=fun", "purpose"),
        ("after=x", "after"),
    ] {
        let (status, named, _, message) = client.get(&format!("/v1/files?{query}")).await.error();
        assert_eq!((status, named.as_deref()), (400, Some(param)), "{message}");
    }
    let (status, _, _, message) = client.get("/v1/files?purpse=vision").await.error();
    assert!(status == 400 && message.contains("purpse"), "{message}");
}

#[tokio::test]
async fn a_range_is_downloaded() {
    let client = Client::new().await;
    let file = client.keep("a", "user_data", b"0123456789").await;
    let id = file["id"].as_str().unwrap();
    for (range, text, shown) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-1", "9", "bytes 9-9/10"),
        ("bytes=0-100", "0123456789", "bytes 0-9/10"),
    ] {
        let answer = client.download(id, Some(range)).await;
        assert_eq!(
            (answer.status, answer.text()),
            (StatusCode::PARTIAL_CONTENT, text),
            "{range}"
        );
        assert_eq!(answer.header("content-range"), Some(shown));
    }
    // What is no range is none.
    let whole = client.download(id, Some("bytes=0-1,4-5")).await;
    assert_eq!((whole.status, whole.text()), (StatusCode::OK, "0123456789"));
    // One that holds nothing is told how much there is.
    for (content, range, shown) in [
        (&b"0123456789"[..], "bytes=10-", "bytes */10"),
        (b"0123456789", "bytes=-0", "bytes */10"),
        (b"", "bytes=0-", "bytes */0"),
    ] {
        let file = client.keep("a", "user_data", content).await;
        let answer = client.download(file["id"].as_str().unwrap(), Some(range)).await;
        assert_eq!(answer.header("content-range"), Some(shown), "{range}");
        assert_eq!(answer.error().0, 416, "{range}");
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_form_is_named_and_nothing_is_kept() {
    let client = Client::new().await;
    let file: Part<'_> = ("file", Some("a"), b"x");
    let purpose: Part<'_> = ("purpose", None, b"user_data");
    let anchor: Part<'_> = ("expires_after[anchor]", None, b"created_at");
    let long = "x".repeat(10_000);
    for (parts, param) in [
        (vec![purpose], "file"),
        (vec![file], "purpose"),
        (vec![], "file"),
        (vec![purpose, ("file", None, b"x")], "file"),
        (vec![purpose, ("file", Some(""), b"x")], "file"),
        (vec![purpose, file, file], "file"),
        (vec![purpose, purpose, file], "purpose"),
        (vec![file, purpose, purpose], "purpose"),
        (vec![("purpose", None, b"fun"), file], "purpose"),
        (vec![file, ("purpose", None, b"batch_output")], "purpose"),
        (vec![("purpose", None, long.as_bytes()), file], "purpose"),
        (vec![("purpose", None, b"\xff"), file], "purpose"),
        (vec![purpose, file, ("color", None, b"red")], "color"),
        (vec![purpose, file, anchor], "expires_after[seconds]"),
        (
            vec![purpose, file, ("expires_after[seconds]", None, b"3600")],
            "expires_after[anchor]",
        ),
        (
            vec![anchor, purpose, file, ("expires_after[seconds]", None, b"1h")],
            "expires_after[seconds]",
        ),
        (
            vec![anchor, purpose, file, ("expires_after[seconds]", None, b"60")],
            "expires_after.seconds",
        ),
        (vec![purpose, file, ("expires_after", None, b"{}")], "expires_after"),
    ] {
        let (status, named, _, message) = client.upload(&parts).await.error();
        assert_eq!((status, named.as_deref()), (400, Some(param)), "{message}");
    }
    let many: Vec<Part<'_>> = vec![("expires_after", None, b"null"); 20];
    assert!(client.upload(&many).await.error().3.contains("16 fields"));
    assert_eq!(client.ids("").await, json!([[], false]));
}

#[tokio::test]
async fn what_is_no_form_is_told() {
    let client = Client::new().await;
    assert_eq!(client.post("/v1/files", "{}").await.error().0, 415);
    let whole = form(&[("purpose", None, b"user_data"), ("file", Some("a"), b"hello")]);
    for length in [0, 10, whole.len() / 2, whole.len() - 10] {
        let (status, ..) = client.answer(upload(PATH, whole[..length].to_vec())).await.error();
        assert_eq!(status, 400, "{length} of {} bytes", whole.len());
    }
    let mut packed = upload(PATH, whole.clone());
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    assert_eq!(client.answer(packed).await.error().0, 415);
    // A connection that breaks off in the middle of the file.
    let pieces = [
        Ok(Bytes::from(whole[..whole.len() - 20].to_vec())),
        Err(std::io::Error::other("reset")),
    ];
    let (status, ..) = client
        .answer(upload(PATH, Body::from_stream(stream::iter(pieces))))
        .await
        .error();
    assert_eq!(status, 400);
    assert_eq!(client.ids("").await, json!([[], false]));
    assert_eq!(blobs(&client), 0);
}

/// How many files there are in the folder of the provider.
fn blobs(client: &Client) -> usize {
    let folder = client
        .probe
        .home
        .path()
        .join(".puna/distributions/test/providers/stored");
    let count = |folder: std::path::PathBuf| {
        std::fs::read_dir(folder).map_or(0, |entries| {
            entries
                .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file())
                .count()
        })
    };
    count(folder.clone()) + count(folder.join(".incoming"))
}

#[tokio::test]
async fn an_upload_is_bounded_by_itself_and_not_by_the_bound_of_bodies() {
    let client = Client::with_limits(Limits {
        max_body_bytes: 100,
        max_file_bytes: 100_000,
        ..Limits::default()
    })
    .await;
    client.keep("a", "user_data", &vec![b'x'; 100_000]).await;
    let parts = |length: usize| {
        form(&[
            ("purpose", None, b"user_data"),
            ("file", Some("a"), &vec![b'x'; length]),
        ])
    };
    for length in [100_001, 5_000_000] {
        // Announced, and as it comes.
        let whole = parts(length);
        let pieces: Vec<_> = whole
            .chunks(7000)
            .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        for body in [Body::from(whole.clone()), Body::from_stream(stream::iter(pieces))] {
            let (status, param, code, message) = client.answer(upload(PATH, body)).await.error();
            assert_eq!(
                (status, param.as_deref(), code.as_deref()),
                (413, Some("file"), Some("file_too_large"))
            );
            assert!(
                message.contains("100000 bytes") && message.contains("max_file_bytes"),
                "{message}"
            );
        }
    }
    assert_eq!(blobs(&client), 1);
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let client = Client::with_limits(Limits {
        body_timeout: std::time::Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    let begun = form(&[("purpose", None, b"user_data"), ("file", Some("a"), b"hello")]);
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(begun[..begun.len() - 30].to_vec()))]);
    let answer = client
        .answer(upload(PATH, Body::from_stream(body.chain(stream::pending()))))
        .await;
    assert_eq!(answer.error().0, 408);
    assert_eq!(client.ids("").await, json!([[], false]));
}

#[tokio::test]
async fn a_server_that_keeps_nothing_opens_nothing() {
    let client = Client::new().await;
    client.get("/v1/models").await;
    client.get("/v1/files").await;
    client.chat("echo").await.content();
    client.chat("nowhere").await.error();
    assert_eq!(std::fs::read_dir(client.probe.home.path()).unwrap().count(), 0);
    client.keep("a", "user_data", b"x").await;
    assert_eq!(blobs(&client), 1);
}
