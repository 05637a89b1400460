//! Filters as conditions in SQL.

use puna_api::{AttributeValue, Filter};
use sqlx::{Postgres, QueryBuilder};

use crate::stored::{attribute_to_json, written};

/// Adds the condition. What a request says goes into parameters alone.
///
/// JSON of the database compares numbers in all their digits, of which no two numbers have the same, and tells types apart. A comparison with what is
/// missing is null, which is as good as false where nothing negates it.
pub(crate) fn push(sql: &mut QueryBuilder<Postgres>, filter: &Filter) {
    match filter {
        Filter::Eq { key, value } => push_equal(sql, key, value),
        Filter::Ne { key, value } => {
            sql.push("NOT ");
            push_equal(sql, key, value);
        }
        Filter::Gt { key, value } => push_comparison(sql, key, " > ", *value),
        Filter::Gte { key, value } => push_comparison(sql, key, " >= ", *value),
        Filter::Lt { key, value } => push_comparison(sql, key, " < ", *value),
        Filter::Lte { key, value } => push_comparison(sql, key, " <= ", *value),
        Filter::In { key, value } => push_list(sql, value, " OR ", "FALSE", |sql, value| push_equal(sql, key, value)),
        Filter::Nin { key, value } => {
            sql.push("NOT ");
            push_list(sql, value, " OR ", "FALSE", |sql, value| push_equal(sql, key, value));
        }
        Filter::And { filters } => push_list(sql, filters, " AND ", "TRUE", push),
        Filter::Or { filters } => push_list(sql, filters, " OR ", "FALSE", push),
    }
}

fn push_list<T>(
    sql: &mut QueryBuilder<Postgres>,
    items: &[T],
    between: &'static str,
    none: &'static str,
    push: impl Fn(&mut QueryBuilder<Postgres>, &T),
) {
    sql.push("(");
    if items.is_empty() {
        sql.push(none);
    }
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            sql.push(between);
        }
        push(sql, item);
    }
    sql.push(")");
}

fn push_equal(sql: &mut QueryBuilder<Postgres>, key: &str, value: &AttributeValue) {
    sql.push("(attributes @> ");
    sql.push_bind(attribute_to_json(key, value));
    sql.push("::JSONB)");
}

fn push_comparison(sql: &mut QueryBuilder<Postgres>, key: &str, operator: &'static str, value: f64) {
    let key = written(key);
    sql.push("(JSONB_TYPEOF(attributes -> ");
    sql.push_bind(key.clone().into_owned());
    sql.push(") = 'number' AND attributes -> ");
    sql.push_bind(key.into_owned());
    sql.push(operator);
    sql.push_bind(serde_json::Value::from(value).to_string());
    sql.push("::JSONB)");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_have_parameters() {
        let filter: Filter = serde_json::from_value(json!({ "type": "and", "filters": [
            { "type": "ne", "key": "'; --", "value": "'" },
            { "type": "gte", "key": "year", "value": 1843 },
            { "type": "nin", "key": "author", "value": ["Ada", true] },
            { "type": "or", "filters": [] },
        ] }))
        .unwrap();
        let mut sql = QueryBuilder::new("");
        push(&mut sql, &filter);
        assert_eq!(
            sql.sql().as_str(),
            "(NOT (attributes @> $1::JSONB) \
             AND (JSONB_TYPEOF(attributes -> $2) = 'number' AND attributes -> $3 >= $4::JSONB) \
             AND NOT ((attributes @> $5::JSONB) OR (attributes @> $6::JSONB)) \
             AND (FALSE))"
        );
    }
}
