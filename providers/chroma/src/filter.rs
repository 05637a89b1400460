//! Filters as Chroma's conditions (`where`).

use puna_api::{AttributeValue, Filter};
use serde_json::{Value, json};

use crate::stored::{EQUALS, number};

/// The condition that holds where all of these do; none if there are none.
pub(crate) fn all(conditions: impl IntoIterator<Item = Value>) -> Option<Value> {
    let mut conditions: Vec<Value> = conditions.into_iter().collect();
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(json!({ "$and": conditions })),
    }
}

/// The condition that a field has this text in its list.
pub(crate) fn has(field: &str, text: &str) -> Value {
    json!({ field: { "$contains": text } })
}

/// The condition that means what the filter means.
///
/// Equality is asked of one list of texts, which tell types apart. A number that a replaced chunk had stays with the record, as Chroma merges what it is
/// given into what it has; so a comparison also asks whether the list says that the attribute is a number now.
pub(crate) fn condition(filter: &Filter) -> Value {
    match filter {
        Filter::Eq { key, value } => has(EQUALS, &equality(key, value)),
        Filter::Ne { key, value } => has_not(EQUALS, &equality(key, value)),
        Filter::Gt { key, value } => compared(key, "$gt", *value),
        Filter::Gte { key, value } => compared(key, "$gte", *value),
        Filter::Lt { key, value } => compared(key, "$lt", *value),
        Filter::Lte { key, value } => compared(key, "$lte", *value),
        Filter::In { key, value } => {
            let each = value.iter().map(|value| has(EQUALS, &equality(key, value)));
            json!({ "$or": each.collect::<Vec<_>>() })
        }
        Filter::Nin { key, value } => {
            let each = value.iter().map(|value| has_not(EQUALS, &equality(key, value)));
            json!({ "$and": each.collect::<Vec<_>>() })
        }
        Filter::And { filters } => json!({ "$and": filters.iter().map(condition).collect::<Vec<_>>() }),
        Filter::Or { filters } => json!({ "$or": filters.iter().map(condition).collect::<Vec<_>>() }),
    }
}

/// An attribute with its value, as one text that no other attribute or value has.
pub(crate) fn equality(name: &str, value: &AttributeValue) -> String {
    match value {
        AttributeValue::Boolean(value) => json!([name, value]),
        // There is one zero.
        AttributeValue::Number(value) => json!([name, value + 0.0]),
        AttributeValue::Text(value) => json!([name, value]),
    }
    .to_string()
}

/// What the list says of an attribute that is a number.
pub(crate) fn is_number(name: &str) -> String {
    json!([name]).to_string()
}

fn has_not(field: &str, text: &str) -> Value {
    json!({ field: { "$not_contains": text } })
}

fn compared(name: &str, operator: &str, bound: f64) -> Value {
    json!({ "$and": [has(EQUALS, &is_number(name)), { (number(name)): { operator: bound + 0.0 } }] })
}

#[cfg(test)]
mod tests;
