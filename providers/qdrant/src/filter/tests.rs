//! Conditions mean what filters mean, by what Qdrant says of its conditions.

use std::collections::BTreeMap;

use puna_api::Attributes;
use puna_testkit::{random_attributes, random_filter};
use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use serde_json::json;

use super::*;

/// What conditions look at: texts of a list, and numbers by their paths.
struct Payload {
    equals: Vec<String>,
    numbers: BTreeMap<String, f64>,
}

impl Payload {
    fn of(attributes: &Attributes) -> Self {
        let numbers = attributes.iter().filter_map(|(name, value)| match value {
            // As Qdrant reads it again: not to the last digit.
            AttributeValue::Number(value) => Some((number(name), f64::from_bits(value.to_bits() + 1))),
            AttributeValue::Boolean(_) | AttributeValue::Text(_) => None,
        });
        Self {
            equals: attributes.iter().map(|(name, value)| equality(name, value)).collect(),
            numbers: numbers.collect(),
        }
    }

    /// All of `must`, one of `should` if there are any, and none of `must_not`.
    fn passes(&self, filter: &qdrant::Filter) -> bool {
        assert!(filter.min_should.is_none());
        filter.must.iter().all(|condition| self.has(condition))
            && (filter.should.is_empty() || filter.should.iter().any(|condition| self.has(condition)))
            && !filter.must_not.iter().any(|condition| self.has(condition))
    }

    fn has(&self, condition: &Condition) -> bool {
        match condition.condition_one_of.as_ref().unwrap() {
            ConditionOneOf::Filter(filter) => self.passes(filter),
            ConditionOneOf::HasId(ids) => {
                assert!(ids.has_id.is_empty());
                false
            }
            ConditionOneOf::Field(field) => match (&field.r#match, &field.range) {
                (Some(one), None) => {
                    assert_eq!(field.key, EQUALS);
                    match one.match_value.as_ref().unwrap() {
                        MatchValue::Keyword(text) => self.equals.contains(text),
                        MatchValue::Keywords(texts) => texts.strings.iter().any(|text| self.equals.contains(text)),
                        other => panic!("{other:?}"),
                    }
                }
                (None, Some(range)) => self.numbers.get(&field.key).is_some_and(|number| {
                    range.gt.is_none_or(|bound| *number > bound)
                        && range.gte.is_none_or(|bound| *number >= bound)
                        && range.lt.is_none_or(|bound| *number < bound)
                        && range.lte.is_none_or(|bound| *number <= bound)
                }),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
}

fn agree(filter: &Filter, attributes: &Attributes) {
    let found = Payload::of(attributes).has(&condition(filter));
    assert_eq!(found, filter.matches(attributes), "{filter:?} of {attributes:?}");
}

#[test]
fn conditions_mean_what_filters_mean() {
    let mut random = fastrand::Rng::with_seed(41);
    for _ in 0..20_000 {
        let attributes = random_attributes(&mut random);
        agree(&random_filter(&mut random), &attributes);
    }
}

#[test]
fn the_last_digit_counts() {
    let sum = 0.1 + 0.2;
    let there = Attributes::from([("n".to_owned(), sum.into())]);
    for value in [sum, 0.3, 0.4, -0.0, 1e300] {
        let key = || "n".to_owned();
        for filter in [
            Filter::Eq {
                key: key(),
                value: value.into(),
            },
            Filter::Ne {
                key: key(),
                value: value.into(),
            },
            Filter::Gt { key: key(), value },
            Filter::Gte { key: key(), value },
            Filter::Lt { key: key(), value },
            Filter::Lte { key: key(), value },
        ] {
            agree(&filter, &there);
        }
    }
}

#[test]
fn no_two_attributes_look_alike() {
    let read = |text: &str| serde_json::from_value::<AttributeValue>(serde_json::from_str(text).unwrap()).unwrap();
    let equality = |name: &str, value: &str| equality(name, &read(value));
    assert_eq!(equality("year", "1843"), r#"["year",1843.0]"#);
    assert_eq!(equality("zero", "-0.0"), equality("zero", "0"));
    let all = [
        equality("a", "1"),
        equality("a", "\"1.0\""),
        equality("a", "true"),
        equality("a", "\"true\""),
        equality("a\",\"", "\"b\""),
        equality("a", "\",\\\"b\""),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}

#[test]
fn the_tenant_comes_before_the_conditions() {
    let filter: Filter = serde_json::from_value(json!({ "type": "eq", "key": "year", "value": 1843 })).unwrap();
    let whole = within(&Index::sample(false), [condition(&filter)]).unwrap();
    assert_eq!(whole, qdrant::Filter::must([condition(&filter)]));
    let shared = within(&Index::sample(true), [condition(&filter)]).unwrap();
    assert_eq!(
        shared,
        qdrant::Filter::must([is("index_id", "vs_sample".to_owned()), condition(&filter)])
    );
    assert_eq!(within(&Index::sample(false), []), None);
}
