//! Chunks are written, removed and listed.

use std::collections::BTreeMap;

use prost::Message;
use puna_api::{Chunk, ChunkPage, ChunkSelection, DeleteChunks, ListChunks, Result, UpsertChunks};
use qdrant_client::qdrant::{
    Condition, GetPoints, OrderBy, PointId, PointStruct, Range, ScrollPoints, UpsertPoints,
    points_selector::PointsSelectorOneOf,
};

use crate::error::failed;
use crate::fields::{DOCUMENT_ID, Field, POSITION};
use crate::filter::{is, within};
use crate::indexes::Index;
use crate::server::Server;
use crate::stored::{DENSE, chunk, point, point_id};

/// The most points of a request, the most numbers of their vectors to read, and the most bytes to write.
const MAX_POINTS: usize = 1000;
const MAX_NUMBERS: usize = 1 << 22;
const MAX_BYTES: usize = 4 << 20;

impl Server {
    /// Adds chunks or replaces those with the same ids.
    pub(crate) async fn upsert(&self, request: &UpsertChunks) -> Result<()> {
        let index = self.index(&request.index_id).await?;
        request.check(&index.about)?;
        // Of those with the same id the last.
        let chunks: BTreeMap<&str, &Chunk> = request
            .chunks
            .iter()
            .map(|chunk| (chunk.chunk_id.as_str(), chunk))
            .collect();
        if chunks.is_empty() {
            return Ok(());
        }
        let mut fields = Field::of_all(index.is_shared);
        fields.extend(Field::of_numbers(chunks.values().copied(), &index.fields));
        self.add_fields(&index, fields).await?;
        let (mut points, mut bytes) = (Vec::new(), 0);
        for chunk in chunks.into_values() {
            let point = point(&index, chunk);
            let more = point.encoded_len();
            if points.len() == MAX_POINTS || (bytes + more > MAX_BYTES && !points.is_empty()) {
                self.write(&index, std::mem::take(&mut points)).await?;
                bytes = 0;
            }
            bytes += more;
            points.push(point);
        }
        self.write(&index, points).await
    }

    /// Removes chunks.
    pub(crate) async fn delete(&self, request: &DeleteChunks) -> Result<()> {
        let Some(index) = self.find(&request.index_id).await? else {
            return Ok(());
        };
        match &request.selection {
            ChunkSelection::Chunks(ids) => {
                for ids in ids.chunks(MAX_POINTS) {
                    let ids: Vec<PointId> = ids.iter().map(|id| point_id(&request.index_id, id)).collect();
                    let these = PointsSelectorOneOf::Points(ids.into());
                    self.remove(&index.collection, these).await?;
                }
                Ok(())
            }
            ChunkSelection::Document(id) => {
                let of_document = within(&index, [is(DOCUMENT_ID, id.clone())]);
                let these = PointsSelectorOneOf::Filter(of_document.unwrap_or_default());
                self.remove(&index.collection, these).await
            }
        }
    }

    /// Lists chunks; the request was checked.
    pub(crate) async fn list(&self, request: &ListChunks) -> Result<ChunkPage> {
        let index = self.index(&request.index_id).await?;
        let wanted = request.limit.saturating_add(1);
        let mut chunks: Vec<Chunk> = Vec::new();
        loop {
            let most = readable(&index).min(wanted - chunks.len());
            let more = self.behind(&index, request, &chunks, most).await?;
            let is_last = more.len() < most;
            chunks.extend(more);
            if is_last || chunks.len() == wanted {
                break;
            }
        }
        chunks.sort_by(|one, other| (one.position, &one.chunk_id).cmp(&(other.position, &other.chunk_id)));
        let has_more = chunks.len() > request.limit;
        chunks.truncate(request.limit);
        Ok(ChunkPage { chunks, has_more })
    }

    /// The chunks of these ids, in no order.
    pub(crate) async fn chunks_of<'a>(&self, index: &Index, ids: impl Iterator<Item = &'a str>) -> Result<Vec<Chunk>> {
        let ids: Vec<PointId> = ids.map(|id| point_id(&index.about.index_id, id)).collect();
        let mut chunks = Vec::with_capacity(ids.len());
        for ids in ids.chunks(readable(index)) {
            let request = GetPoints {
                collection_name: index.collection.clone(),
                ids: ids.to_vec(),
                with_payload: Some(true.into()),
                with_vectors: Some(vec![DENSE].into()),
                ..GetPoints::default()
            };
            let points = self.client.get_points(request).await;
            let points = points.map_err(|error| failed(&index.about.index_id, error))?;
            for point in points.result {
                chunks.push(chunk(point)?);
            }
        }
        Ok(chunks)
    }

    /// The document's next chunks behind those that are known. There may be several at one place.
    async fn behind(&self, index: &Index, request: &ListChunks, known: &[Chunk], most: usize) -> Result<Vec<Chunk>> {
        let last = known.last().map(|chunk| chunk.position);
        let range = Range {
            gt: request.after.map(f64::from),
            gte: last.map(f64::from),
            ..Range::default()
        };
        let mut conditions = vec![is(DOCUMENT_ID, request.document_id.clone())];
        if range != Range::default() {
            conditions.push(Condition::range(POSITION, range));
        }
        let mut filter = within(index, conditions).unwrap_or_default();
        let at_last = known.iter().filter(|chunk| Some(chunk.position) == last);
        let at_last: Vec<PointId> = at_last
            .map(|chunk| point_id(&index.about.index_id, &chunk.chunk_id))
            .collect();
        if !at_last.is_empty() {
            filter.must_not.push(Condition::has_id(at_last));
        }
        let request = ScrollPoints {
            collection_name: index.collection.clone(),
            filter: Some(filter),
            limit: u32::try_from(most).ok(),
            with_payload: Some(true.into()),
            with_vectors: Some(vec![DENSE].into()),
            order_by: Some(OrderBy {
                key: POSITION.to_owned(),
                ..OrderBy::default()
            }),
            ..ScrollPoints::default()
        };
        let points = self.client.scroll(request).await;
        let points = points.map_err(|error| failed(&index.about.index_id, error))?;
        points.result.into_iter().map(chunk).collect()
    }

    async fn write(&self, index: &Index, points: Vec<PointStruct>) -> Result<()> {
        let request = UpsertPoints {
            collection_name: index.collection.clone(),
            // The answer comes when the points are there for every search.
            wait: Some(true),
            points,
            ..UpsertPoints::default()
        };
        let written = self.client.upsert_points(request).await;
        written.map(drop).map_err(|error| failed(&index.about.index_id, error))
    }
}

/// How many points may be read at once.
fn readable(index: &Index) -> usize {
    (MAX_NUMBERS / index.about.dimension.max(1) as usize).clamp(1, MAX_POINTS)
}
