//! The attributes of all chunks of an index, in the form that filters are tried on.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use puna_api::{AttributeValue, Attributes, Filter};

use crate::bits::Bits;

/// The attributes by slot.
#[derive(Default)]
pub(crate) struct AttributeTable {
    names: HashMap<String, u32>,
    rows: Vec<Box<[(u32, Cell)]>>,
    hasher: RandomState,
}

/// A value. Of a text, a number of 64 bits that no other text is likely to have.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Boolean(bool),
    Number(f64),
    Text(u64),
}

impl AttributeTable {
    pub(crate) fn set(&mut self, slot: usize, attributes: &Attributes) {
        if self.rows.len() <= slot {
            self.rows.resize_with(slot + 1, Box::default);
        }
        let row = attributes.iter().map(|(name, value)| {
            let next = self.names.len() as u32;
            let name = *self.names.entry(name.clone()).or_insert(next);
            (name, cell(&self.hasher, value))
        });
        self.rows[slot] = row.collect();
    }

    pub(crate) fn clear(&mut self, slot: usize) {
        self.rows[slot] = Box::default();
    }

    /// The slots of the set that the filter lets through.
    pub(crate) fn matching(&self, filter: &Filter, set: &Bits) -> Bits {
        let test = self.test(filter);
        set.iter().filter(|slot| test.holds(&self.rows[*slot])).collect()
    }

    fn test(&self, filter: &Filter) -> Test {
        let name = |key: &str| self.names.get(key).copied();
        let cell = |value: &AttributeValue| cell(&self.hasher, value);
        let cells = |values: &[AttributeValue]| values.iter().map(cell).collect();
        let all = |filters: &[Filter]| filters.iter().map(|filter| self.test(filter)).collect();
        match filter {
            Filter::Eq { key, value } => Test::In(name(key), vec![cell(value)]),
            Filter::Ne { key, value } => Test::NotIn(name(key), vec![cell(value)]),
            Filter::Gt { key, value } => Test::Number(name(key), |number, bound| number > bound, *value),
            Filter::Gte { key, value } => Test::Number(name(key), |number, bound| number >= bound, *value),
            Filter::Lt { key, value } => Test::Number(name(key), |number, bound| number < bound, *value),
            Filter::Lte { key, value } => Test::Number(name(key), |number, bound| number <= bound, *value),
            Filter::In { key, value } => Test::In(name(key), cells(value)),
            Filter::Nin { key, value } => Test::NotIn(name(key), cells(value)),
            Filter::And { filters } => Test::All(all(filters)),
            Filter::Or { filters } => Test::Any(all(filters)),
        }
    }
}

fn cell(hasher: &RandomState, value: &AttributeValue) -> Cell {
    match value {
        AttributeValue::Boolean(value) => Cell::Boolean(*value),
        AttributeValue::Number(value) => Cell::Number(*value),
        AttributeValue::Text(value) => Cell::Text(hasher.hash_one(value)),
    }
}

/// A filter with names and texts looked up. A name that no chunk has is none.
enum Test {
    In(Option<u32>, Vec<Cell>),
    NotIn(Option<u32>, Vec<Cell>),
    Number(Option<u32>, fn(f64, f64) -> bool, f64),
    All(Vec<Test>),
    Any(Vec<Test>),
}

impl Test {
    fn holds(&self, row: &[(u32, Cell)]) -> bool {
        match self {
            Self::In(name, cells) => value(row, *name).is_some_and(|value| cells.contains(&value)),
            Self::NotIn(name, cells) => value(row, *name).is_none_or(|value| !cells.contains(&value)),
            Self::Number(name, compare, bound) => {
                matches!(value(row, *name), Some(Cell::Number(number)) if compare(number, *bound))
            }
            Self::All(tests) => tests.iter().all(|test| test.holds(row)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(row)),
        }
    }
}

fn value(row: &[(u32, Cell)], name: Option<u32>) -> Option<Cell> {
    let name = name?;
    row.iter().find(|(one, _)| *one == name).map(|(_, value)| *value)
}
