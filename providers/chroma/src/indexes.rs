//! Indexes: each a collection.

use puna_api::{Error, Metric, Result, VectorIndex};
use serde_json::{Value, json};

use crate::answers::Collection;
use crate::error::{Failure, failed, no_index, not_ours};
use crate::provider::CAPABILITIES;
use crate::server::Server;

/// An index that is there.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) about: VectorIndex,
    /// The path of its collection below the database.
    path: String,
}

impl Index {
    /// The path of something that can be asked of the collection, such as `get`.
    pub(crate) fn path(&self, what: &str) -> String {
        format!("{}/{what}", self.path)
    }

    /// What a failed request to it means.
    pub(crate) fn failed(&self, failure: Failure) -> Error {
        failed(&self.about.index_id, failure)
    }
}

impl Server {
    /// Makes an index, which was checked.
    pub(crate) async fn create_index(&self, index: &VectorIndex) -> Result<()> {
        if let Some(there) = self.find(&index.index_id).await? {
            return there.about.check_same(index);
        }
        let request = json!({
            "name": self.collection_of(&index.index_id),
            "metadata": { "puna_dimension": index.dimension, "puna_metric": index.metric.name() },
            "configuration": { "hnsw": { "space": space(index.metric) } },
        });
        let Err(failure) = self.write::<Collection>("/collections", &request).await else {
            return Ok(());
        };
        // Someone else may have been faster, with another dimension.
        match self.find(&index.index_id).await? {
            Some(there) => there.about.check_same(index),
            None => {
                self.check().await?;
                Err(failure.into())
            }
        }
    }

    /// Removes an index with all that is in it.
    pub(crate) async fn delete_index(&self, index_id: &str) -> Result<()> {
        if self.find(index_id).await?.is_none() {
            return Ok(());
        }
        match self.remove(&self.collection_path(index_id)).await {
            Err(Failure::Refused(refusal)) if refusal.is_gone() => Ok(()),
            outcome => outcome.map_err(Error::from),
        }
    }

    /// An index, which must be there.
    pub(crate) async fn index(&self, index_id: &str) -> Result<Index> {
        let found = self.find(index_id).await?;
        found.ok_or_else(|| no_index(index_id))
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
        let collection = match self.get(&self.collection_path(index_id)).await {
            Ok(collection) => collection,
            Err(Failure::Refused(refusal)) if refusal.is_gone() => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let index = read(collection, index_id);
        index
            .map(Some)
            .ok_or_else(|| not_ours(&format!("the collection `{}`", self.collection_of(index_id))))
    }

    fn collection_path(&self, index_id: &str) -> String {
        format!("/collections/{}", self.collection_of(index_id))
    }
}

/// How Chroma compares vectors, which are those of `stored::compared`.
fn space(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine | Metric::Dot => "ip",
        Metric::L2 => "l2",
    }
}

/// The index of a collection; none if it is one of somebody else's.
fn read(collection: Collection, index_id: &str) -> Option<Index> {
    let metadata = collection.metadata?;
    let dimension = metadata.puna_dimension.as_ref().and_then(Value::as_u64)?;
    let metric = metadata.puna_metric.as_ref().and_then(Value::as_str)?.to_owned();
    Some(Index {
        about: VectorIndex {
            index_id: index_id.to_owned(),
            dimension: u32::try_from(dimension).ok()?,
            metric: Metric::ALL.iter().copied().find(|known| known.name() == metric)?,
        },
        path: format!("/collections/{}", collection.id),
    })
}
