//! Searches.

use std::collections::HashMap;

use futures::future::try_join_all;
use puna_api::{
    Chunk, ChunkQuery, Error, Filter, RequestContext, RerankInput, RerankRequest, Result, ScoredChunk, SearchChunks,
    SearchMode, VectorIo,
};
use serde_json::Map;

use super::VectorStores;
use super::ranking::{Ranking, Rerank};
use crate::tables::{Indexed, StoreRow};
use crate::{
    ContentType, FoundChunk, QueryChunks, SearchHit, SearchResults, SearchStore, SearchText, TextContent, embedding,
    kept,
};

/// The results of a search that does not say how many.
const RESULTS: u32 = 10;
/// The most results of a search.
const MOST_RESULTS: u32 = 50;
/// The most queries of a search.
const MOST_QUERIES: usize = 32;
/// The longest query, in bytes.
const LONGEST_QUERY: usize = 64 * 1024;
/// The most chunks that are looked at to find enough that may be answered.
const DEEPEST: usize = 50_000;

/// What to look for in a store, and how.
struct Plan {
    queries: Vec<String>,
    mode: SearchMode,
    filter: Option<Filter>,
    limit: usize,
    ranking: Ranking,
    /// Whether scores are brought to 0 to 1.
    is_scaled: bool,
}

/// A chunk that may be answered.
struct Candidate {
    chunk: Chunk,
    indexed: Option<Indexed>,
    score: f32,
}

impl VectorStores {
    /// Searches a store.
    pub async fn search(
        &self,
        context: &RequestContext,
        store_id: &str,
        request: SearchStore,
    ) -> Result<SearchResults> {
        let limit = request.max_num_results.unwrap_or(RESULTS);
        if !(1..=MOST_RESULTS).contains(&limit) {
            let message = format!("`max_num_results` must be 1 to {MOST_RESULTS}, not {limit}");
            return Err(Error::invalid_request(message).with_param("max_num_results"));
        }
        let queries = queries(request.query)?;
        if let Some(filter) = &request.filters {
            filter.check("filters")?;
        }
        let mode = request.search_mode.unwrap_or(self.settings().retrieval.mode);
        let options = request.ranking_options.unwrap_or_default();
        let threshold = options.score_threshold.unwrap_or_default();
        if !(0.0..=1.0).contains(&threshold) {
            let message = format!("`ranking_options.score_threshold` must be 0 to 1, not {threshold}");
            return Err(Error::invalid_request(message).with_param("ranking_options.score_threshold"));
        }
        let mut ranking = self.ranking(&options, mode)?;
        // Nothing is below 0 once it is scaled.
        ranking.threshold = Some(threshold).filter(|threshold| *threshold > 0.0);
        let store = self.used_store(store_id).await?;
        let queries = match request.rewrite_query {
            Some(true) => self.rewritten(context, queries).await?,
            _ => queries,
        };
        let plan = Plan {
            queries,
            mode,
            filter: request.filters,
            limit: limit as usize,
            ranking,
            is_scaled: true,
        };
        let found = self.carry_out(context, &store, &plan).await?;
        Ok(SearchResults {
            search_query: plan.queries,
            data: found.into_iter().map(hit).collect(),
        })
    }

    /// Finds chunks, the best first.
    pub async fn query_chunks(
        &self,
        context: &RequestContext,
        store_id: &str,
        request: QueryChunks,
    ) -> Result<Vec<FoundChunk>> {
        if !(1..=QueryChunks::MOST).contains(&request.max_chunks) {
            let message = format!(
                "`max_chunks` must be 1 to {}, not {}",
                QueryChunks::MOST,
                request.max_chunks
            );
            return Err(Error::invalid_request(message).with_param("max_chunks"));
        }
        let queries = queries(request.query)?;
        if let Some(filter) = &request.filter {
            filter.check("filter")?;
        }
        let mode = request.mode.unwrap_or(self.settings().retrieval.mode);
        let ranking = self.ranking(&request.ranking, mode)?;
        let store = self.used_store(store_id).await?;
        let plan = Plan {
            queries,
            mode,
            filter: request.filter,
            limit: request.max_chunks as usize,
            ranking,
            is_scaled: false,
        };
        let found = self.carry_out(context, &store, &plan).await?;
        Ok(found.into_iter().map(Candidate::into_found).collect())
    }

    async fn carry_out(&self, context: &RequestContext, store: &StoreRow, plan: &Plan) -> Result<Vec<Candidate>> {
        let provider = self.provider(store)?;
        let rerank = plan.ranking.rerank.as_ref();
        let limit = match rerank {
            Some(_) => plan
                .limit
                .saturating_mul(self.settings().retrieval.multiplier.max(1) as usize),
            None => plan.limit,
        };
        // What a model orders is measured by the model's scores.
        let threshold = plan.ranking.threshold.filter(|_| rerank.is_none());
        let searches = self
            .chunk_queries(context, store, plan)
            .await?
            .into_iter()
            .map(|query| {
                let search = SearchChunks {
                    index_id: store.id.clone(),
                    query,
                    filter: plan.filter.clone(),
                    limit,
                    score_threshold: threshold.map(|threshold| plan.unscaled(threshold)),
                };
                self.candidates(context, &*provider, store, search)
            });
        let mut best: HashMap<String, Candidate> = HashMap::new();
        for mut candidate in try_join_all(searches).await?.into_iter().flatten() {
            candidate.score = plan.scaled(candidate.score);
            match best.get(&candidate.chunk.chunk_id) {
                Some(there) if there.score >= candidate.score => {}
                _ => {
                    best.insert(candidate.chunk.chunk_id.clone(), candidate);
                }
            }
        }
        let mut found: Vec<Candidate> = best.into_values().collect();
        sort(&mut found);
        found.truncate(limit);
        if let Some(rerank) = rerank {
            self.rerank(context, rerank, plan, &mut found).await?;
        }
        found.truncate(plan.limit);
        Ok(found)
    }

    async fn chunk_queries(&self, context: &RequestContext, store: &StoreRow, plan: &Plan) -> Result<Vec<ChunkQuery>> {
        let queries = || plan.queries.iter().cloned();
        if plan.mode == SearchMode::Keyword {
            return Ok(queries().map(ChunkQuery::Keyword).collect());
        }
        let texts: Vec<&str> = plan.queries.iter().map(String::as_str).collect();
        let (model, dimension) = (&store.embedding_model, store.embedding_dimension);
        let vectors = embedding::embed(self.surroundings(), context, model, dimension, &texts).await?;
        let made = vectors
            .into_iter()
            .zip(queries())
            .map(|(vector, text)| match plan.mode {
                SearchMode::Hybrid => ChunkQuery::Hybrid {
                    vector,
                    text,
                    fusion: plan.ranking.fusion,
                },
                SearchMode::Vector | SearchMode::Keyword => ChunkQuery::Vector(vector),
            });
        Ok(made.collect())
    }

    /// What an index finds of what may be answered. Where chunks of files that are not complete are in the way, it is asked for more, until there
    /// are enough, or no more.
    async fn candidates(
        &self,
        context: &RequestContext,
        provider: &dyn VectorIo,
        store: &StoreRow,
        mut search: SearchChunks,
    ) -> Result<Vec<Candidate>> {
        let wanted = search.limit;
        loop {
            let found = provider.search_chunks(context, search.clone()).await?;
            let is_all = found.len() < search.limit || search.limit >= DEEPEST;
            let mut candidates = self.answerable(store, found).await?;
            if candidates.len() >= wanted || is_all {
                candidates.truncate(wanted);
                return Ok(candidates);
            }
            search.limit = search.limit.saturating_mul(4).min(DEEPEST);
        }
    }

    /// Of chunks, those of files that are complete, and those of clients.
    async fn answerable(&self, store: &StoreRow, found: Vec<ScoredChunk>) -> Result<Vec<Candidate>> {
        let mut attachments: Vec<String> = found
            .iter()
            .filter_map(|found| kept::attachment_of(&found.chunk).map(str::to_owned))
            .collect();
        attachments.sort_unstable();
        attachments.dedup();
        let files = self.tables().await?.searchable(&store.id, &attachments).await?;
        let candidates = found.into_iter().filter_map(|ScoredChunk { chunk, score }| {
            let indexed = match kept::attachment_of(&chunk) {
                Some(attachment) => Some(files.get(attachment)?.clone()),
                None => None,
            };
            Some(Candidate { chunk, indexed, score })
        });
        Ok(candidates.collect())
    }

    /// Orders candidates by what a model says, beside what the search said.
    async fn rerank(
        &self,
        context: &RequestContext,
        rerank: &Rerank,
        plan: &Plan,
        found: &mut Vec<Candidate>,
    ) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let texts = found
            .iter()
            .map(|candidate| RerankInput::Text(candidate.chunk.text.clone()));
        let request = RerankRequest {
            model: rerank.model.clone(),
            query: RerankInput::Text(plan.queries.join("\n")),
            items: texts.collect(),
            max_num_results: None,
            extra: Map::new(),
        };
        let answer = self.surroundings().rerank(context, request).await;
        let answer = answer.map_err(|error| match error.param() {
            Some("model") => error.with_param("ranking_options.model"),
            _ => error,
        })?;
        let mut is_scored = vec![false; found.len()];
        for result in answer.data {
            let index = result.index as usize;
            let (Some(candidate), Some(is_scored)) = (found.get_mut(index), is_scored.get_mut(index)) else {
                let message = format!("the model `{}` scored a text that it was not given", rerank.model);
                return Err(Error::unavailable(message));
            };
            let score = result.relevance_score as f32;
            let score = if plan.is_scaled { score.clamp(0.0, 1.0) } else { score };
            candidate.score = rerank.weight * score + (1.0 - rerank.weight) * candidate.score;
            *is_scored = true;
        }
        // What the model left out, it found irrelevant.
        let mut is_scored = is_scored.into_iter();
        found.retain(|_| is_scored.next().unwrap_or_default());
        let threshold = plan.ranking.threshold;
        found.retain(|candidate| threshold.is_none_or(|threshold| candidate.score >= threshold));
        sort(found);
        Ok(())
    }
}

impl Plan {
    /// A provider's score as it is answered. Scores by words have no upper end, and the others may be out of bounds by a rounding.
    fn scaled(&self, score: f32) -> f32 {
        match (self.is_scaled, self.mode) {
            (false, _) => score,
            (true, SearchMode::Keyword) => score / (1.0 + score),
            (true, SearchMode::Vector | SearchMode::Hybrid) => score.clamp(0.0, 1.0),
        }
    }

    /// What a provider's score must be for the one that is answered to be this.
    fn unscaled(&self, score: f32) -> f32 {
        match (self.is_scaled, self.mode) {
            (true, SearchMode::Keyword) => score / (1.0 - score),
            _ => score,
        }
    }
}

impl Candidate {
    fn into_found(self) -> FoundChunk {
        kept::found(self.chunk, self.indexed.as_ref(), self.score)
    }
}

/// The best first, those of equal score in the order of their ids.
fn sort(found: &mut [Candidate]) {
    found.sort_by(|one, other| {
        let by_score = other.score.total_cmp(&one.score);
        by_score.then_with(|| one.chunk.chunk_id.cmp(&other.chunk.chunk_id))
    });
}

fn queries(query: SearchText) -> Result<Vec<String>> {
    let queries = match query {
        SearchText::One(query) => vec![query],
        SearchText::Several(queries) => queries,
    };
    let invalid = |message: String| Err(Error::invalid_request(message).with_param("query"));
    if !(1..=MOST_QUERIES).contains(&queries.len()) {
        return invalid(format!(
            "`query` must be 1 to {MOST_QUERIES} texts, not {}",
            queries.len()
        ));
    }
    for query in &queries {
        if query.trim().is_empty() {
            return invalid("`query` is empty; say what to look for".to_owned());
        }
        if query.len() > LONGEST_QUERY {
            return invalid(format!(
                "`query` has {} bytes; at most {LONGEST_QUERY} are allowed",
                query.len()
            ));
        }
    }
    Ok(queries)
}

fn hit(candidate: Candidate) -> SearchHit {
    let found = candidate.into_found();
    SearchHit {
        file_id: found.document_id,
        filename: found.filename.unwrap_or_default(),
        score: found.score,
        attributes: found.attributes,
        content: vec![TextContent {
            content_type: ContentType::Text,
            text: found.text,
            embedding: None,
            chunk_metadata: Some(found.chunk_metadata),
            metadata: Some(found.metadata),
        }],
    }
}
