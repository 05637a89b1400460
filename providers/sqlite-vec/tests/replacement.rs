//! A chunk that is replaced while others search is there all the time.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::cell::Cell;

use puna_api::{
    Attributes, Chunk, ChunkQuery, Filter, Fusion, Metric, SearchChunks, UpsertChunks, VectorIndex, VectorIo,
};
use puna_testkit::{TestHost, context};
use serde_json::{Map, json};

/// Enough that a search takes as long as a replacement.
const CHUNKS: usize = 2000;

const REPLACEMENTS: usize = 100;

const INDEX: &str = "vs_replaced";

fn chunk(which: usize, replacement: usize) -> Chunk {
    Chunk {
        chunk_id: format!("c{which}"),
        document_id: "d".to_owned(),
        position: which as u32,
        text: format!("words of replacement {replacement}"),
        vector: vec![1.0, which as f32],
        attributes: Attributes::from([("which".to_owned(), (which as f64).into())]),
        metadata: Map::new(),
    }
}

async fn upsert(vector_io: &dyn VectorIo, chunks: Vec<Chunk>) {
    let index_id = INDEX.to_owned();
    let request = UpsertChunks { index_id, chunks };
    vector_io.upsert_chunks(&context(), request).await.unwrap();
}

#[tokio::test]
async fn it_is_found_by_every_kind_of_search() {
    let test = TestHost::new().unwrap();
    let provider = puna_provider_sqlite_vec::PROVIDER;
    let config = provider.check(json!({})).unwrap();
    let vector_io = provider.build(config, test.host()).await.unwrap().vector_io.unwrap();
    let index = VectorIndex {
        index_id: INDEX.to_owned(),
        dimension: 2,
        metric: Metric::Cosine,
    };
    vector_io.create_index(&context(), index).await.unwrap();
    upsert(&*vector_io, (0..CHUNKS).map(|which| chunk(which, 0)).collect()).await;

    let goes_on = Cell::new(true);
    let replace = async {
        for replacement in 1..=REPLACEMENTS {
            upsert(&*vector_io, vec![chunk(0, replacement)]).await;
        }
        goes_on.set(false);
    };
    let vector = || vec![1.0, 0.0];
    let text = || "words".to_owned();
    let search = async {
        while goes_on.get() {
            for query in [
                ChunkQuery::Vector(vector()),
                ChunkQuery::Keyword(text()),
                ChunkQuery::Hybrid {
                    vector: vector(),
                    text: text(),
                    fusion: Fusion::default(),
                },
            ] {
                let mode = query.mode();
                let request = SearchChunks {
                    index_id: INDEX.to_owned(),
                    query,
                    filter: Some(Filter::Lt {
                        key: "which".to_owned(),
                        value: 1.0,
                    }),
                    limit: 3,
                    score_threshold: None,
                };
                let found = vector_io.search_chunks(&context(), request).await.unwrap();
                let ids: Vec<&str> = found.iter().map(|found| found.chunk.chunk_id.as_str()).collect();
                assert_eq!(ids, ["c0"], "{mode:?}");
            }
        }
    };
    futures::future::join(replace, search).await;
}
