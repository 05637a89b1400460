use puna_api::{ErrorKind, Metric};
use puna_testkit::{Fault, context};
use serde_json::json;

use crate::material::{by_name, collection, index, path, sent, server, vector_io};

#[tokio::test]
async fn an_index_is_made() {
    let server = server(Metric::Cosine);
    let gone = json!({ "error": "NotFoundError", "message": "Collection [puna_vs.index] does not exist" });
    server.fail(&by_name(), Fault::json(404, &gone));
    server.fail(&path("/collections"), Fault::json(200, &collection(Metric::Cosine)));
    let vector_io = vector_io(&server).await;
    vector_io.create_index(&context(), index(Metric::Cosine)).await.unwrap();
    vector_io.create_index(&context(), index(Metric::L2)).await.unwrap();
    insta::assert_json_snapshot!(sent(&server));
}

#[tokio::test]
async fn one_that_is_there_is_left_alone() {
    let server = server(Metric::Dot);
    let vector_io = vector_io(&server).await;
    vector_io.create_index(&context(), index(Metric::Dot)).await.unwrap();
    let error = vector_io.create_index(&context(), index(Metric::L2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("metric `dot`"), "{error:?}");
    assert!(sent(&server).is_empty());
}

#[tokio::test]
async fn somebody_elses_collection_is_left_alone() {
    let server = server(Metric::Dot);
    let mut theirs = collection(Metric::Dot);
    for metadata in [
        json!(null),
        json!({ "hnsw:space": "l2" }),
        json!({ "puna_dimension": 2, "puna_metric": "new" }),
    ] {
        theirs["metadata"] = metadata;
        server.fail(&by_name(), Fault::json(200, &theirs));
        let vector_io = vector_io(&server).await;
        let error = vector_io.delete_index(&context(), "vs").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let says = error.message();
        assert!(
            says.contains("`puna_vs.index`") && says.contains("`collection_prefix`"),
            "{says}"
        );
    }
    assert!(sent(&server).is_empty());
}

#[tokio::test]
async fn an_index_is_deleted_by_its_name() {
    let server = server(Metric::Dot);
    vector_io(&server).await.delete_index(&context(), "vs").await.unwrap();
    let methods: Vec<String> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["GET", "DELETE"]);
    assert_eq!(server.requests_to(&by_name()).len(), 2);
}
