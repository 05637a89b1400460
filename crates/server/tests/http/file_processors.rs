//! `/v1alpha/file-processors/process`.

use std::io::Read;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use http::StatusCode;
use insta::assert_json_snapshot;
use puna_api::{
    Api, ChunkingStrategy, DocumentMetadata, Error, FileChunk, FileProcessors, FileSource, Host, ProcessFile,
    ProcessedFile, Provider, RequestContext, Result, Services,
};
use puna_server::{Limits, ServerSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::files::{Part, form, upload};
use crate::scripted::CONFIG;

/// Reads text, a line a chunk where it is to be cut.
pub(crate) struct Reader;

/// It has no settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReaderConfig {}

impl Provider for Reader {
    const TYPE: &'static str = "inline::reader";
    const SUMMARY: &'static str = "reads lines";
    const APIS: &'static [Api] = &[Api::FileProcessors];
    type Config = ReaderConfig;

    fn sample() -> ReaderConfig {
        ReaderConfig {}
    }

    async fn build(_: ReaderConfig, _: Host) -> Result<Services> {
        Ok(Services::default().with_file_processors(std::sync::Arc::new(Self)))
    }
}

#[async_trait]
impl FileProcessors for Reader {
    async fn process_file(&self, _: &RequestContext, request: ProcessFile) -> Result<ProcessedFile> {
        if let Some(option) = request.options.keys().next() {
            return Err(Error::invalid_request("there are no options").with_param(format!("options.{option}")));
        }
        let text = match request.content {
            FileSource::File(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            }
            FileSource::Stream(stream) => {
                let pieces: Vec<Bytes> = stream.try_collect().await?;
                String::from_utf8(pieces.concat()).unwrap()
            }
            FileSource::Bytes(_) => panic!("the server holds no files in memory"),
        };
        if text.is_empty() {
            return Err(Error::invalid_request("the file is empty").with_param("file"));
        }
        let context = match &request.chunking {
            Some(ChunkingStrategy::Contextual { contextual }) => contextual.model_id.clone(),
            _ => None,
        };
        let pieces: Vec<&str> = match request.chunking {
            None => vec![&text],
            Some(_) => text.lines().collect(),
        };
        let mut start = 0;
        let chunks = (0..)
            .zip(pieces)
            .map(|(position, piece)| {
                let end = start + piece.chars().count() as u64;
                let chunk = FileChunk {
                    position,
                    text: piece.to_owned(),
                    context: context.clone(),
                    tokens: 7,
                    start,
                    end,
                    first_page: Some(1),
                    last_page: Some(2),
                    headings: vec!["Llamas".to_owned()],
                };
                start = end + 1;
                chunk
            })
            .collect();
        Ok(ProcessedFile {
            document: DocumentMetadata {
                media_type: request.media_type.unwrap_or_else(|| "text/plain".to_owned()),
                title: request.name.map(|name| format!("title of {name}")),
                author: None,
                page_count: Some(2),
                characters: text.chars().count() as u64,
            },
            chunks,
        })
    }
}

const PATH: &str = "/v1alpha/file-processors/process";

impl Client {
    async fn process(&self, parts: &[Part<'_>]) -> Answer {
        self.answer(upload(PATH, form(parts))).await
    }
}

/// With what differs from run to run replaced, once it was seen to be what it should.
fn steady(answer: &Answer, document_id: Option<&str>) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let mut answer = answer.json();
    assert!(answer["metadata"]["processing_time_ms"].is_u64());
    answer["metadata"]["processing_time_ms"] = "[time]".into();
    let id = answer["chunks"][0]["metadata"]["document_id"].clone();
    match document_id {
        Some(expected) => assert_eq!(id, expected),
        None => assert_eq!(id.as_str().unwrap().len(), 36),
    }
    let text = answer.to_string().replace(id.as_str().unwrap(), "[id]");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_file_that_is_sent_is_read_whole() {
    let client = Client::new().await;
    let answer = client
        .process(&[("file", Some("a.txt"), "Grüße\nto llamas".as_bytes())])
        .await;
    assert_json_snapshot!(steady(&answer, None), @r#"
    {
      "chunks": [
        {
          "content": "Grüße\nto llamas",
          "chunk_id": "[id]-0",
          "metadata": {
            "document_id": "[id]",
            "filename": "a.txt",
            "title": "title of a.txt",
            "first_page": 1,
            "last_page": 2,
            "headings": [
              "Llamas"
            ]
          },
          "chunk_metadata": {
            "chunk_id": "[id]-0",
            "document_id": "[id]",
            "source": "a.txt",
            "chunk_window": "0-15",
            "content_token_count": 7
          }
        }
      ],
      "metadata": {
        "processor": "inline::reader",
        "processing_time_ms": "[time]",
        "media_type": "text/plain",
        "title": "title of a.txt",
        "page_count": 2,
        "characters": 15
      }
    }
    "#);
}

#[tokio::test]
async fn a_strategy_may_come_before_the_file_and_behind_it() {
    let client = Client::new().await;
    let file: Part<'_> = ("file", Some("a.txt"), b"one\ntwo");
    let strategy: Part<'_> = (
        "chunking_strategy",
        None,
        br#"{"type":"static","static":{"max_chunk_size_tokens":100,"chunk_overlap_tokens":0}}"#,
    );
    for parts in [[file, strategy], [strategy, file]] {
        let answer = steady(&client.process(&parts).await, None);
        let of_chunks = |pointer: &str| -> Vec<Value> {
            let chunks = answer["chunks"].as_array().unwrap();
            chunks
                .iter()
                .map(|chunk| chunk.pointer(pointer).unwrap().clone())
                .collect()
        };
        assert_eq!(of_chunks("/content"), ["one", "two"]);
        assert_eq!(of_chunks("/chunk_id"), ["[id]-0", "[id]-1"]);
        assert_eq!(of_chunks("/chunk_metadata/chunk_window"), ["0-3", "4-7"]);
    }
    let contextual: Part<'_> = (
        "chunking_strategy",
        None,
        br#"{"type":"contextual","contextual":{"model_id":"writer"}}"#,
    );
    let answer = steady(&client.process(&[contextual, file]).await, None);
    assert_eq!(answer["chunks"][1]["content"], "writer\n\ntwo");
}

#[tokio::test]
async fn a_file_of_the_server_is_read() {
    let client = Client::new().await;
    let kept = client.keep("b.txt", "assistants", b"llamas").await;
    let id = kept["id"].as_str().unwrap();
    // What a client sends for no value.
    let nothing: [Part<'_>; 2] = [("options", None, b""), ("chunking_strategy", None, b"null")];
    let answer = client
        .process(&[("file_id", None, id.as_bytes()), nothing[0], nothing[1]])
        .await;
    let answer = steady(&answer, Some(id));
    assert_eq!(answer["chunks"][0]["content"], "llamas");
    assert_eq!(answer["chunks"][0]["chunk_metadata"]["source"], "b.txt");

    // What is wrong with the file is wrong with what was sent.
    let empty = client.keep("c.txt", "assistants", b"").await;
    let answer = client
        .process(&[("file_id", None, empty["id"].as_str().unwrap().as_bytes())])
        .await;
    let (status, param, _, message) = answer.error();
    assert_eq!((status, param.as_deref()), (400, Some("file_id")), "{message}");
    let (status, param, ..) = client.process(&[("file_id", None, b"file-0")]).await.error();
    assert_eq!((status, param.as_deref()), (404, Some("file_id")));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let client = Client::new().await;
    let file: Part<'_> = ("file", Some("a"), b"x");
    let strategy = |json: &'static str| -> Part<'static> { ("chunking_strategy", None, json.as_bytes()) };
    let long = "x".repeat(10_000);
    for (parts, param) in [
        (vec![], "file"),
        (vec![("file", None, b"x".as_slice())], "file"),
        (vec![file, file], "file"),
        (vec![("file", Some("a"), b"".as_slice())], "file"),
        (vec![file, ("file_id", None, b"file-0")], "file_id"),
        (
            vec![("file_id", None, b"file-0"), ("file_id", None, b"file-0")],
            "file_id",
        ),
        (vec![file, ("options", None, b"[]")], "options"),
        (vec![file, ("options", None, br#"{"ocr":true}"#)], "options.ocr"),
        (vec![file, ("options", None, long.as_bytes())], "options"),
        (vec![file, strategy("auto")], "chunking_strategy"),
        (vec![file, strategy(r#"{"type":"dynamic"}"#)], "chunking_strategy"),
        (
            vec![file, strategy(r#"{"type":"auto","static":{}}"#)],
            "chunking_strategy",
        ),
        (
            vec![
                file,
                strategy(r#"{"type":"static","static":{"max_chunk_size_tokens":99}}"#),
            ],
            "chunking_strategy.static.max_chunk_size_tokens",
        ),
        (
            vec![
                file,
                strategy(r#"{"type":"static","static":{"max_chunk_size_tokens":799}}"#),
            ],
            "chunking_strategy.static.chunk_overlap_tokens",
        ),
        (
            vec![
                file,
                strategy(r#"{"type":"contextual","contextual":{"timeout_seconds":0}}"#),
            ],
            "chunking_strategy.contextual.timeout_seconds",
        ),
        (vec![file, ("colour", None, b"red")], "colour"),
    ] {
        let (status, named, _, message) = client.process(&parts).await.error();
        assert_eq!((status, named.as_deref()), (400, Some(param)), "{message}");
    }
    assert_eq!(client.post(PATH, "{}").await.error().0, 415);
}

#[tokio::test]
async fn a_file_is_bounded_and_leaves_nothing() {
    let client = Client::with_limits(Limits {
        max_file_bytes: 1000,
        ..Limits::default()
    })
    .await;
    let sent = |length: usize| form(&[("file", Some("a"), &vec![b'x'; length])]);
    assert_eq!(client.answer(upload(PATH, sent(1000))).await.status, StatusCode::OK);
    let (status, param, code, _) = client.answer(upload(PATH, sent(1001))).await.error();
    assert_eq!(
        (status, param.as_deref(), code.as_deref()),
        (413, Some("file"), Some("file_too_large"))
    );
    // A connection that breaks off in the middle of the file.
    let pieces = [
        Ok(Bytes::from(sent(1000)[..500].to_vec())),
        Err(std::io::Error::other("reset")),
    ];
    let (status, ..) = client
        .answer(upload(PATH, Body::from_stream(stream::iter(pieces))))
        .await
        .error();
    assert_eq!(status, 400);
    let state = client.probe.home.path().join(".puna/distributions/test");
    assert_eq!(std::fs::read_dir(state).unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_that_reads_nothing_says_so() {
    let provider = "  file_processors:\n    - provider_id: reader\n      provider_type: inline::reader\n";
    let client = Client::over(&CONFIG.replace(provider, ""), ServerSettings::default()).await;
    let (status, _, code, message) = client.process(&[("file", Some("a"), b"x")]).await.error();
    assert_eq!((status, code.as_deref()), (400, Some("unsupported_parameter")));
    assert!(message.contains("`file_processors`"), "{message}");
}
