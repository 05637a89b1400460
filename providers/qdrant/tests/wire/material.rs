//! Providers, what they are asked for, and what a server has.

use std::collections::HashMap;
use std::sync::Arc;

use puna_api::{Attributes, Chunk, ChunkQuery, Metric, SearchChunks, Services, VectorIndex, VectorIo};
use puna_testkit::{TestHost, context};
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionConfig, CollectionInfo, CollectionParams, DenseVector, Distance, NamedVectorsOutput, PayloadSchemaInfo,
    RetrievedPoint, ScoredPoint, SparseVectorConfig, SparseVectorParams, Value, VectorOutput, VectorParams,
    VectorParamsMap, VectorsConfig, VectorsOutput, vector_output, vectors_output,
};
use serde_json::{Map, json};

use crate::server::{Answer, Server};

pub(crate) const INDEX: &str = "vs";

pub(crate) async fn services(config: serde_json::Value) -> Services {
    let provider = puna_provider_qdrant::PROVIDER;
    let host = TestHost::new().unwrap();
    provider
        .build(provider.check(config).unwrap(), host.host())
        .await
        .unwrap()
}

pub(crate) async fn vector_io(server: &Server, more: serde_json::Value) -> Arc<dyn VectorIo> {
    let mut config = json!({ "host": "127.0.0.1", "grpc_port": server.port });
    config
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    services(config).await.vector_io.unwrap()
}

pub(crate) async fn own(server: &Server) -> Arc<dyn VectorIo> {
    vector_io(server, json!({})).await
}

pub(crate) async fn shared(server: &Server) -> Arc<dyn VectorIo> {
    vector_io(server, json!({ "share_collections": true })).await
}

pub(crate) fn index(metric: Metric) -> VectorIndex {
    VectorIndex {
        index_id: INDEX.to_owned(),
        dimension: 2,
        metric,
    }
}

/// What the server says of a collection.
pub(crate) fn info(distance: Distance, fields: &[&str]) -> CollectionInfo {
    let params = VectorParams {
        size: 2,
        distance: distance.into(),
        ..VectorParams::default()
    };
    CollectionInfo {
        config: Some(CollectionConfig {
            params: Some(CollectionParams {
                vectors_config: Some(VectorsConfig {
                    config: Some(Config::ParamsMap(VectorParamsMap {
                        map: HashMap::from([("dense".to_owned(), params)]),
                    })),
                }),
                sparse_vectors_config: Some(SparseVectorConfig {
                    map: HashMap::from([("words".to_owned(), SparseVectorParams::default())]),
                }),
                ..CollectionParams::default()
            }),
            ..CollectionConfig::default()
        }),
        payload_schema: fields
            .iter()
            .map(|field| ((*field).to_owned(), PayloadSchemaInfo::default()))
            .collect(),
        indexed_vectors_count: Some(0),
        ..CollectionInfo::default()
    }
}

pub(crate) const FIELDS: &[&str] = &["document_id", "position", "equals"];

pub(crate) fn there() -> Answer {
    Answer::info(info(Distance::Cosine, FIELDS))
}

pub(crate) fn shared_there() -> Answer {
    Answer::info(info(
        Distance::Cosine,
        &["index_id", "document_id", "position", "equals"],
    ))
}

/// The list of indexes names the collection.
pub(crate) fn listed() -> Answer {
    Answer::points(vec![RetrievedPoint {
        payload: HashMap::from([("collection".to_owned(), "puna_~2-cosine".into())]),
        ..RetrievedPoint::default()
    }])
}

pub(crate) fn chunk(chunk_id: &str, position: u32) -> Chunk {
    Chunk {
        chunk_id: chunk_id.to_owned(),
        document_id: "a document".to_owned(),
        position,
        text: "two words".to_owned(),
        vector: vec![3.0, -4.0],
        attributes: Attributes::from([
            ("published in".to_owned(), 1843.0.into()),
            ("author".to_owned(), "Ada".to_owned().into()),
        ]),
        metadata: Map::from_iter([("page".to_owned(), json!(7))]),
    }
}

/// The point of [`chunk`], as the server hands it back.
pub(crate) fn point(chunk_id: &str, position: u32) -> RetrievedPoint {
    let text = |text: &str| Value::from(text);
    let dense = VectorOutput {
        vector: Some(vector_output::Vector::Dense(DenseVector { data: vec![0.6, -0.8] })),
        ..VectorOutput::default()
    };
    RetrievedPoint {
        payload: HashMap::from([
            ("chunk_id".to_owned(), text(chunk_id)),
            ("document_id".to_owned(), text("a document")),
            ("position".to_owned(), Kind::IntegerValue(position.into()).into()),
            ("text".to_owned(), text("two words")),
            (
                "attributes".to_owned(),
                text(r#"{"author":"Ada","published in":1843.0}"#),
            ),
            ("metadata".to_owned(), text(r#"{"page":7}"#)),
            ("norm".to_owned(), 5.0.into()),
        ]),
        vectors: Some(VectorsOutput {
            vectors_options: Some(vectors_output::VectorsOptions::Vectors(NamedVectorsOutput {
                vectors: HashMap::from([("dense".to_owned(), dense)]),
            })),
        }),
        ..RetrievedPoint::default()
    }
}

pub(crate) fn hit(chunk_id: &str, score: f32) -> ScoredPoint {
    ScoredPoint {
        payload: HashMap::from([("chunk_id".to_owned(), chunk_id.into())]),
        score,
        ..ScoredPoint::default()
    }
}

pub(crate) fn search(query: ChunkQuery, limit: usize) -> SearchChunks {
    SearchChunks {
        index_id: INDEX.to_owned(),
        query,
        filter: None,
        limit,
        score_threshold: None,
    }
}

pub(crate) fn by_vector(limit: usize) -> SearchChunks {
    search(ChunkQuery::Vector(vec![3.0, 4.0]), limit)
}

/// The ids and scores of what is found.
pub(crate) async fn found(vector_io: &Arc<dyn VectorIo>, request: SearchChunks) -> Vec<(String, f32)> {
    let found = vector_io.search_chunks(&context(), request).await.unwrap();
    found
        .into_iter()
        .map(|found| (found.chunk.chunk_id, found.score))
        .collect()
}

pub(crate) fn scores(expected: &[(&str, f32)]) -> Vec<(String, f32)> {
    expected.iter().map(|(id, score)| ((*id).to_owned(), *score)).collect()
}
