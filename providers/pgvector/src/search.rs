//! Searches: which chunks, by one statement for each list; then the chunks themselves. All of it sees one state of the index.

use puna_api::{ChunkQuery, Filter, Fusion, Metric, Result, ScoredChunk, SearchChunks};
use sqlx::{Postgres, QueryBuilder, Row, Transaction};

use crate::filter;
use crate::graph::{MAX_COMPARED, Nodes, candidates, operator};
use crate::indexes::{Index, Size};
use crate::lexemes::asked;
use crate::provider::CAPABILITIES;
use crate::server::Server;
use crate::stored::read;

/// The most words of a query that are looked for, the rarest ones.
const MAX_WORDS: usize = 200;

/// A search under way.
struct Search<'a> {
    server: &'a Server,
    reading: Transaction<'static, Postgres>,
    index: Index,
    size: Size,
    filter: Option<&'a Filter>,
}

/// Ids with their scores, best first, as they are in the database.
type Ranked = Vec<(String, f32)>;

impl Server {
    /// Finds chunks.
    pub(crate) async fn search(&self, request: &SearchChunks) -> Result<Vec<ScoredChunk>> {
        let mut reading = self.reading().await?;
        let (index, size) = self.index(&mut reading, &request.index_id).await?;
        request.check(CAPABILITIES, &index.about)?;
        let search = Search {
            server: self,
            reading,
            index,
            size,
            filter: request.filter.as_ref(),
        };
        let found = search.answer(request).await;
        found.map_err(|error| self.failed(&request.index_id, error))
    }
}

impl Search<'_> {
    async fn answer(mut self, request: &SearchChunks) -> sqlx::Result<Vec<ScoredChunk>> {
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
        let ids = ranked.iter().map(|(id, _)| id.clone()).collect();
        let chunks = self.server.chunks_of(&mut self.reading, &self.index, ids).await?;
        let ranked = ranked.into_iter().map(|(id, score)| (read(id), score));
        Ok(ScoredChunk::in_order(ranked, chunks))
    }

    /// The nearest: by the graph if there are many and it finds as many as asked for, by comparing all otherwise.
    async fn by_vector(&mut self, vector: &[f32], limit: usize) -> sqlx::Result<Ranked> {
        let about = &self.index.about;
        let nodes = Nodes::of(about.dimension, about.metric, self.server.version);
        let candidates = candidates(limit, self.server.graph);
        // Zeros have no direction to go by.
        let is_directed = about.metric != Metric::Cosine || vector.iter().any(|number| *number != 0.0);
        if let (Some(nodes), Some(candidates)) = (nodes, candidates)
            && self.size.chunks > MAX_COMPARED
            && is_directed
        {
            let found = self.by_graph(vector, limit, nodes, candidates).await?;
            if found.len() == limit {
                return Ok(found);
            }
            sqlx::raw_sql("SET LOCAL enable_seqscan TO DEFAULT")
                .execute(&mut *self.reading)
                .await?;
        }
        let mut sql = QueryBuilder::new("SELECT chunk_id, score FROM (SELECT chunk_id, ");
        self.push_score(&mut sql, vector);
        self.push_from(&mut sql);
        sql.push(") AS compared ORDER BY score DESC, chunk_id LIMIT ");
        sql.push_bind(bounded(limit));
        self.rank(sql).await
    }

    async fn by_graph(
        &mut self,
        vector: &[f32],
        limit: usize,
        nodes: Nodes,
        candidates: usize,
    ) -> sqlx::Result<Ranked> {
        // A scan of all rows looks cheaper than it is: what it costs to fetch large vectors from where they are kept is not counted.
        let settings = match self.server.version.has_iterative_scans() {
            true => {
                "SELECT SET_CONFIG('hnsw.ef_search', $1, TRUE), SET_CONFIG('enable_seqscan', 'off', TRUE),
                SET_CONFIG('hnsw.iterative_scan', 'relaxed_order', TRUE)"
            }
            false => "SELECT SET_CONFIG('hnsw.ef_search', $1, TRUE), SET_CONFIG('enable_seqscan', 'off', TRUE)",
        };
        sqlx::query(settings)
            .bind(candidates.to_string())
            .execute(&mut *self.reading)
            .await?;
        let mut sql = QueryBuilder::new("SELECT chunk_id, score FROM (SELECT chunk_id, ");
        self.push_score(&mut sql, vector);
        self.push_from(&mut sql);
        let about = &self.index.about;
        sql.push(" ORDER BY ")
            .push(nodes.distance(about.dimension, about.metric));
        // Not a parameter: a plan has to know that they are few.
        sql.push(" LIMIT ").push(candidates);
        sql.push(") AS near ORDER BY score DESC, chunk_id LIMIT ");
        sql.push_bind(bounded(limit));
        self.rank(sql).await
    }

    /// Those with words of the text, by BM25; how often a word is in a text counts as the server ranks it, ever less.
    async fn by_words(&mut self, text: &str, limit: usize) -> sqlx::Result<Ranked> {
        let words = self.rarest(text).await?;
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let any = words
            .iter()
            .map(|(word, _)| word.as_str())
            .collect::<Vec<_>>()
            .join(" | ");
        let (words, weights): (Vec<String>, Vec<f64>) = words.into_iter().unzip();
        let mean = self.size.words as f64 / self.size.chunks.max(1) as f64;
        let mut sql = QueryBuilder::new("WITH asked AS MATERIALIZED (SELECT word::TSQUERY, weight FROM UNNEST(");
        sql.push_bind(words).push("::TEXT[], ").push_bind(weights);
        sql.push(
            "::FLOAT8[]) AS asked (word, weight))
            SELECT chunk_id, score FROM (SELECT chunk_id, (
                (SELECT SUM(weight * TS_RANK('{1, 1, 1, 1}', words, word)) FROM asked) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / ",
        );
        sql.push_bind(mean.max(1.0)).push("::FLOAT8)))::REAL AS score");
        self.push_from(&mut sql);
        sql.push(" AND words @@ ").push_bind(any);
        sql.push("::TSQUERY) AS matching ORDER BY score DESC, chunk_id LIMIT ");
        sql.push_bind(bounded(limit));
        self.rank(sql).await
    }

    /// The words of a text that chunks have, the rarest ones, with how much each of them counts.
    async fn rarest(&mut self, text: &str) -> sqlx::Result<Vec<(String, f64)>> {
        let words = asked(text);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = QueryBuilder::new("SELECT place, chunks FROM (SELECT place, (SELECT COUNT(*) FROM ");
        sql.push(&self.index.chunks);
        sql.push(" WHERE words @@ word::TSQUERY) AS chunks FROM UNNEST(")
            .push_bind(&words);
        sql.push("::TEXT[]) WITH ORDINALITY AS asked (word, place)) AS counted WHERE chunks > 0 ORDER BY chunks, place LIMIT ");
        sql.push_bind(bounded(MAX_WORDS));
        let rows = sql.build().fetch_all(&mut *self.reading).await?;
        let mut rarest = Vec::with_capacity(rows.len());
        for row in rows {
            let (place, with): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let (all, with) = (self.size.chunks.max(with) as f64, with as f64);
            let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
            rarest.extend(words.get(place as usize - 1).map(|word| (word.clone(), weight)));
        }
        Ok(rarest)
    }

    /// Adds the score of the vector `$1`, which has to be the first parameter. What is no number, as the angle to zeros, counts 0.
    fn push_score(&self, sql: &mut QueryBuilder<Postgres>, vector: &[f32]) {
        let operator = operator(self.index.about.metric);
        let (before, after) = match self.index.about.metric {
            Metric::Cosine => ("1 - ", ""),
            Metric::Dot => ("-", ""),
            Metric::L2 => ("1 / (1 + ", ")"),
        };
        sql.push("COALESCE(NULLIF((")
            .push(before)
            .push("(embedding ")
            .push(operator)
            .push(" ");
        sql.push_bind(vector.to_vec());
        sql.push("::REAL[]::VECTOR)")
            .push(after)
            .push(")::REAL, 'NaN'), 0) AS score");
    }

    fn push_from(&self, sql: &mut QueryBuilder<Postgres>) {
        sql.push(" FROM ").push(&self.index.chunks).push(" WHERE ");
        match self.filter {
            Some(filter) => filter::push(sql, filter),
            None => _ = sql.push("TRUE"),
        }
    }

    async fn rank(&mut self, mut sql: QueryBuilder<Postgres>) -> sqlx::Result<Ranked> {
        // There are too many different filters to keep plans for them, which would not know the values that make an index worth its while.
        let query = sql.build().persistent(self.filter.is_none());
        let rows = query.fetch_all(&mut *self.reading).await?;
        let ranked = rows.iter().map(|row| {
            // There is one zero.
            Ok((row.try_get(0)?, row.try_get::<f32, _>(1)? + 0.0))
        });
        ranked.collect()
    }
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
