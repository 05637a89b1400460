//! Searches: which chunks, by one request for each list; then the chunks themselves.

use puna_api::{ChunkQuery, Fusion, Metric, Result, ScoredChunk, SearchChunks};
use qdrant_client::qdrant::vector_input::Variant;
use qdrant_client::qdrant::{
    self, CountPoints, DenseVector, IdfParams, Query, QueryPoints, SearchParams, VectorInput, query,
};

use crate::error::{failed, not_ours};
use crate::fields::CHUNK_ID;
use crate::filter::{condition, within};
use crate::indexes::Index;
use crate::provider::CAPABILITIES;
use crate::server::Server;
use crate::stored::{DENSE, WORDS, compared, take_text};
use crate::words;

/// How many more chunks than wanted are asked for, so that those of equal score at the end can be put in order, and how many more at most.
const SPARE: usize = 16;
const MAX_SPARE: usize = 10_000;

/// The most chunks that are asked for before it is known that there are as many.
const MAX_UNCOUNTED: usize = 10_000;

/// A search under way.
struct Search<'a> {
    server: &'a Server,
    index: Index,
    filter: Option<qdrant::Filter>,
}

/// Ids of chunks with their scores, best first.
type Ranked = Vec<(String, f32)>;

impl Server {
    /// Finds chunks.
    pub(crate) async fn search(&self, request: &SearchChunks) -> Result<Vec<ScoredChunk>> {
        let index = self.index(&request.index_id).await?;
        request.check(CAPABILITIES, &index.about)?;
        let condition = request.filter.as_ref().map(condition);
        let search = Search {
            server: self,
            filter: within(&index, condition),
            index,
        };
        search.answer(request).await
    }
}

impl Search<'_> {
    async fn answer(&self, request: &SearchChunks) -> Result<Vec<ScoredChunk>> {
        let ranked = match &request.query {
            ChunkQuery::Vector(vector) => self.by_vector(vector, request.limit).await?,
            ChunkQuery::Keyword(text) => self.by_words(text, request.limit).await?,
            ChunkQuery::Hybrid { vector, text, fusion } => {
                let depth = Fusion::depth(request.limit);
                let by_words = self.by_words(text, depth).await?;
                let by_vector = self.by_vector(vector, depth).await?;
                fusion.fuse(&by_vector, &by_words)
            }
        };
        let ranked = request.cut(ranked);
        let ids = ranked.iter().map(|(id, _)| id.as_str());
        let chunks = self.server.chunks_of(&self.index, ids).await?;
        Ok(ScoredChunk::in_order(ranked, chunks))
    }

    /// The nearest: by Qdrant's graph, where there is one and it finds as many as asked for; by comparing all otherwise.
    async fn by_vector(&self, vector: &[f32], limit: usize) -> Result<Ranked> {
        let metric = self.index.about.metric;
        let (data, _) = compared(metric, vector);
        let score = |score: f32| match metric {
            Metric::Cosine => score.clamp(-1.0, 1.0),
            Metric::Dot => score,
            Metric::L2 => 1.0 / (1.0 + score),
        };
        let request = |is_exact: bool| QueryPoints {
            params: is_exact.then(|| SearchParams {
                exact: Some(true),
                ..SearchParams::default()
            }),
            ..self.query(DENSE, Variant::Dense(DenseVector { data: data.clone() }))
        };
        let limit = self.bounded(limit).await?;
        let found = self.rank(request(false), limit, score).await?;
        if found.len() < limit && self.index.has_graph {
            return self.rank(request(true), limit, score).await;
        }
        Ok(found)
    }

    /// Those with words of the text, by BM25.
    async fn by_words(&self, text: &str, limit: usize) -> Result<Ranked> {
        let Some(words) = words::of_query(text) else {
            return Ok(Vec::new());
        };
        let request = QueryPoints {
            // How rare a word is among the chunks of this index; of the whole collection where a server does not know this yet.
            params: self.index.tenant().map(|tenant| SearchParams {
                idf: Some(IdfParams {
                    corpus: Some(qdrant::Filter::must([tenant])),
                }),
                ..SearchParams::default()
            }),
            ..self.query(WORDS, Variant::Sparse(words))
        };
        let limit = self.bounded(limit).await?;
        let mut found = self.rank(request, limit, |score| score).await?;
        found.retain(|(_, score)| *score > 0.0);
        Ok(found)
    }

    fn query(&self, using: &str, vector: Variant) -> QueryPoints {
        QueryPoints {
            collection_name: self.index.collection.clone(),
            query: Some(Query {
                variant: Some(query::Variant::Nearest(VectorInput { variant: Some(vector) })),
            }),
            using: Some(using.to_owned()),
            filter: self.filter.clone(),
            with_payload: Some(vec![CHUNK_ID].into()),
            ..QueryPoints::default()
        }
    }

    /// The best, those of equal score in the order of their ids.
    ///
    /// Qdrant has another order of those, so that it is asked for more until one is worse than the last that is wanted.
    async fn rank(&self, mut request: QueryPoints, limit: usize, score: impl Fn(f32) -> f32) -> Result<Ranked> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut spare = SPARE;
        loop {
            let asked = limit.saturating_add(spare);
            request.limit = Some(asked as u64);
            let answer = self.server.client.query(request.clone()).await;
            let answer = answer.map_err(|error| failed(&self.index.about.index_id, error))?;
            let is_all = answer.result.len() < asked;
            let mut ranked = Vec::with_capacity(answer.result.len());
            for mut point in answer.result {
                let id = take_text(&mut point.payload, CHUNK_ID).ok_or_else(|| not_ours("a point"))?;
                // There is one zero.
                ranked.push((id, score(point.score) + 0.0));
            }
            ranked.sort_by(|(id, score), (other_id, other): &(String, f32)| {
                other.total_cmp(score).then_with(|| id.cmp(other_id))
            });
            let is_told_apart = match (ranked.get(limit - 1), ranked.last()) {
                (Some((_, wanted)), Some((_, last))) => last < wanted,
                _ => true,
            };
            if is_all || is_told_apart || spare == MAX_SPARE {
                ranked.truncate(limit);
                return Ok(ranked);
            }
            spare = (spare * 8).min(MAX_SPARE);
        }
    }

    /// How many can be found at most, where many are wanted: Qdrant makes room for all that it is asked for.
    async fn bounded(&self, limit: usize) -> Result<usize> {
        if limit <= MAX_UNCOUNTED {
            return Ok(limit);
        }
        let request = CountPoints {
            collection_name: self.index.collection.clone(),
            filter: self.filter.clone(),
            exact: Some(true),
            ..CountPoints::default()
        };
        let counted = self.server.client.count(request).await;
        let counted = counted.map_err(|error| failed(&self.index.about.index_id, error))?;
        let count = counted.result.map_or(0, |result| result.count);
        Ok(limit.min(usize::try_from(count).unwrap_or(usize::MAX)))
    }
}
