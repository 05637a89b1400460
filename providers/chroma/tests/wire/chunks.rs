use puna_api::{ChunkSelection, DeleteChunks, ListChunks, Metric, UpsertChunks};
use puna_testkit::{Fault, context};

use crate::material::{CHECKLIST, INDEX, by_id, chunk, records, sent, server, vector_io};

#[tokio::test]
async fn chunks_are_written_as_many_at_once_as_the_server_takes() {
    let server = server(Metric::Cosine);
    let mut bare = chunk("c", "");
    bare.attributes.clear();
    let request = UpsertChunks {
        index_id: INDEX.to_owned(),
        chunks: vec![
            chunk("a", "Two words, two"),
            chunk("b", "other"),
            bare,
            chunk("a", "The last"),
        ],
    };
    let vector_io = vector_io(&server).await;
    vector_io.upsert_chunks(&context(), request.clone()).await.unwrap();
    insta::assert_json_snapshot!(sent(&server));
    vector_io.upsert_chunks(&context(), request).await.unwrap();
    assert_eq!(
        server.requests_to(CHECKLIST).len(),
        1,
        "how often it is asked what it takes"
    );
}

#[tokio::test]
async fn chunks_are_deleted() {
    let server = server(Metric::Cosine);
    let vector_io = vector_io(&server).await;
    let ids = ["a", "b", "c"].map(str::to_owned).to_vec();
    for selection in [ChunkSelection::Chunks(ids), ChunkSelection::Document("d".to_owned())] {
        let index_id = INDEX.to_owned();
        let request = DeleteChunks { index_id, selection };
        vector_io.delete_chunks(&context(), request).await.unwrap();
    }
    insta::assert_json_snapshot!(sent(&server));
}

#[tokio::test]
async fn chunks_are_listed() {
    let server = server(Metric::L2);
    let there = [chunk("b", "two"), chunk("a", "one")];
    server.fail(&by_id("get"), Fault::json(200, &records(&there)));
    let request = ListChunks {
        index_id: INDEX.to_owned(),
        document_id: "d".to_owned(),
        after: Some(6),
        limit: 1,
    };
    let page = vector_io(&server).await.list_chunks(&context(), request).await.unwrap();
    assert_eq!(page.chunks, there[1..]);
    assert!(page.has_more);
    insta::assert_json_snapshot!(sent(&server));
}
