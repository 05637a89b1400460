//! The graph of near neighbours that searches among many vectors go by.
//!
//! It is built at once when an index has become large, which takes less time than making it grow from the first chunk on; few vectors are compared faster,
//! and exactly, without one.

use puna_api::Metric;
use sqlx::AssertSqlSafe;

use crate::config::VectorIndexConfig;
use crate::indexes::{Index, Size};
use crate::server::{Server, Version};

/// Up to so many vectors are all compared.
pub(crate) const MAX_COMPARED: i64 = 5_000;

/// The most candidates that a search by a graph can look at.
const MAX_CANDIDATES: usize = 1_000;

/// The most numbers of vectors that a graph can hold, and of those of 16 bits for each.
const MAX_DIMENSION: u32 = 2_000;
const MAX_HALF_DIMENSION: u32 = 4_000;

/// The first half of the locks that whoever builds a graph holds; the second is its number.
const LOCK: i32 = 0x7075_6e63;

/// What a graph is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nodes {
    /// The vectors as they are.
    Whole,
    /// The vectors' directions, each number in 16 bits.
    HalfDirections,
}

impl Nodes {
    /// None if there is no graph for such vectors.
    pub(crate) fn of(dimension: u32, metric: Metric, version: Version) -> Option<Self> {
        if dimension <= MAX_DIMENSION {
            return Some(Self::Whole);
        }
        // A direction's numbers are within 16 bits' bounds, and for the other metrics lengths count.
        let half = metric == Metric::Cosine && version.has_half_vectors() && dimension <= MAX_HALF_DIMENSION;
        half.then_some(Self::HalfDirections)
    }

    /// What is in the graph, and the class of its operators.
    fn column(self, dimension: u32, metric: Metric) -> String {
        match self {
            Self::Whole => {
                let class = match metric {
                    Metric::Cosine => "vector_cosine_ops",
                    Metric::Dot => "vector_ip_ops",
                    Metric::L2 => "vector_l2_ops",
                };
                format!("embedding {class}")
            }
            Self::HalfDirections => format!("(l2_normalize(embedding)::HALFVEC({dimension})) halfvec_cosine_ops"),
        }
    }

    /// The distance from the vector `$1`, in the words that the graph is found by.
    pub(crate) fn distance(self, dimension: u32, metric: Metric) -> String {
        match self {
            Self::Whole => format!("embedding {} $1::REAL[]::VECTOR", operator(metric)),
            Self::HalfDirections => {
                format!(
                    "l2_normalize(embedding)::HALFVEC({dimension}) <=> l2_normalize($1::REAL[]::VECTOR)::HALFVEC({dimension})"
                )
            }
        }
    }
}

/// The operator of pgvector for a metric's distance.
pub(crate) fn operator(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine => "<=>",
        Metric::Dot => "<#>",
        Metric::L2 => "<->",
    }
}

/// How many candidates a search by the graph looks at for so many answers; none if there are too many.
pub(crate) fn candidates(limit: usize, graph: VectorIndexConfig) -> Option<usize> {
    let VectorIndexConfig::Hnsw { ef_search, .. } = graph;
    let candidates = limit.checked_mul(2)?.max(usize::from(ef_search));
    (candidates <= MAX_CANDIDATES).then_some(candidates)
}

impl Server {
    /// Builds an index's graph if it has none and has become large. Without it searches take longer and find the same, so that a failure is no reason to
    /// refuse chunks; the next ones try again.
    pub(crate) async fn build_graph_if_due(&self, index: &Index, size: Size) {
        let about = &index.about;
        let Some(nodes) = Nodes::of(about.dimension, about.metric, self.version) else {
            return;
        };
        if size.chunks <= MAX_COMPARED {
            return;
        }
        if let Err(error) = self.build_graph(index, nodes).await {
            tracing::warn!(index = about.index_id, error = ?self.failed(&about.index_id, error), "failed to build a graph; searches compare all vectors");
        }
    }

    async fn build_graph(&self, index: &Index, nodes: Nodes) -> sqlx::Result<()> {
        let (chunks, name) = (&index.chunks, format!("{}_graph", index.chunks));
        let is_there = "SELECT TO_REGCLASS($1) IS NOT NULL";
        if sqlx::query_scalar(is_there).bind(&name).fetch_one(&self.pool).await? {
            return Ok(());
        }
        let mut building = self.pool.begin().await?;
        sqlx::raw_sql("SET LOCAL statement_timeout = 0")
            .execute(&mut *building)
            .await?;
        sqlx::query("SELECT PG_ADVISORY_XACT_LOCK($1, $2)")
            .bind(LOCK)
            .bind(index.number as i32)
            .execute(&mut *building)
            .await?;
        let VectorIndexConfig::Hnsw { m, ef_construction, .. } = self.graph;
        let column = nodes.column(index.about.dimension, index.about.metric);
        let sql = format!(
            "CREATE INDEX IF NOT EXISTS {name} ON {chunks} USING hnsw ({column}) WITH (m = {m}, ef_construction = {ef_construction})"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *building).await?;
        building.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_vectors_have_smaller_nodes_or_none() {
        let version = |text| Version::read(text).unwrap();
        let of = |dimension, metric, text| Nodes::of(dimension, metric, version(text));
        assert_eq!(of(2_000, Metric::Dot, "0.6.2"), Some(Nodes::Whole));
        assert_eq!(of(2_001, Metric::Cosine, "0.6.2"), None);
        assert_eq!(of(3_072, Metric::Cosine, "0.7.0"), Some(Nodes::HalfDirections));
        assert_eq!(of(3_072, Metric::Dot, "0.8.0"), None);
        assert_eq!(of(4_001, Metric::Cosine, "0.8.0"), None);
    }

    #[test]
    fn candidates_are_twice_the_answers() {
        let graph = VectorIndexConfig::default();
        assert_eq!(candidates(10, graph), Some(100));
        assert_eq!(candidates(500, graph), Some(1_000));
        assert_eq!(candidates(501, graph), None);
        assert_eq!(candidates(usize::MAX, graph), None);
    }
}
