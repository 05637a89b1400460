//! What a server refuses, one that is not there, and the token.

use puna_api::{ChunkQuery, ErrorKind, Metric};
use puna_testkit::{Fault, RefusedPort, context};
use serde_json::{Value, json};

use crate::material::{by_id, by_name, chunk, index, path, records, search, server, services, vector_io};

fn by_vector() -> puna_api::SearchChunks {
    search(ChunkQuery::Vector(vec![3.0, 4.0]))
}

fn refusal(status: u16, name: &str, message: &str) -> Fault {
    Fault::json(status, &json!({ "error": name, "message": message }))
}

#[tokio::test]
async fn refusals_mean_what_they_should() {
    let dimension = "Collection expecting embedding with dimension of 3, got 2";
    let refusals = [
        (
            refusal(404, "NotFoundError", "Collection [x] does not exist."),
            ErrorKind::NotFound,
            "there is no index `vs`",
        ),
        (
            refusal(401, "AuthError", "Unauthorized"),
            ErrorKind::Configuration,
            "`api_token`",
        ),
        (
            refusal(403, "AuthError", "Forbidden"),
            ErrorKind::Configuration,
            "`api_token`",
        ),
        (
            refusal(400, "InvalidArgumentError", dimension),
            ErrorKind::InvalidRequest,
            dimension,
        ),
        (
            refusal(422, "ChromaError", "bad"),
            ErrorKind::InvalidRequest,
            "1.5 would not: bad",
        ),
        (
            refusal(429, "RateLimitError", "slow down"),
            ErrorKind::RateLimited,
            "enough",
        ),
        (
            refusal(413, "ChromaError", "too long"),
            ErrorKind::InvalidRequest,
            "larger",
        ),
        (refusal(500, "InternalError", "disk"), ErrorKind::Unavailable, "failed"),
        (Fault::html(502), ErrorKind::Unavailable, "failed"),
        (Fault::html(404), ErrorKind::Configuration, "1.5"),
        (
            Fault::json(410, &json!({ "error": "Unimplemented" })),
            ErrorKind::Configuration,
            "1.5",
        ),
        (Fault::json(200, &json!({ "ids": 1 })), ErrorKind::Unavailable, "a form"),
    ];
    for (fault, kind, says) in refusals {
        let server = server(Metric::L2);
        server.fail(&by_id("query"), fault.clone());
        let error = vector_io(&server)
            .await
            .search_chunks(&context(), by_vector())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}");
        assert!(error.message().contains(says), "{fault:?}: {error:?}");
        assert_eq!(server.requests_to(&by_id("query")).len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_request_that_others_are_in_the_way_of_is_sent_again() {
    for message in [
        "Error executing plan: Error finding id",
        "Error executing plan: Internal error: Error creating hnsw segment reader: Nothing found on disk",
    ] {
        let server = server(Metric::L2);
        server.fail(&by_id("query"), refusal(500, "InternalError", message));
        let error = vector_io(&server)
            .await
            .search_chunks(&context(), by_vector())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{message}");
        assert!(error.is_transient(), "{message}");
        assert!(server.requests_to(&by_id("query")).len() > 10, "{message}");
    }
}

#[tokio::test]
async fn a_chunk_with_the_vector_of_another_version_is_not_answered() {
    let server = server(Metric::L2);
    let mut torn = records(&[chunk("a", "words")]);
    torn["embeddings"] = json!([[3.0, 4.5]]);
    server.fail(&by_id("get"), Fault::json(200, &torn));
    server.fail(
        &by_id("query"),
        Fault::json(200, &json!({ "ids": [["a"]], "distances": [[0.0]] })),
    );
    let error = vector_io(&server)
        .await
        .search_chunks(&context(), by_vector())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("faster"), "{error:?}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let server = server(Metric::L2);
    let gone = |what: &str| refusal(404, "NotFoundError", what);
    server.fail(&by_name(), gone("Collection [puna_vs.index] does not exist"));
    server.fail(
        &path("/collections"),
        refusal(
            400,
            "InvalidArgumentError",
            "Database [default_database] does not exist",
        ),
    );
    server.fail(
        &path(""),
        gone("Database [default_database] not found. Are you sure it exists?"),
    );
    let services = services(json!({ "url": server.url() })).await;
    let checked = services.health.unwrap().check().await;
    let made = services
        .vector_io
        .unwrap()
        .create_index(&context(), index(Metric::L2))
        .await;
    for error in [checked.unwrap_err(), made.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let says = "no database `default_database` of a tenant `default_tenant`";
        assert!(error.message().contains(says), "{error:?}");
    }
}

#[tokio::test]
async fn what_does_not_answer_is_unavailable_or_late() {
    let server = server(Metric::L2);
    server.fail(&by_name(), Fault::Hang);
    let slow = services(json!({ "url": server.url(), "timeout": 0.3 })).await;
    let error = slow
        .vector_io
        .unwrap()
        .search_chunks(&context(), by_vector())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    let absent = RefusedPort::take().unwrap();
    let absent = services(json!({ "url": absent.url() })).await;
    let error = absent.health.unwrap().check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(
        error.is_transient() && error.message().contains("cannot be reached"),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_token_goes_with_every_request_and_into_no_message() {
    let headers = |config: Value| async move {
        let server = server(Metric::L2);
        server.fail(&by_id("query"), refusal(401, "AuthError", "Unauthorized"));
        let mut config = config;
        config["url"] = server.url().into();
        let vector_io = services(config).await.vector_io.unwrap();
        let error = vector_io.search_chunks(&context(), by_vector()).await.unwrap_err();
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        let requests = server.requests();
        let sent = requests.iter().map(|request| {
            let header = |name: &str| request.header(name).map(str::to_owned);
            (header("x-chroma-token"), header("authorization"))
        });
        let sent: Vec<_> = sent.collect();
        assert!(sent.len() == 2 && sent[0] == sent[1], "{sent:?}");
        sent[0].clone()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(headers(json!({})).await, (None, None));
    assert_eq!(headers(json!({ "api_token": "secret" })).await, (text("secret"), None));
    let bearer = json!({ "api_token": "secret", "token_header": "authorization" });
    assert_eq!(headers(bearer).await, (None, text("Bearer secret")));
}
