//! Chunks are written, removed and listed.

use std::sync::Arc;

use prost::Message;
use puna_api::{Attributes, Chunk, ChunkSelection, DeleteChunks, ListChunks, UpsertChunks, VectorIo};
use puna_testkit::context;
use qdrant_client::qdrant::{Distance, RetrievedPoint, ScrollPoints};

use crate::material::{INDEX, chunk, info, listed, own, point, shared, shared_there, there};
use crate::server::{Answer, Server};

async fn upsert(vector_io: &Arc<dyn VectorIo>, chunks: Vec<Chunk>) -> puna_api::Result<()> {
    let index_id = INDEX.to_owned();
    vector_io
        .upsert_chunks(&context(), UpsertChunks { index_id, chunks })
        .await
}

#[tokio::test]
async fn chunks_are_written() {
    let server = Server::start([there(), Answer::written(), Answer::written()]).await;
    let bare = Chunk {
        text: String::new(),
        attributes: Attributes::new(),
        ..chunk("b", 1)
    };
    upsert(&own(&server).await, vec![chunk("a", 3), bare, chunk("a", 0)])
        .await
        .unwrap();
    insta::assert_snapshot!("chunks_are_written", server.shown());

    let server = Server::start([listed(), shared_there(), Answer::written(), Answer::written()]).await;
    upsert(&shared(&server).await, vec![chunk("a", 0)]).await.unwrap();
    insta::assert_snapshot!("chunks_of_a_shared_index_are_written", server.shown());
}

#[tokio::test]
async fn many_chunks_are_written_by_parts() {
    let fields = ["document_id", "position", "equals", "numbers.published-20in"];
    let there = || Answer::info(info(Distance::Cosine, &fields));
    let server = Server::start([there(), Answer::written(), Answer::written(), Answer::written()]).await;
    let mut chunks: Vec<Chunk> = (0..1001).map(|number| chunk(&format!("{number:04}"), number)).collect();
    chunks[1000].text = "x".repeat(5 << 20);
    chunks.push(chunk("z", 0));
    upsert(&own(&server).await, chunks).await.unwrap();
    let sizes: Vec<usize> = server.asked()[1..].iter().map(|asked| asked.message.len()).collect();
    assert!(
        sizes[0] < 1 << 20 && sizes[1] > 5 << 20 && sizes[2] < 1 << 10,
        "{sizes:?}"
    );

    let server = Server::start([there()]).await;
    upsert(&own(&server).await, vec![]).await.unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn chunks_are_deleted() {
    let server = Server::start([there(), Answer::written(), there(), Answer::written(), Answer::gone()]).await;
    let vector_io = own(&server).await;
    for selection in [
        ChunkSelection::Chunks(vec!["a".to_owned(), "b".to_owned()]),
        ChunkSelection::Document("a document".to_owned()),
        ChunkSelection::Document("a document".to_owned()),
    ] {
        let index_id = INDEX.to_owned();
        let request = DeleteChunks { index_id, selection };
        vector_io.delete_chunks(&context(), request).await.unwrap();
    }
    insta::assert_snapshot!("chunks_are_deleted", server.shown());

    let server = Server::start([listed(), shared_there(), Answer::written()]).await;
    let request = DeleteChunks {
        index_id: INDEX.to_owned(),
        selection: ChunkSelection::Document("a document".to_owned()),
    };
    shared(&server).await.delete_chunks(&context(), request).await.unwrap();
    insta::assert_snapshot!("chunks_of_a_shared_index_are_deleted", server.shown());
}

fn list(after: Option<u32>, limit: usize) -> ListChunks {
    ListChunks {
        index_id: INDEX.to_owned(),
        document_id: "a document".to_owned(),
        after,
        limit,
    }
}

#[tokio::test]
async fn chunks_are_listed() {
    let page = Answer::page(vec![point("b", 4), point("a", 4), point("c", 5)]);
    let server = Server::start([there(), page]).await;
    let page = own(&server)
        .await
        .list_chunks(&context(), list(Some(3), 2))
        .await
        .unwrap();
    assert_eq!(page.chunks, [chunk("a", 4), chunk("b", 4)]);
    assert!(page.has_more);
    insta::assert_snapshot!(server.shown());
}

#[tokio::test]
async fn a_long_list_goes_on_behind_what_is_known() {
    let mut first: Vec<RetrievedPoint> = (0..999).map(|number| point(&format!("{number:04}"), number)).collect();
    first.push(point("0999", 998));
    let second = vec![point("1000", 998), point("1001", 999)];
    let server = Server::start([there(), Answer::page(first), Answer::page(second)]).await;
    let page = own(&server)
        .await
        .list_chunks(&context(), list(None, 5000))
        .await
        .unwrap();
    assert!(page.chunks.iter().map(|chunk| chunk.chunk_id.as_str()).is_sorted());
    assert_eq!((page.chunks.len(), page.has_more), (1002, false));
    let request = ScrollPoints::decode(server.asked()[2].message.clone()).unwrap();
    let filter = request.filter.unwrap();
    insta::assert_snapshot!("behind_what_is_known", server.asked()[2].shown);
    assert_eq!(
        (filter.must.len(), filter.must_not.len(), request.limit),
        (2, 1, Some(1000))
    );
}
