//! Searches: which chunks, then the chunks themselves.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use puna_api::{ChunkQuery, Fusion, Metric, Result, ScoredChunk, SearchChunks};
use serde_json::{Value, json};

use crate::answers::Nearest;
use crate::chunks::readable;
use crate::filter::{all, condition, has};
use crate::indexes::Index;
use crate::provider::CAPABILITIES;
use crate::server::Server;
use crate::stored::{WORDS, compared};
use crate::words;

/// How many more chunks than wanted are asked for, so that those of equal score at the end can be put in order, and how many more at most.
const SPARE: usize = 16;
const MAX_SPARE: usize = 10_000;

/// The most chunks that are asked for before it is known that there are as many.
const MAX_UNCOUNTED: usize = 1_000;

/// The most chunks that are compared to find one among enough that the graph may have left out.
const MAX_COMPARED: usize = 10_000;

/// The most chunks that are ranked by words, if no more are wanted.
const MAX_RANKED: usize = 5_000;

/// The most words of a query that count, and how many of them are looked for at once to see whether there is any.
const MAX_WORDS: usize = 256;
const WORDS_AT_ONCE: usize = 100;

/// How many requests of one search are under way at a time.
const MAX_REQUESTS: usize = 4;

/// A search under way.
struct Search<'a> {
    server: &'a Server,
    index: Index,
    filter: Option<Value>,
}

/// Ids of chunks with their scores, best first.
type Ranked = Vec<(String, f32)>;

/// A word with the ids of chunks that have it; not all where there are many.
struct Found {
    word: String,
    ids: Vec<String>,
    is_common: bool,
}

impl Server {
    /// Finds chunks.
    pub(crate) async fn search(&self, request: &SearchChunks) -> Result<Vec<ScoredChunk>> {
        let index = self.index(&request.index_id).await?;
        request.check(CAPABILITIES, &index.about)?;
        let search = Search {
            server: self,
            filter: request.filter.as_ref().map(condition),
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
                let (by_words, by_vector) = futures::join!(self.by_words(text, depth), self.by_vector(vector, depth));
                fusion.fuse(&by_vector?, &by_words?)
            }
        };
        let ranked = request.cut(ranked);
        let ids = ranked.iter().map(|(id, _)| id.clone()).collect();
        let chunks = self.server.chunks_of(&self.index, ids).await?;
        Ok(ScoredChunk::in_order(ranked, chunks))
    }

    /// The nearest: by Chroma's graph, and by comparing all where that does not lead to as many as there are. Among many of equal score it may end early.
    /// Where it leads to enough all the same, those that it left out are looked for among `MAX_COMPARED` at most.
    ///
    /// Those of equal score are in no order there, so that more are asked for until there is such a one.
    async fn by_vector(&self, vector: &[f32], limit: usize) -> Result<Ranked> {
        let (vector, _) = compared(self.index.about.metric, vector);
        let limit = match limit {
            0..=MAX_UNCOUNTED => limit,
            _ => limit.min(self.count().await?),
        };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut spare = SPARE;
        loop {
            let asked = limit.saturating_add(spare);
            let mut found = self.nearest(&vector, asked).await?;
            let is_told_apart = match (found.get(limit - 1), found.last()) {
                (Some((_, wanted)), Some((_, last))) => last < wanted,
                _ => false,
            };
            if found.len() < asked {
                let most = (found.len() >= limit).then_some(MAX_COMPARED);
                let ids = self
                    .server
                    .ids(&self.index, self.filter.clone(), most.map(|most| most + 1))
                    .await?;
                if ids.len() > found.len() && most.is_none_or(|most| ids.len() <= most) {
                    found = self.compare(&vector, ids).await?;
                }
            }
            if found.len() != asked || is_told_apart || spare == MAX_SPARE {
                found.truncate(limit);
                return Ok(found);
            }
            spare = (spare * 8).min(MAX_SPARE);
        }
    }

    /// What Chroma's graph leads to.
    async fn nearest(&self, vector: &[f32], asked: usize) -> Result<Ranked> {
        let mut request = json!({ "query_embeddings": [vector], "n_results": asked, "include": ["distances"] });
        if let Some(filter) = &self.filter {
            request["where"] = filter.clone();
        }
        let answer = self.server.read::<Nearest>(&self.index.path("query"), &request).await;
        let answer = answer.map_err(|failure| self.index.failed(failure))?;
        let ids = answer.ids.into_iter().flatten();
        let distances = answer.distances.into_iter().flatten().flatten();
        let metric = self.index.about.metric;
        let scored = ids.zip(distances).map(|(id, distance)| {
            let distance = distance.unwrap_or(f32::INFINITY);
            let score = match metric {
                Metric::Cosine => (1.0 - distance).clamp(-1.0, 1.0),
                Metric::Dot => 1.0 - distance,
                // Of the square, which rounding may have made less than 0.
                Metric::L2 => 1.0 / (1.0 + distance.max(0.0).sqrt()),
            };
            // There is one zero.
            (id, score + 0.0)
        });
        Ok(best_first(scored.collect()))
    }

    /// All of these chunks with their scores.
    async fn compare(&self, vector: &[f32], ids: Vec<String>) -> Result<Ranked> {
        let metric = self.index.about.metric;
        let mut scored = Vec::with_capacity(ids.len());
        for ids in ids.chunks(readable(&self.index)) {
            let request = json!({ "ids": ids, "include": ["embeddings"] });
            let records = self.server.records(&self.index, &request).await?;
            let embeddings = records.embeddings.into_iter().flatten();
            for (id, embedding) in records.ids.into_iter().zip(embeddings) {
                // A chunk that is just coming in has none yet.
                if let Some(embedding) = embedding {
                    scored.push((id, score(metric, vector, &embedding.0)));
                }
            }
        }
        Ok(best_first(scored))
    }

    /// Those with words of the text, by BM25.
    ///
    /// Chroma tells which chunks have a word, and ranks nothing. So the chunks with the rarest words are ranked here; words that very many have only
    /// where too few have a rarer one.
    async fn by_words(&self, text: &str, limit: usize) -> Result<Ranked> {
        let words = self.present(words::of_query(text)).await?;
        if words.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let most = limit.max(MAX_RANKED);
        let found: Vec<_> = words.into_iter().map(|word| self.having(word, most)).collect();
        let found = stream::iter(found).buffered(MAX_REQUESTS).try_collect::<Vec<Found>>();
        let (found, count) = futures::join!(found, self.count());
        let (mut found, count) = (found?, count?);
        found.sort_by_key(|found| (found.is_common, found.ids.len()));
        let mut ids = BTreeSet::new();
        let mut weights = BTreeMap::new();
        for Found {
            word,
            ids: having,
            is_common,
        } in found
        {
            let with = if is_common { count } else { having.len() };
            weights.insert(word, words::weight(with, count));
            let enough = if is_common { limit } else { most };
            if ids.len() < enough {
                ids.extend(having);
            }
        }
        let ids: Vec<String> = ids.into_iter().take(most).collect();
        let mut ranked = best_first(self.rank(&ids, &weights).await?);
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// Those of the words that any chunk has, as many as count.
    async fn present(&self, words: Vec<String>) -> Result<Vec<String>> {
        if words.len() <= WORDS_AT_ONCE {
            return Ok(words);
        }
        let mut present = Vec::new();
        for words in words.chunks(WORDS_AT_ONCE) {
            let one_of = json!({ "$or": words.iter().map(|word| has(WORDS, word)).collect::<Vec<_>>() });
            if !self.ids_with(one_of, 1).await?.is_empty() {
                let each: Vec<_> = words.iter().map(|word| self.having(word.clone(), 1)).collect();
                let found: Vec<Found> = stream::iter(each).buffered(MAX_REQUESTS).try_collect().await?;
                let found = found.into_iter().filter(|found| !found.ids.is_empty());
                present.extend(found.map(|found| found.word));
            }
            if present.len() >= MAX_WORDS {
                break;
            }
        }
        present.truncate(MAX_WORDS);
        Ok(present)
    }

    /// The chunks that have a word, `most` at most.
    async fn having(&self, word: String, most: usize) -> Result<Found> {
        let mut ids = self.ids_with(has(WORDS, &word), most.saturating_add(1)).await?;
        let is_common = ids.len() > most;
        ids.truncate(most);
        Ok(Found { word, ids, is_common })
    }

    async fn ids_with(&self, condition: Value, limit: usize) -> Result<Vec<String>> {
        let condition = all(self.filter.clone().into_iter().chain([condition]));
        self.server.ids(&self.index, condition, Some(limit)).await
    }

    /// The chunks with their scores, in no order.
    async fn rank(&self, ids: &[String], weights: &BTreeMap<String, f32>) -> Result<Ranked> {
        let mut ranked = Vec::with_capacity(ids.len());
        for ids in ids.chunks(readable(&self.index)) {
            let request = json!({ "ids": ids, "include": ["documents"] });
            let records = self.server.records(&self.index, &request).await?;
            let documents = records.documents.into_iter().flatten();
            for (id, document) in records.ids.into_iter().zip(documents) {
                let score = words::score(document.as_deref().unwrap_or_default(), weights);
                if score > 0.0 {
                    ranked.push((id, score));
                }
            }
        }
        Ok(ranked)
    }

    /// How many chunks there are.
    async fn count(&self) -> Result<usize> {
        let count = self.server.get(&self.index.path("count")).await;
        count.map_err(|failure| self.index.failed(failure))
    }
}

/// In the order of answers.
fn best_first(mut ranked: Ranked) -> Ranked {
    ranked.sort_by(|(id, score), (other_id, other)| other.total_cmp(score).then_with(|| id.cmp(other_id)));
    ranked
}

/// The score of two vectors of `stored::compared`.
fn score(metric: Metric, one: &[f32], other: &[f32]) -> f32 {
    let pairs = one
        .iter()
        .zip(other)
        .map(|(one, other)| (f64::from(*one), f64::from(*other)));
    let score = match metric {
        Metric::Cosine | Metric::Dot => pairs.map(|(one, other)| one * other).sum::<f64>(),
        Metric::L2 => 1.0 / (1.0 + pairs.map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt()),
    };
    // There is one zero.
    score as f32 + 0.0
}
