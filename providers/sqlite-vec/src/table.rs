//! What searches look at, in memory: vectors, their codes, attributes.

use std::collections::HashMap;

use pulp::{Arch, Simd, WithSimd};
use puna_api::{Attributes, Filter, Metric};

use crate::attributes::AttributeTable;
use crate::bits::Bits;
use crate::codes::Codes;
use crate::kernel::{dots, normalized, squared_distances};

/// Up to so many vectors are all compared.
const FEW: usize = 4096;

/// How many likely vectors are compared for each one that is asked for, and at least.
const LIKELY_FOR_EACH: usize = 20;
const LIKELY: usize = 1000;

/// Of this many vectors one is compared, if that is more.
const OF_MANY: usize = 400;

/// Where a filter leaves less than one in so many, the nearest may be far away, and codes tell less well apart what is far: then as many are compared
/// as if they were few.
const SPARSE: usize = 10;

/// The vectors and attributes of an index. A chunk is known by its row in the database.
pub(crate) struct Table {
    metric: Metric,
    dimension: usize,
    /// The row of each slot.
    rows: Vec<i64>,
    slots: HashMap<i64, u32>,
    live: Bits,
    free: Vec<u32>,
    /// Of length 1 where the metric looks at directions alone.
    vectors: Vec<f32>,
    codes: Option<Codes>,
    attributes: AttributeTable,
}

impl Table {
    pub(crate) fn new(metric: Metric, dimension: usize) -> Self {
        Self {
            metric,
            dimension,
            rows: Vec::new(),
            slots: HashMap::new(),
            live: Bits::default(),
            free: Vec::new(),
            vectors: Vec::new(),
            codes: None,
            attributes: AttributeTable::default(),
        }
    }

    /// Adds a chunk. Once all of some chunks are added, call [`settle`](Self::settle).
    pub(crate) fn insert(&mut self, row: i64, vector: &[f32], attributes: &Attributes) {
        let slot = self.free.pop().map_or(self.rows.len(), |slot| slot as usize);
        if slot == self.rows.len() {
            self.rows.push(row);
            self.vectors.resize((slot + 1) * self.dimension, 0.0);
        }
        self.rows[slot] = row;
        self.slots.insert(row, slot as u32);
        self.live.insert(slot);
        let vector = self.prepared(vector);
        self.vectors[slot * self.dimension..][..self.dimension].copy_from_slice(&vector);
        if let Some(codes) = &mut self.codes {
            codes.set(slot, &vector);
        }
        self.attributes.set(slot, attributes);
    }

    /// Makes the codes when there are many vectors, and anew when there are many more.
    pub(crate) fn settle(&mut self) {
        let count = self.slots.len();
        let is_fit = match &self.codes {
            Some(codes) => !codes.is_outgrown_by(count),
            None => count <= FEW,
        };
        if !is_fit {
            self.codes = Some(Codes::of(self.metric, self.dimension, &self.vectors, &self.live));
        }
    }

    pub(crate) fn remove(&mut self, row: i64) {
        if let Some(slot) = self.slots.remove(&row) {
            self.live.remove(slot as usize);
            self.attributes.clear(slot as usize);
            self.free.push(slot);
        }
    }

    /// The rows and scores of what is nearest to a query: `limit` and perhaps others, in no order.
    pub(crate) fn nearest(&self, query: &[f32], filter: Option<&Filter>, limit: usize) -> Vec<(i64, f32)> {
        let matching = filter.map(|filter| self.attributes.matching(filter, &self.live));
        let set = matching.as_ref().unwrap_or(&self.live);
        let query = self.prepared(query);
        let count = set.len();
        let is_sparse = count < self.slots.len() / SPARSE;
        let likely = if is_sparse { FEW } else { LIKELY };
        let likely = likely.max(limit.saturating_mul(LIKELY_FOR_EACH)).max(count / OF_MANY);
        match &self.codes {
            Some(codes) if count > FEW.max(likely) => {
                let mut slots: Vec<usize> = codes.likely(&query, set, likely).collect();
                // In the order of memory.
                slots.sort_unstable();
                self.scores(&query, slots)
            }
            _ => self.scores(&query, set.iter().collect()),
        }
    }

    /// Keeps those of the rows whose chunks the filter lets through. False when one of the rows is not known, because what is in the file was
    /// changed since or is not here yet.
    pub(crate) fn retain(&self, filter: &Filter, rows: &mut Vec<(i64, f32)>) -> bool {
        let slot = |row: &i64| self.slots.get(row).map(|slot| *slot as usize);
        let set = rows.iter().filter_map(|(row, _)| slot(row)).collect();
        let matching = self.attributes.matching(filter, &set);
        let knows_all = rows.iter().all(|(row, _)| self.slots.contains_key(row));
        rows.retain(|(row, _)| slot(row).is_some_and(|slot| matching.contains(slot)));
        knows_all
    }

    fn prepared(&self, vector: &[f32]) -> Vec<f32> {
        match self.metric {
            Metric::Cosine => normalized(vector),
            Metric::Dot | Metric::L2 => vector.to_vec(),
        }
    }

    fn scores(&self, query: &[f32], slots: Vec<usize>) -> Vec<(i64, f32)> {
        let table = self;
        Arch::new().dispatch(Scores { table, query, slots })
    }
}

/// The exact scores of some slots.
struct Scores<'a> {
    table: &'a Table,
    query: &'a [f32],
    slots: Vec<usize>,
}

impl WithSimd for Scores<'_> {
    type Output = Vec<(i64, f32)>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let mut scores = Vec::with_capacity(self.slots.len());
        let (fours, rest) = self.slots.as_chunks::<4>();
        for slots in fours {
            scores.extend(self.of(simd, *slots));
        }
        for slot in rest {
            scores.extend(self.of(simd, [*slot]));
        }
        scores
    }
}

impl Scores<'_> {
    #[inline(always)]
    fn of<S: Simd, const SEVERAL: usize>(&self, simd: S, slots: [usize; SEVERAL]) -> [(i64, f32); SEVERAL] {
        let Table {
            metric,
            dimension,
            rows,
            vectors,
            ..
        } = self.table;
        let vectors = slots.map(|slot| &vectors[slot * dimension..][..*dimension]);
        let scores = match metric {
            Metric::Cosine => dots(simd, vectors, self.query).map(|product| product.clamp(-1.0, 1.0)),
            Metric::Dot => dots(simd, vectors, self.query),
            Metric::L2 => squared_distances(simd, vectors, self.query).map(|square| 1.0 / (1.0 + square.sqrt())),
        };
        std::array::from_fn(|which| (rows[slots[which]], scores[which]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use puna_api::AttributeValue;

    use super::*;
    use crate::kernel::dot;

    const DIMENSION: usize = 256;

    /// Numbers around 0, equal for equal seeds.
    fn vector(seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..DIMENSION)
            .map(|_| (0..4).map(|_| random.f32()).sum::<f32>() - 2.0)
            .collect()
    }

    #[test]
    fn what_is_nearest_among_few_of_many_is_found() {
        const COUNT: i64 = 50_000;
        const PARTS: i64 = 12;
        const NEAREST: usize = 10;
        const QUERIES: u64 = 20;
        let key = "part".to_owned();
        let part = |row: i64| AttributeValue::Number((row % PARTS) as f64);
        let mut table = Table::new(Metric::Cosine, DIMENSION);
        for row in 0..COUNT {
            let attributes = Attributes::from_iter([(key.clone(), part(row))]);
            table.insert(row, &vector(row as u64), &attributes);
        }
        table.settle();
        // More than are always compared, and less than a tenth.
        let filter = Filter::Eq { key, value: part(0) };
        let rows: Vec<i64> = (0..COUNT).step_by(PARTS as usize).collect();
        assert!(rows.len() > FEW && rows.len() < COUNT as usize / SPARSE);
        let mut found = 0;
        for query in 0..QUERIES {
            let query = vector(u64::MAX - query);
            let mut wanted: Vec<(f32, i64)> = rows
                .iter()
                .map(|row| (dot(&normalized(&vector(*row as u64)), &query), *row))
                .collect();
            wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
            let rows: HashSet<i64> = table
                .nearest(&query, Some(&filter), NEAREST)
                .iter()
                .map(|(row, _)| *row)
                .collect();
            found += wanted[..NEAREST].iter().filter(|(_, row)| rows.contains(row)).count();
        }
        let recall = found as f64 / (NEAREST * QUERIES as usize) as f64;
        assert!(recall > 0.99, "{recall}");
    }
}
