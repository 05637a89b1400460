//! What reaches the upstream of files, word for word, and what becomes of its errors.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use puna_api::{
    Api, ByteRange, ErrorKind, ExpiresAfter, ExpiryAnchor, File, FileDetails, FilePurpose, FileQuery, FileUpload,
    Files, Result,
};
use puna_provider_openai::PROVIDER;
use puna_storage::Storage;
use puna_testkit::wire::Subject;
use puna_testkit::{Fault, TestHost, context};
use serde_json::{Value, json};
use tempfile::TempDir;

const FILES: &str = "/v1/files";
const KEY: &str = "sk-secret-of-the-operator";
/// What every file holds.
const LINES: [&str; 2] = ["{}\n", "{}\n"];

struct Place {
    subject: Subject,
    _folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::in_folder(folder.path()));
        let copies = folder.path().join("copies");
        let subject = Subject::with_host(
            PROVIDER,
            |url| json!({ "api_base": format!("{url}/v1"), "api_key": KEY, "storage_dir": copies }),
            |_, host| host.apis([Api::Files]).resource(storage),
        );
        Self {
            subject: subject.await,
            _folder: folder,
        }
    }

    fn files(&self) -> &dyn Files {
        self.subject.services.files.as_deref().unwrap()
    }

    async fn upload(&self, filename: &str, purpose: FilePurpose, expires_after: Option<u32>) -> Result<File> {
        let details = FileDetails {
            filename: filename.to_owned(),
            purpose,
            expires_after: expires_after.map(|seconds| ExpiresAfter {
                anchor: ExpiryAnchor::CreatedAt,
                seconds,
            }),
        };
        let content = stream::iter(LINES.map(|line| Ok(Bytes::from(line)))).boxed();
        self.files().upload(&context(), FileUpload::new(details, content)).await
    }

    /// The last request, with its form in plain words and with what differs from run to run replaced.
    fn last(&self, id: Option<&str>) -> Value {
        let request = self.subject.stub.requests().pop().unwrap();
        let mut body = String::from_utf8(request.body.to_vec()).unwrap();
        let mut golden = request.golden();
        assert!(request.header("transfer-encoding").is_none());
        if !body.is_empty() {
            assert_eq!(request.header("content-length"), Some(&*body.len().to_string()));
        }
        if let Some(boundary) = request
            .header("content-type")
            .and_then(|value| value.split_once("boundary="))
        {
            body = body.replace(boundary.1, "[boundary]");
            golden["headers"]["content-type"] = format!("{}boundary=[boundary]", boundary.0).into();
        }
        golden["body"] = body.lines().collect::<Vec<_>>().into();
        if let Some(id) = id {
            golden["path"] = request.path.replace(id, "[id]").into();
        }
        golden
    }
}

#[tokio::test]
async fn requests_are_as_openai_has_them() {
    let place = Place::new().await;
    let file = place.upload("requests.jsonl", FilePurpose::Batch, None).await.unwrap();
    insta::assert_json_snapshot!("files_upload", place.last(None));
    place
        .upload("Ärger \"1\".pdf", FilePurpose::UserData, Some(3600))
        .await
        .unwrap();
    insta::assert_json_snapshot!("files_upload_that_expires", place.last(None));
    let read = async |range| {
        let content = place.files().content(&context(), &file.id, range).await.unwrap();
        let pieces: Vec<_> = content.content.map(Result::unwrap).collect().await;
        pieces.concat()
    };
    assert_eq!(read(None).await, b"{}\n{}\n");
    insta::assert_json_snapshot!("files_content", place.last(Some(&file.id)));
    assert_eq!(read(Some(ByteRange::Between(1, 3))).await, b"}\n{");
    insta::assert_json_snapshot!("files_range", place.last(Some(&file.id)));
    place.files().delete(&context(), &file.id).await.unwrap();
    insta::assert_json_snapshot!("files_delete", place.last(Some(&file.id)));
}

#[tokio::test]
async fn what_the_upstream_refuses_is_told_and_leaves_nothing() {
    let place = Place::new().await;
    let stub = &place.subject.stub;
    let refused = |status, message: &str, code| Fault::error(status, message, "invalid_request_error", code);
    let echo = format!("Incorrect API key provided: {KEY}.");
    for (fault, kind, said) in [
        (
            refused(401, &echo, Some("invalid_api_key")),
            ErrorKind::Unauthenticated,
            "refused the key that this server is configured with",
        ),
        (
            refused(403, "No access to files.", None),
            ErrorKind::PermissionDenied,
            "No access to files.",
        ),
        (
            refused(400, "Invalid file format for Batch API.", None),
            ErrorKind::InvalidRequest,
            "Invalid file format for Batch API.",
        ),
        (
            refused(413, "Maximum content size limit exceeded.", None),
            ErrorKind::TooLarge,
            "Maximum content size",
        ),
        (
            Fault::json(404, &json!({ "detail": "Not Found" })),
            ErrorKind::Unavailable,
            "check its `base_url`",
        ),
    ] {
        stub.fail(FILES, fault);
        let error = place.upload("a.jsonl", FilePurpose::Batch, None).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(said), "{error}");
        assert!(!format!("{error} {error:?}").contains(KEY), "{error:?}");
        assert_ne!(error.code(), Some("upload_outcome_unknown"));
    }
    stub.fail(FILES, refused(429, "Slow down.", None).with_header("retry-after", "7"));
    let error = place.upload("a.jsonl", FilePurpose::Batch, None).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::RateLimited, Some(Duration::from_secs(7)))
    );
    assert!(stub.files().is_empty());
    assert_eq!(stub.requests_to(FILES).len(), 6);
    let query = FileQuery {
        limit: 10,
        ..FileQuery::default()
    };
    assert!(place.files().list(&context(), query).await.unwrap().files.is_empty());
}

#[tokio::test]
async fn what_may_have_arrived_is_said_and_not_sent_again() {
    let place = Place::new().await;
    let stub = &place.subject.stub;
    for (fault, sent) in [
        (Fault::error(500, "The server had an error.", "server_error", None), 1),
        (Fault::html(502), 2),
        (Fault::Disconnect, 3),
        (Fault::TruncatedBody, 4),
        (
            Fault::json(
                200,
                &json!({ "id": "../models", "bytes": 6, "created_at": 1, "filename": "a" }),
            ),
            5,
        ),
    ] {
        stub.fail(FILES, fault);
        let error = place.upload("a.jsonl", FilePurpose::Batch, None).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unavailable, Some("upload_outcome_unknown")),
            "{error}"
        );
        assert_eq!(stub.requests_to(FILES).len(), sent);
    }
}

#[tokio::test]
async fn a_file_that_is_not_whole_at_the_upstream_is_no_file() {
    let place = Place::new().await;
    let stub = &place.subject.stub;
    let short = json!({ "id": "file-short", "object": "file", "bytes": 5, "created_at": 1, "filename": "a.jsonl", "purpose": "batch" });
    stub.fail(FILES, Fault::json(200, &short));
    let error = place.upload("a.jsonl", FilePurpose::Batch, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("kept 5 of the file's 6 bytes"), "{error}");
    let last = stub.requests().pop().unwrap();
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("DELETE", "/v1/files/file-short")
    );
}

#[tokio::test]
async fn bytes_that_break_off_are_a_fault() {
    let place = Place::new().await;
    let file = place.upload("a.jsonl", FilePurpose::Batch, None).await.unwrap();
    let path = format!("{FILES}/{}/content", file.id);
    let answer = |body: &str| Fault::Answer {
        status: 200,
        headers: Vec::new(),
        body: body.to_owned(),
    };
    for body in ["", "{}\n{}"] {
        place.subject.stub.fail(&path, answer(body));
        let content = place.files().content(&context(), &file.id, None).await.unwrap();
        let pieces: Vec<Result<Bytes>> = content.content.collect().await;
        let error = pieces.last().unwrap().as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("fewer bytes than the file has"), "{error}");
    }
    let other = Fault::Answer {
        status: 206,
        headers: vec![("content-range".to_owned(), "bytes 3-5/6".to_owned())],
        body: "{}\n".to_owned(),
    };
    place.subject.stub.fail(&path, other);
    let range = Some(ByteRange::Between(1, 3));
    let error = place.files().content(&context(), &file.id, range).await.unwrap_err();
    assert!(error.message().contains("other bytes of the file"), "{error}");
}

#[tokio::test]
async fn a_key_belongs_where_its_api_is() {
    let build = async |api: Api, config: Value| {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(Storage::in_folder(folder.path()));
        let host = TestHost::with(|host| host.apis([api]).resource(storage)).unwrap();
        PROVIDER.build(PROVIDER.check(config).unwrap(), host.host()).await
    };
    for (api, config, param) in [
        (Api::Inference, json!({ "metadata_store": {} }), "metadata_store"),
        (Api::Inference, json!({ "keep_copies": false }), "keep_copies"),
        (Api::Inference, json!({ "storage_dir": "/x" }), "storage_dir"),
        (
            Api::Files,
            json!({ "api_key": "a", "allowed_models": [] }),
            "allowed_models",
        ),
        (
            Api::Files,
            json!({ "api_key": "a", "refresh_models": true }),
            "refresh_models",
        ),
        (Api::Files, json!({ "api_key": "" }), "api_key"),
        (Api::Files, json!({ "api_key": "a\nb" }), "api_key"),
    ] {
        let error = build(api, config.clone()).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::Configuration, Some(param)),
            "{config}"
        );
        assert!(!error.message().contains("a\nb"), "{error}");
    }
    let services = build(Api::Inference, json!({ "api_key": "a" })).await.unwrap();
    assert!(services.files.is_none() && services.inference.is_some());
    let services = build(Api::Files, json!({ "api_key": "a" })).await.unwrap();
    assert!(services.files.is_some() && services.inference.is_none());
}
