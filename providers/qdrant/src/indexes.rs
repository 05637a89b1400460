//! Indexes: each a collection, or a part of one that is listed in another.

use std::collections::{BTreeSet, HashMap};

use puna_api::{Metric, Result, VectorIndex};
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, Condition, CreateCollection, CreateFieldIndexCollection, DeletePoints, Distance, Filter, GetPoints,
    HnswConfigDiff, Modifier, NamedVectors, PointStruct, PointsSelector, SparseVectorConfig, SparseVectorParams,
    UpsertPoints, VectorParams, VectorParamsMap, Vectors, VectorsConfig, points_selector::PointsSelectorOneOf,
};

use crate::error::{failed, from_qdrant, is_gone, not_ours};
use crate::fields::{Field, INDEX_ID};
use crate::filter::is;
use crate::provider::CAPABILITIES;
use crate::server::Server;
use crate::stored::{DENSE, WORDS, point_id, take_text};

/// Where the list says which collection an index is in.
const COLLECTION: &str = "collection";

/// How many neighbours a vector has in the graph of its index, where indexes share a collection; as many as otherwise in that of all.
const NEIGHBOURS: u64 = 16;

/// An index that is there.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) about: VectorIndex,
    pub(crate) collection: String,
    /// Whether others are in the same collection.
    pub(crate) is_shared: bool,
    /// The fields that Qdrant has an index for.
    pub(crate) fields: BTreeSet<String>,
    /// Whether a part of the vectors are searched by a graph, which need not find all that there is.
    pub(crate) has_graph: bool,
}

impl Index {
    /// What tells its chunks from others in the collection.
    pub(crate) fn tenant(&self) -> Option<Condition> {
        self.is_shared.then(|| is(INDEX_ID, self.about.index_id.clone()))
    }
}

impl Server {
    /// Makes an index, which was checked.
    pub(crate) async fn create_index(&self, index: &VectorIndex) -> Result<()> {
        if let Some(there) = self.find(&index.index_id).await? {
            there.about.check_same(index)?;
            // A creation may have ended before its end.
            return self.add_fields(&there, Field::of_all(there.is_shared)).await;
        }
        let collection = self.names.of_new(index);
        self.make(collection_of(index, collection.clone(), self.names.is_shared))
            .await?;
        if self.names.is_shared {
            self.enlist(&index.index_id, collection).await?;
        }
        // Someone else may have been faster, with another dimension.
        let there = self.index(&index.index_id).await?;
        there.about.check_same(index)?;
        self.add_fields(&there, Field::of_all(there.is_shared)).await
    }

    /// Removes an index with all that is in it.
    pub(crate) async fn delete_index(&self, index_id: &str) -> Result<()> {
        let Some(index) = self.find(index_id).await? else {
            return Ok(());
        };
        if !index.is_shared {
            let deleted = self.client.delete_collection(index.collection).await;
            return gone_or(deleted.map(drop));
        }
        // The list last, so that a deletion that was cut short can be made again.
        let of_index = PointsSelectorOneOf::Filter(Filter::must(index.tenant()));
        self.remove(&index.collection, of_index).await?;
        let listed = PointsSelectorOneOf::Points(vec![point_id(index_id, "")].into());
        self.remove(&self.names.list(), listed).await
    }

    /// An index, which must be there.
    pub(crate) async fn index(&self, index_id: &str) -> Result<Index> {
        let found = self.find(index_id).await?;
        found.ok_or_else(|| crate::error::no_index(index_id))
    }

    /// An index, if it is there.
    pub(crate) async fn find(&self, index_id: &str) -> Result<Option<Index>> {
        let named = VectorIndex {
            index_id: index_id.to_owned(),
            dimension: 1,
            metric: Metric::Cosine,
        };
        if named.check(CAPABILITIES).is_err() {
            return Ok(None);
        }
        let collection = match self.names.is_shared {
            true => self.listed(index_id).await?,
            false => Some(self.names.own(index_id)),
        };
        let Some(collection) = collection else {
            return Ok(None);
        };
        let info = match self.client.collection_info(collection.as_str()).await {
            Ok(answer) => answer.result.unwrap_or_default(),
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(from_qdrant(error)),
        };
        let index = read(info, index_id, &collection, self.names.is_shared);
        index
            .map(Some)
            .ok_or_else(|| not_ours(&format!("the collection `{collection}`")))
    }

    /// Adds indexes for those fields that have none.
    pub(crate) async fn add_fields(&self, index: &Index, fields: Vec<Field>) -> Result<()> {
        for field in fields {
            if index.fields.contains(&field.name) {
                continue;
            }
            let request = CreateFieldIndexCollection {
                collection_name: index.collection.clone(),
                wait: Some(true),
                field_type: Some(field.field_type().into()),
                field_index_params: field.params(),
                field_name: field.name,
                ..CreateFieldIndexCollection::default()
            };
            let added = self.client.create_field_index(request).await;
            added.map_err(|error| failed(&index.about.index_id, error))?;
        }
        Ok(())
    }

    /// Removes points of a collection, if it is there.
    pub(crate) async fn remove(&self, collection: &str, which: PointsSelectorOneOf) -> Result<()> {
        let request = DeletePoints {
            collection_name: collection.to_owned(),
            wait: Some(true),
            points: Some(PointsSelector {
                points_selector_one_of: Some(which),
            }),
            ..DeletePoints::default()
        };
        gone_or(self.client.delete_points(request).await.map(drop))
    }

    /// Makes a collection unless it is there.
    async fn make(&self, request: CreateCollection) -> Result<()> {
        let collection = request.collection_name.clone();
        if self
            .client
            .collection_exists(collection.as_str())
            .await
            .map_err(from_qdrant)?
        {
            return Ok(());
        }
        match self.client.create_collection(request).await {
            Ok(_) => Ok(()),
            // Someone else may have been faster.
            Err(error) => match self.client.collection_exists(collection).await {
                Ok(true) => Ok(()),
                _ => Err(from_qdrant(error)),
            },
        }
    }

    /// Notes which collection an index is in.
    async fn enlist(&self, index_id: &str, collection: String) -> Result<()> {
        let list = CreateCollection {
            collection_name: self.names.list(),
            ..CreateCollection::default()
        };
        self.make(list).await?;
        let point = PointStruct {
            id: Some(point_id(index_id, "")),
            payload: HashMap::from([
                (INDEX_ID.to_owned(), index_id.into()),
                (COLLECTION.to_owned(), collection.into()),
            ]),
            vectors: Some(Vectors::from(NamedVectors::default())),
        };
        let request = UpsertPoints {
            collection_name: self.names.list(),
            wait: Some(true),
            points: vec![point],
            ..UpsertPoints::default()
        };
        self.client.upsert_points(request).await.map(drop).map_err(from_qdrant)
    }

    /// The collection that an index is in, by the list.
    async fn listed(&self, index_id: &str) -> Result<Option<String>> {
        let request = GetPoints {
            collection_name: self.names.list(),
            ids: vec![point_id(index_id, "")],
            with_payload: Some(true.into()),
            ..GetPoints::default()
        };
        let mut points = match self.client.get_points(request).await {
            Ok(answer) => answer.result,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(from_qdrant(error)),
        };
        let Some(mut point) = points.pop() else {
            return Ok(None);
        };
        let collection = take_text(&mut point.payload, COLLECTION);
        collection.map(Some).ok_or_else(|| not_ours("the list of indexes"))
    }
}

/// The collection to make for an index.
fn collection_of(index: &VectorIndex, collection_name: String, is_shared: bool) -> CreateCollection {
    let dense = VectorParams {
        size: index.dimension.into(),
        distance: distance(index.metric).into(),
        // A graph for each index, and none of them all together.
        hnsw_config: is_shared.then(|| HnswConfigDiff {
            m: Some(0),
            payload_m: Some(NEIGHBOURS),
            ..HnswConfigDiff::default()
        }),
        ..VectorParams::default()
    };
    let words = SparseVectorParams {
        modifier: Some(Modifier::Idf.into()),
        ..SparseVectorParams::default()
    };
    CreateCollection {
        collection_name,
        vectors_config: Some(VectorsConfig {
            config: Some(Config::ParamsMap(VectorParamsMap {
                map: HashMap::from([(DENSE.to_owned(), dense)]),
            })),
        }),
        sparse_vectors_config: Some(SparseVectorConfig {
            map: HashMap::from([(WORDS.to_owned(), words)]),
        }),
        ..CreateCollection::default()
    }
}

fn distance(metric: Metric) -> Distance {
    match metric {
        Metric::Cosine => Distance::Cosine,
        Metric::Dot => Distance::Dot,
        Metric::L2 => Distance::Euclid,
    }
}

/// The index of a collection; none if it is one of somebody else's.
fn read(info: CollectionInfo, index_id: &str, collection: &str, is_shared: bool) -> Option<Index> {
    let params = info.config?.params?;
    let Config::ParamsMap(vectors) = params.vectors_config?.config? else {
        return None;
    };
    let dense = vectors.map.get(DENSE)?;
    params.sparse_vectors_config?.map.get(WORDS)?;
    let mut known = Metric::ALL.iter().copied();
    let metric = known.find(|metric| distance(*metric) as i32 == dense.distance)?;
    Some(Index {
        about: VectorIndex {
            index_id: index_id.to_owned(),
            dimension: u32::try_from(dense.size).ok()?,
            metric,
        },
        collection: collection.to_owned(),
        is_shared,
        fields: info.payload_schema.into_keys().collect(),
        has_graph: info.indexed_vectors_count.is_none_or(|count| count > 0),
    })
}

/// Takes what is gone already for deleted.
fn gone_or(deleted: Result<(), qdrant_client::QdrantError>) -> Result<()> {
    match deleted {
        Err(error) if !is_gone(&error) => Err(from_qdrant(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
impl Index {
    /// An index for tests.
    pub(crate) fn sample(is_shared: bool) -> Self {
        Self {
            about: VectorIndex {
                index_id: "vs_sample".to_owned(),
                dimension: 2,
                metric: Metric::Cosine,
            },
            collection: "puna_sample".to_owned(),
            is_shared,
            fields: BTreeSet::new(),
            has_graph: false,
        }
    }
}
