//! Indexes are made and deleted.

use puna_api::{ErrorKind, Metric};
use puna_testkit::context;
use qdrant_client::qdrant::Distance;
use tonic::Code;

use crate::material::{FIELDS, INDEX, index, info, listed, own, shared, shared_there, there};
use crate::server::{Answer, Server};

#[tokio::test]
async fn an_index_is_made() {
    let made = || Answer::info(info(Distance::Euclid, &[]));
    let answers = [Answer::gone(), Answer::exists(false), Answer::done(), made()];
    let server = Server::start(answers.into_iter().chain([(); 3].map(|()| Answer::written()))).await;
    own(&server)
        .await
        .create_index(&context(), index(Metric::L2))
        .await
        .unwrap();
    insta::assert_snapshot!(server.shown());
}

#[tokio::test]
async fn a_shared_index_is_made() {
    let answers = [
        Answer::gone(),
        Answer::exists(false),
        Answer::done(),
        Answer::exists(false),
        Answer::done(),
        Answer::written(),
        listed(),
        Answer::info(info(Distance::Cosine, FIELDS)),
        Answer::written(),
    ];
    let server = Server::start(answers).await;
    shared(&server)
        .await
        .create_index(&context(), index(Metric::Cosine))
        .await
        .unwrap();
    insta::assert_snapshot!(server.shown());
}

#[tokio::test]
async fn an_index_that_is_there_is_compared() {
    let server = Server::start([there()]).await;
    own(&server)
        .await
        .create_index(&context(), index(Metric::Cosine))
        .await
        .unwrap();
    assert_eq!(server.asked().len(), 1);
    let server = Server::start([there()]).await;
    let error = own(&server)
        .await
        .create_index(&context(), index(Metric::Dot))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // Made by someone else between the question and the request.
    let taken = Answer::Refusal(Code::AlreadyExists, "Wrong input: Collection `puna_vs` already exists!");
    let answers = [
        Answer::gone(),
        Answer::exists(false),
        taken,
        Answer::exists(true),
        there(),
    ];
    let server = Server::start(answers).await;
    own(&server)
        .await
        .create_index(&context(), index(Metric::Cosine))
        .await
        .unwrap();
    server.asked();
}

#[tokio::test]
async fn a_collection_of_others_is_refused() {
    let mut other = info(Distance::Cosine, &[]);
    other
        .config
        .as_mut()
        .unwrap()
        .params
        .as_mut()
        .unwrap()
        .sparse_vectors_config = None;
    let server = Server::start([Answer::info(other)]).await;
    let error = own(&server)
        .await
        .create_index(&context(), index(Metric::Cosine))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("`puna_vs`"), "{error:?}");
}

#[tokio::test]
async fn indexes_are_deleted() {
    let server = Server::start([there(), Answer::done(), Answer::gone()]).await;
    let vector_io = own(&server).await;
    vector_io.delete_index(&context(), INDEX).await.unwrap();
    vector_io.delete_index(&context(), INDEX).await.unwrap();
    insta::assert_snapshot!("an_index_is_deleted", server.shown());

    let answers = [
        listed(),
        shared_there(),
        Answer::written(),
        Answer::written(),
        Answer::points(vec![]),
    ];
    let server = Server::start(answers).await;
    let vector_io = shared(&server).await;
    vector_io.delete_index(&context(), INDEX).await.unwrap();
    vector_io.delete_index(&context(), INDEX).await.unwrap();
    insta::assert_snapshot!("a_shared_index_is_deleted", server.shown());
}
