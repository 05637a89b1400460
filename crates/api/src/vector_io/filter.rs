//! Which chunks a search may find.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{AttributeValue, Attributes};
use crate::{Error, Result};

/// The most conditions in a filter, those within others counted.
const MAX_CONDITIONS: usize = 256;

/// The most filters within one another.
const MAX_DEPTH: usize = 16;

/// A condition on attributes. An attribute that a chunk does not have, or whose value is of another type, equals nothing and is
/// neither greater nor less than anything.
///
/// Wire shape: `ComparisonFilter` and `CompoundFilter` of OpenAI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// The attribute equals the value.
    Eq {
        /// The attribute's name.
        #[serde(deserialize_with = "key")]
        key: String,
        /// The value.
        #[serde(deserialize_with = "value")]
        value: AttributeValue,
    },
    /// The attribute does not equal the value, or is missing.
    Ne {
        /// The attribute's name.
        #[serde(deserialize_with = "key")]
        key: String,
        /// The value.
        #[serde(deserialize_with = "value")]
        value: AttributeValue,
    },
    /// The attribute is greater than the number.
    Gt {
        /// The attribute's name.
        #[serde(deserialize_with = "key")]
        key: String,
        /// The number.
        #[serde(deserialize_with = "number")]
        value: f64,
    },
    /// The attribute is greater than the number or equals it.
    Gte {
        /// The attribute's name.
        #[serde(deserialize_with = "key")]
        key: String,
        /// The number.
        #[serde(deserialize_with = "number")]
        value: f64,
    },
    /// The attribute is less than the number.
    Lt {
        /// The attribute's name.
        #[serde(deserialize_with = "key")]
        key: String,
        /// The number.
        #[serde(deserialize_with = "number")]
        value: f64,
    },
    /// The attribute is less than the number or equals it.
    Lte {
        /// The attribute's name.
        #[serde(deserialize_with = "key")]
        key: String,
        /// The number.
        #[serde(deserialize_with = "number")]
        value: f64,
    },
    /// The attribute equals one of the values.
    In {
        /// The attribute's name.
        #[serde(deserialize_with = "key")]
        key: String,
        /// The values.
        #[serde(deserialize_with = "values")]
        value: Vec<AttributeValue>,
    },
    /// The attribute equals none of the values, or is missing.
    Nin {
        /// The attribute's name.
        #[serde(deserialize_with = "key")]
        key: String,
        /// The values.
        #[serde(deserialize_with = "values")]
        value: Vec<AttributeValue>,
    },
    /// Every one of the filters holds; so it does when there are none.
    And {
        /// The filters.
        filters: Vec<Filter>,
    },
    /// One of the filters holds; it does not when there are none.
    Or {
        /// The filters.
        filters: Vec<Filter>,
    },
}

impl Filter {
    /// Whether a chunk with these attributes may be found: the meaning that every provider gives to filters.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        let number = |key: &str| match attributes.get(key) {
            Some(AttributeValue::Number(number)) => Some(*number),
            _ => None,
        };
        match self {
            Self::Eq { key, value } => attributes.get(key) == Some(value),
            Self::Ne { key, value } => attributes.get(key) != Some(value),
            Self::Gt { key, value } => number(key).is_some_and(|number| number > *value),
            Self::Gte { key, value } => number(key).is_some_and(|number| number >= *value),
            Self::Lt { key, value } => number(key).is_some_and(|number| number < *value),
            Self::Lte { key, value } => number(key).is_some_and(|number| number <= *value),
            Self::In { key, value } => attributes.get(key).is_some_and(|is| value.contains(is)),
            Self::Nin { key, value } => attributes.get(key).is_none_or(|is| !value.contains(is)),
            Self::And { filters } => filters.iter().all(|filter| filter.matches(attributes)),
            Self::Or { filters } => filters.iter().any(|filter| filter.matches(attributes)),
        }
    }

    /// Checks what its type cannot say; an error names the place below `parameter`, such as `filters.filters[1].key`.
    pub fn check(&self, parameter: &str) -> Result<()> {
        let mut conditions = 0;
        self.check_within(parameter, 1, &mut conditions)?;
        if conditions > MAX_CONDITIONS {
            let message = format!("a filter of {conditions} conditions: at most {MAX_CONDITIONS} are allowed");
            return Err(Error::invalid_request(message).with_param(parameter));
        }
        Ok(())
    }

    fn check_within(&self, place: &str, depth: usize, conditions: &mut usize) -> Result<()> {
        *conditions += 1;
        match self {
            Self::Eq { key, value } | Self::Ne { key, value } => {
                check_key(key, place)?;
                check_value(value, place)
            }
            Self::Gt { key, value } | Self::Gte { key, value } | Self::Lt { key, value } | Self::Lte { key, value } => {
                check_key(key, place)?;
                check_value(&AttributeValue::Number(*value), place)
            }
            Self::In { key, value } | Self::Nin { key, value } => {
                *conditions += value.len();
                check_key(key, place)?;
                value.iter().try_for_each(|value| check_value(value, place))
            }
            Self::And { .. } | Self::Or { .. } if depth == MAX_DEPTH => {
                let message = format!("filters within one another are allowed to a depth of {MAX_DEPTH}");
                Err(Error::invalid_request(message).with_param(place))
            }
            Self::And { filters } | Self::Or { filters } => {
                filters.iter().enumerate().try_for_each(|(index, filter)| {
                    filter.check_within(&format!("{place}.filters[{index}]"), depth + 1, conditions)
                })
            }
        }
    }
}

fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(key) => Ok(key),
        other => Err(wrong("key", &other, "send the name of an attribute, a string")),
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let right = "`gt`, `gte`, `lt` and `lte` compare with a number: send one";
    value.as_f64().ok_or_else(|| wrong("value", &value, right))
}

fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AttributeValue, D::Error> {
    let value = Value::deserialize(deserializer)?;
    AttributeValue::deserialize(&value).map_err(|_| wrong("value", &value, "send a string, a number or a boolean"))
}

fn values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AttributeValue>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let right = "`in` and `nin` compare with a list of strings, numbers and booleans: send one";
    Vec::deserialize(&value).map_err(|_| wrong("value", &value, right))
}

/// The error of a condition whose member `name` is `value`, and what would be right.
fn wrong<E: serde::de::Error>(name: &str, value: &Value, right: &str) -> E {
    let shown: String = value.to_string().chars().take(100).collect();
    E::custom(format!("the `{name}` of a condition is `{shown}`; {right}"))
}

fn check_key(key: &str, place: &str) -> Result<()> {
    if key.is_empty() {
        let message = "a condition needs the name of an attribute";
        return Err(Error::invalid_request(message).with_param(format!("{place}.key")));
    }
    Ok(())
}

fn check_value(value: &AttributeValue, place: &str) -> Result<()> {
    match value {
        AttributeValue::Number(number) if !number.is_finite() => {
            let message = format!("a condition with {number}: its number must be finite");
            Err(Error::invalid_request(message).with_param(format!("{place}.value")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filter(wire: Value) -> Filter {
        serde_json::from_value(wire).unwrap()
    }

    #[test]
    fn conditions_look_at_attributes() {
        let attributes: Attributes = serde_json::from_value(json!({
            "author": "Ada", "year": 1843, "printed": true,
        }))
        .unwrap();
        let holds = [
            json!({"type": "eq", "key": "author", "value": "Ada"}),
            json!({"type": "eq", "key": "year", "value": 1843.0}),
            json!({"type": "ne", "key": "year", "value": "1843"}),
            json!({"type": "ne", "key": "missing", "value": 1}),
            json!({"type": "gt", "key": "year", "value": 1842.5}),
            json!({"type": "gte", "key": "year", "value": 1843}),
            json!({"type": "lt", "key": "year", "value": 1844}),
            json!({"type": "lte", "key": "year", "value": 1843}),
            json!({"type": "in", "key": "author", "value": ["Bob", "Ada"]}),
            json!({"type": "nin", "key": "author", "value": ["Bob"]}),
            json!({"type": "nin", "key": "missing", "value": ["Bob"]}),
            json!({"type": "and", "filters": []}),
            json!({"type": "or", "filters": [
                {"type": "eq", "key": "printed", "value": false},
                {"type": "and", "filters": [{"type": "eq", "key": "printed", "value": true}]},
            ]}),
        ];
        for wire in holds {
            assert!(filter(wire.clone()).matches(&attributes), "{wire}");
        }
        let fails = [
            json!({"type": "eq", "key": "author", "value": "ada"}),
            json!({"type": "eq", "key": "printed", "value": "true"}),
            json!({"type": "eq", "key": "missing", "value": 1}),
            json!({"type": "gt", "key": "year", "value": 1843}),
            json!({"type": "gt", "key": "author", "value": 0}),
            json!({"type": "lt", "key": "missing", "value": 0}),
            json!({"type": "in", "key": "missing", "value": []}),
            json!({"type": "nin", "key": "year", "value": [1843]}),
            json!({"type": "or", "filters": []}),
        ];
        for wire in fails {
            assert!(!filter(wire.clone()).matches(&attributes), "{wire}");
        }
    }

    #[test]
    fn filters_are_written_as_they_were_read() {
        let wire = json!({"type": "and", "filters": [
            {"type": "gte", "key": "year", "value": 1843.0},
            {"type": "in", "key": "author", "value": ["Ada", 2.5, true]},
        ]});
        assert_eq!(serde_json::to_value(filter(wire.clone())).unwrap(), wire);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (wire, says) in [
            (
                json!({"type": "like", "key": "a", "value": "b"}),
                "unknown variant `like`, expected one of `eq`",
            ),
            (
                json!({"type": "gt", "key": "a", "value": "b"}),
                "the `value` of a condition is `\"b\"`; `gt`, `gte`, `lt` and `lte` compare with a number",
            ),
            (
                json!({"type": "eq", "key": "a", "value": [1]}),
                "the `value` of a condition is `[1]`; send a string, a number or a boolean",
            ),
            (
                json!({"type": "in", "key": "a", "value": 1}),
                "the `value` of a condition is `1`; `in` and `nin` compare with a list",
            ),
            (
                json!({"type": "and", "filters": [{"type": "nin", "key": "a", "value": [null]}]}),
                "the `value` of a condition is `[null]`; `in` and `nin`",
            ),
            (
                json!({"type": "eq", "key": 5, "value": 1}),
                "the `key` of a condition is `5`; send the name of an attribute",
            ),
            (
                json!({"type": "eq", "key": "a", "value": 1, "boost": 2}),
                "unknown field `boost`",
            ),
            (json!({"type": "eq", "value": 1}), "missing field `key`"),
        ] {
            let error = serde_json::from_value::<Filter>(wire).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn bounds_name_the_place() {
        let nested = (0..20).fold(
            json!({"type": "eq", "key": "a", "value": 1}),
            |inner, _| json!({"type": "and", "filters": [inner]}),
        );
        let error = filter(nested).check("filters").unwrap_err();
        assert_eq!(error.param().map(|place| place.matches("[0]").count()), Some(15));

        let nameless = json!({"type": "or", "filters": [
            {"type": "eq", "key": "a", "value": 1}, {"type": "eq", "key": "", "value": 1},
        ]});
        let error = filter(nameless).check("filters").unwrap_err();
        assert_eq!(error.param(), Some("filters.filters[1].key"));

        let many: Vec<Value> = (0..300).map(|n| json!(n)).collect();
        let error = filter(json!({"type": "in", "key": "a", "value": many}))
            .check("filters")
            .unwrap_err();
        assert!(error.message().contains("301 conditions"), "{}", error.message());
    }
}
