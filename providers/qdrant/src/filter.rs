//! Filters as conditions of Qdrant.

use puna_api::{AttributeValue, Filter};
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::{self, Condition, Range, RepeatedStrings};

use crate::fields::{EQUALS, number};
use crate::indexes::Index;

/// The filter that holds for chunks of the index which fulfil all of the conditions; none if all do.
pub(crate) fn within(index: &Index, conditions: impl IntoIterator<Item = Condition>) -> Option<qdrant::Filter> {
    let conditions: Vec<Condition> = index.tenant().into_iter().chain(conditions).collect();
    (!conditions.is_empty()).then(|| qdrant::Filter::must(conditions))
}

/// The condition that a field is this text, or a list that has it.
pub(crate) fn is(field: &str, text: String) -> Condition {
    // Said in full: the client takes a text with spaces for words to look for.
    Condition::matches(field, MatchValue::Keyword(text))
}

/// The condition that means what the filter means.
///
/// Qdrant knows no equality of numbers, and reads those that it has stored with an error in the last digit. So what equals is asked of texts, which are
/// exact and tell types apart; and of numbers only whether they are greater or less than others.
pub(crate) fn condition(filter: &Filter) -> Condition {
    match filter {
        Filter::Eq { key, value } => equal(key, value),
        Filter::Ne { key, value } => not(equal(key, value)),
        Filter::Gt { key, value } => beyond(key, *value, |bound| Range {
            gt: Some(bound),
            ..Range::default()
        }),
        Filter::Gte { key, value } => beyond_or_equal(key, *value, |bound| Range {
            gte: Some(bound),
            ..Range::default()
        }),
        Filter::Lt { key, value } => beyond(key, *value, |bound| Range {
            lt: Some(bound),
            ..Range::default()
        }),
        Filter::Lte { key, value } => beyond_or_equal(key, *value, |bound| Range {
            lte: Some(bound),
            ..Range::default()
        }),
        Filter::In { key, value } => one_of(key, value),
        Filter::Nin { key, value } => not(one_of(key, value)),
        Filter::And { filters } if filters.is_empty() => not(never()),
        Filter::And { filters } => qdrant::Filter::must(filters.iter().map(condition)).into(),
        Filter::Or { filters } if filters.is_empty() => never(),
        Filter::Or { filters } => qdrant::Filter::should(filters.iter().map(condition)).into(),
    }
}

/// An attribute with its value, as one text that no other attribute or value has.
pub(crate) fn equality(name: &str, value: &AttributeValue) -> String {
    let value = match value {
        AttributeValue::Boolean(value) => serde_json::Value::from(*value),
        // There is one zero.
        AttributeValue::Number(value) => serde_json::Value::from(*value + 0.0),
        AttributeValue::Text(value) => serde_json::Value::from(value.as_str()),
    };
    serde_json::Value::from_iter([serde_json::Value::from(name), value]).to_string()
}

fn equal(name: &str, value: &AttributeValue) -> Condition {
    is(EQUALS, equality(name, value))
}

fn one_of(name: &str, values: &[AttributeValue]) -> Condition {
    if values.is_empty() {
        return never();
    }
    let strings = values.iter().map(|value| equality(name, value)).collect();
    Condition::matches(EQUALS, MatchValue::Keywords(RepeatedStrings { strings }))
}

fn beyond(name: &str, bound: f64, range: impl Fn(f64) -> Range) -> Condition {
    qdrant::Filter {
        must: vec![Condition::range(number(name), range(bound))],
        must_not: vec![equal(name, &bound.into())],
        ..qdrant::Filter::default()
    }
    .into()
}

fn beyond_or_equal(name: &str, bound: f64, range: impl Fn(f64) -> Range) -> Condition {
    qdrant::Filter::should([Condition::range(number(name), range(bound)), equal(name, &bound.into())]).into()
}

fn not(condition: Condition) -> Condition {
    qdrant::Filter::must_not([condition]).into()
}

/// What holds for no chunk. Qdrant takes a filter without conditions for one that always holds.
fn never() -> Condition {
    Condition::has_id(std::iter::empty::<qdrant::PointId>())
}

#[cfg(test)]
mod tests;
