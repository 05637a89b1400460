//! What a server refuses, one that is slow or not there, and the key.

use std::time::Duration;

use puna_api::ErrorKind;
use puna_testkit::context;
use serde_json::json;
use tonic::Code;

use crate::material::{INDEX, by_vector, own, services, there, vector_io};
use crate::server::{Answer, Server};

#[tokio::test]
async fn refusals_mean_what_they_should() {
    let refusals = [
        (Code::NotFound, ErrorKind::NotFound, "there is no index `vs`"),
        (Code::Unauthenticated, ErrorKind::Configuration, "`api_key`"),
        (Code::PermissionDenied, ErrorKind::Configuration, "`api_key`"),
        (Code::InvalidArgument, ErrorKind::InvalidRequest, "expected dim: 2"),
        (Code::ResourceExhausted, ErrorKind::RateLimited, "enough"),
        (Code::DeadlineExceeded, ErrorKind::Timeout, "too long"),
        (Code::Unimplemented, ErrorKind::Unsupported, "1.16"),
        (Code::DataLoss, ErrorKind::Unavailable, "failed"),
    ];
    for (code, kind, says) in refusals {
        let refusal = Answer::Refusal(code, "Wrong input: Vector dimension error: expected dim: 2, got 3");
        let server = Server::start([there(), refusal]).await;
        let error = own(&server)
            .await
            .search_chunks(&context(), by_vector(3))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{code:?}");
        assert!(error.message().contains(says), "{code:?}: {error:?}");
        server.asked();
    }
    // These are tried once more by the client.
    for code in [Code::Internal, Code::Unavailable, Code::Unknown] {
        let refusal = || Answer::Refusal(code, "Service internal error: disk");
        let server = Server::start([there(), refusal(), refusal()]).await;
        let error = own(&server)
            .await
            .search_chunks(&context(), by_vector(3))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{code:?}");
        assert!(error.is_transient(), "{code:?}");
        server.asked();
    }
}

#[tokio::test]
async fn what_does_not_answer_is_unavailable_or_late() {
    let server = Server::start([Answer::healthy(), Answer::Silence, Answer::Silence]).await;
    let config = json!({ "host": "127.0.0.1", "grpc_port": server.port, "timeout": 0.3 });
    let slow = services(config.clone()).await;
    slow.health.unwrap().check().await.unwrap();
    let error = slow
        .vector_io
        .unwrap()
        .delete_index(&context(), INDEX)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    drop(server);
    let absent = services(config).await.health.unwrap();
    let health = absent.check();
    let error = tokio::time::timeout(Duration::from_secs(30), health)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.is_transient() && error.message().contains("by gRPC"), "{error:?}");
}

#[tokio::test]
async fn the_key_goes_with_every_request() {
    let server = Server::start([Answer::gone(), Answer::gone()]).await;
    let vector_io = vector_io(&server, json!({ "api_key": "secret", "https": false })).await;
    vector_io.delete_index(&context(), INDEX).await.unwrap();
    vector_io.delete_index(&context(), INDEX).await.unwrap();
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| asked.api_key.as_deref() == Some("secret"))
    );
    let server = Server::start([Answer::gone()]).await;
    own(&server).await.delete_index(&context(), INDEX).await.unwrap();
    assert_eq!(server.asked()[0].api_key, None);
}
