//! Conditions mean what filters mean, by what Chroma does with its conditions.

use std::collections::BTreeMap;

use puna_api::Attributes;
use puna_testkit::{random_attributes, random_filter};

use super::*;

/// What conditions look at: a list of texts, and numbers by the names of their fields.
#[derive(Default)]
struct Metadata {
    equals: Vec<String>,
    numbers: BTreeMap<String, f64>,
}

impl Metadata {
    /// Writes a chunk's attributes over what is there, as Chroma does.
    fn merge(&mut self, attributes: &Attributes) {
        self.equals.clear();
        for (name, value) in attributes {
            self.equals.push(equality(name, value));
            if let AttributeValue::Number(value) = value {
                self.equals.push(is_number(name));
                self.numbers.insert(number(name), *value);
            }
        }
    }

    fn passes(&self, condition: &Value) -> bool {
        let (field, wanted) = condition.as_object().unwrap().iter().next().unwrap();
        match field.as_str() {
            "$and" => wanted
                .as_array()
                .unwrap()
                .iter()
                .all(|condition| self.passes(condition)),
            "$or" => wanted
                .as_array()
                .unwrap()
                .iter()
                .any(|condition| self.passes(condition)),
            field => {
                let (operator, bound) = wanted.as_object().unwrap().iter().next().unwrap();
                let has = || {
                    assert_eq!(field, EQUALS);
                    self.equals.iter().any(|text| text == bound.as_str().unwrap())
                };
                let is = |holds: fn(&f64, &f64) -> bool| {
                    // With a point, so that Chroma never takes it for a whole number.
                    assert!(bound.is_f64());
                    self.numbers
                        .get(field)
                        .is_some_and(|number| holds(number, &bound.as_f64().unwrap()))
                };
                match operator.as_str() {
                    "$contains" => has(),
                    "$not_contains" => !has(),
                    "$gt" => is(f64::gt),
                    "$gte" => is(f64::ge),
                    "$lt" => is(f64::lt),
                    "$lte" => is(f64::le),
                    other => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn conditions_mean_what_filters_mean() {
    let mut random = fastrand::Rng::with_seed(41);
    let mut metadata = Metadata::default();
    for _ in 0..20_000 {
        // The record has numbers of those that it had before.
        let attributes = random_attributes(&mut random);
        metadata.merge(&attributes);
        let filter = random_filter(&mut random);
        let found = metadata.passes(&condition(&filter));
        assert_eq!(found, filter.matches(&attributes), "{filter:?} of {attributes:?}");
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
        is_number("a"),
        is_number("a\",1.0"),
    ];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}

#[test]
fn conditions_are_joined_where_there_are_several() {
    let one = || has("words", "a");
    assert_eq!(all([]), None);
    assert_eq!(all([one()]), Some(json!({ "words": { "$contains": "a" } })));
    assert_eq!(all([one(), one()]), Some(json!({ "$and": [one(), one()] })));
}
