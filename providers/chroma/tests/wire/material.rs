//! A server with prepared answers, and what it has.

use std::sync::Arc;

use puna_api::{Attributes, Chunk, ChunkQuery, Metric, SearchChunks, Services, VectorIndex, VectorIo};
use puna_testkit::{Fault, StubUpstream, TestHost};
use serde_json::{Map, Value, json};

pub(crate) const INDEX: &str = "vs";
pub(crate) const CHECKLIST: &str = "/api/v2/pre-flight-checks";

const DATABASE: &str = "/api/v2/tenants/default_tenant/databases/default_database";
const ID: &str = "49c07623-023d-4c08-b297-524f31e25052";

/// A path below the database.
pub(crate) fn path(below: &str) -> String {
    format!("{DATABASE}{below}")
}

/// The path of the index's collection, by its name.
pub(crate) fn by_name() -> String {
    path("/collections/puna_vs.index")
}

/// The path of what can be asked of the index's collection.
pub(crate) fn by_id(what: &str) -> String {
    path(&format!("/collections/{ID}/{what}"))
}

/// A server that has the index, and can take two records at once.
pub(crate) fn server(metric: Metric) -> StubUpstream {
    let server = StubUpstream::start().unwrap();
    server.fail(&by_name(), Fault::json(200, &collection(metric)));
    let checklist = json!({ "max_batch_size": 2, "supports_base64_encoding": true });
    server.fail(CHECKLIST, Fault::json(200, &checklist));
    for written in ["upsert", "delete"] {
        server.fail(&by_id(written), Fault::json(200, &json!({})));
    }
    server
}

pub(crate) fn collection(metric: Metric) -> Value {
    json!({
        "id": ID,
        "name": "puna_vs.index",
        "metadata": { "puna_dimension": 2, "puna_metric": metric.name() },
        "dimension": null,
        "configuration_json": { "hnsw": { "space": "ip" } },
    })
}

pub(crate) async fn services(config: Value) -> Services {
    let provider = puna_provider_chroma::PROVIDER;
    let host = TestHost::new().unwrap();
    provider
        .build(provider.check(config).unwrap(), host.host())
        .await
        .unwrap()
}

pub(crate) async fn vector_io(server: &StubUpstream) -> Arc<dyn VectorIo> {
    services(json!({ "url": server.url() })).await.vector_io.unwrap()
}

/// What was sent to the server, but for where it asks for the collection.
pub(crate) fn sent(server: &StubUpstream) -> Vec<Value> {
    let requests = server.requests().into_iter();
    let others = requests.filter(|request| request.path != by_name() && request.path != CHECKLIST);
    others
        .map(|request| json!({ "path": request.path.replace(DATABASE, "…"), "body": request.json() }))
        .collect()
}

pub(crate) fn index(metric: Metric) -> VectorIndex {
    VectorIndex {
        index_id: INDEX.to_owned(),
        dimension: 2,
        metric,
    }
}

pub(crate) fn chunk(id: &str, text: &str) -> Chunk {
    Chunk {
        chunk_id: id.to_owned(),
        document_id: "d".to_owned(),
        position: 7,
        text: text.to_owned(),
        vector: vec![3.0, 4.0],
        attributes: Attributes::from([
            ("year".to_owned(), 1843.0.into()),
            ("author".to_owned(), "Ada".to_owned().into()),
        ]),
        metadata: Map::from_iter([("page".to_owned(), json!(3))]),
    }
}

/// The records of such chunks, in an index that is compared by L2, as the server answers them.
pub(crate) fn records(chunks: &[Chunk]) -> Value {
    let metadata = |chunk: &Chunk| {
        // The vector is that of `chunk`.
        let kept = json!({ "attributes": chunk.attributes, "metadata": chunk.metadata, "vector": "592960d759401405" });
        json!({ "document_id": chunk.document_id, "position": chunk.position, "kept": kept.to_string(), "words": ["any"] })
    };
    json!({
        "ids": chunks.iter().map(|chunk| &chunk.chunk_id).collect::<Vec<_>>(),
        "documents": chunks.iter().map(|chunk| &chunk.text).collect::<Vec<_>>(),
        "metadatas": chunks.iter().map(metadata).collect::<Vec<_>>(),
        "embeddings": chunks.iter().map(|chunk| &chunk.vector).collect::<Vec<_>>(),
        "uris": null,
    })
}

pub(crate) fn search(query: ChunkQuery) -> SearchChunks {
    SearchChunks {
        index_id: INDEX.to_owned(),
        query,
        filter: None,
        limit: 2,
        score_threshold: None,
    }
}
