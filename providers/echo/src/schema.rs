//! Values that fit a JSON Schema: what a model that only repeats can say in a given form.

use puna_api::{Error, Result};
use serde_json::{Map, Number, Value, json};

use crate::check::{invalid, unsupported};

/// How deep a value may nest. Deeper schemas are endless, as far as anybody cares.
const MAX_DEPTH: usize = 64;
/// How many schemas may be tried for one value, so that choices within choices end.
const MAX_STEPS: usize = 20_000;
/// How many items or characters a schema may ask for at least.
const MAX_LENGTH: u64 = 10_000;

/// Keywords that describe, or that an instance made here never breaks.
const HARMLESS: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "additionalItems",
    "additionalProperties",
    "default",
    "definitions",
    "deprecated",
    "description",
    "example",
    "examples",
    "items",
    "prefixItems",
    "properties",
    "readOnly",
    "required",
    "strict",
    "title",
    "type",
    "writeOnly",
    // Read where they count.
    "$ref",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "multipleOf",
    "oneOf",
];

/// A value of this schema, with `text` in the place of every free string. The value is the same for the same schema and text.
///
/// Knows types, objects, arrays, numbers with bounds, strings with a length, `enum`, `const`, `anyOf`, `oneOf` and references within the
/// schema. Any other keyword is unsupported and named with its path, which begins with `place`.
pub(crate) fn instance(schema: &Value, place: &str, text: &str) -> Result<Value> {
    Maker {
        root: schema,
        root_place: place,
        text,
        steps: 0,
    }
    .make(schema, place, 0)
    .map_err(|stop| match stop {
        Stop::Endless => invalid(place, "the schema describes no value that ends"),
        Stop::Wrong(error) => error,
    })
}

struct Maker<'a> {
    root: &'a Value,
    root_place: &'a str,
    text: &'a str,
    steps: usize,
}

/// Why there is no value.
enum Stop {
    /// None that ends by here; another choice may.
    Endless,
    /// The schema is wrong, or asks for what is not known here.
    Wrong(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

type Made = Result<Value, Stop>;

impl Maker<'_> {
    fn make(&mut self, schema: &Value, place: &str, depth: usize) -> Made {
        self.steps += 1;
        if depth > MAX_DEPTH || self.steps > MAX_STEPS {
            return Err(Stop::Endless);
        }
        let schema = match schema {
            Value::Object(schema) => schema,
            Value::Bool(true) => return Ok(json!(self.text)),
            Value::Bool(false) => return Err(invalid(place, "the schema `false` has no value").into()),
            _ => return Err(invalid(place, "a schema is an object or a boolean").into()),
        };
        if let Some(keyword) = schema
            .keys()
            .find(|keyword| !HARMLESS.contains(&keyword.as_str()) && !keyword.starts_with("x-"))
        {
            return Err(unsupported(format!("{place}.{keyword}")).into());
        }
        if let Some(reference) = schema.get("$ref") {
            let target = self.resolve(reference, place)?.clone();
            return self.make(&target, place, depth + 1);
        }
        if let Some(value) = schema.get("const") {
            return Ok(value.clone());
        }
        if let Some(values) = schema.get("enum") {
            let first = values.as_array().and_then(|values| values.first());
            return Ok(first
                .ok_or_else(|| invalid(format!("{place}.enum"), "an array of one or more values is right"))?
                .clone());
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(choices) = schema.get(keyword) {
                return self.first_that_ends(choices, &format!("{place}.{keyword}"), depth);
            }
        }
        match kind(schema, place)? {
            "object" => self.object(schema, place, depth),
            "array" => self.array(schema, place, depth),
            "string" => self.string(schema, place),
            "integer" => number(schema, place, true),
            "number" => number(schema, place, false),
            "boolean" => Ok(Value::Bool(true)),
            "null" => Ok(Value::Null),
            other => {
                let message =
                    format!("`{other}` is not a type; object, array, string, number, integer, boolean and null are");
                Err(invalid(format!("{place}.type"), message).into())
            }
        }
    }

    /// Follows a reference within the schema, such as `#/$defs/Node`.
    fn resolve(&self, reference: &Value, place: &str) -> Result<&Value> {
        let place = format!("{place}.$ref");
        let pointer = reference.as_str().ok_or_else(|| invalid(&place, "a string is right"))?;
        let Some(pointer) = pointer.strip_prefix('#') else {
            return Err(unsupported(&place));
        };
        self.root
            .pointer(pointer)
            .ok_or_else(|| invalid(&place, format!("there is no `#{pointer}` in `{}`", self.root_place)))
    }

    fn first_that_ends(&mut self, choices: &Value, place: &str, depth: usize) -> Made {
        let choices = choices.as_array().filter(|choices| !choices.is_empty());
        for (index, choice) in choices
            .ok_or_else(|| invalid(place, "an array of one or more schemas is right"))?
            .iter()
            .enumerate()
        {
            match self.make(choice, &format!("{place}[{index}]"), depth + 1) {
                Err(Stop::Endless) => {}
                made => return made,
            }
        }
        Err(Stop::Endless)
    }

    /// All properties, but those optional ones that would not end.
    fn object(&mut self, schema: &Map<String, Value>, place: &str, depth: usize) -> Made {
        let required = strings(schema, "required", place)?;
        let none = Map::new();
        let properties = match schema.get("properties") {
            None => &none,
            Some(properties) => properties
                .as_object()
                .ok_or_else(|| invalid(format!("{place}.properties"), "an object is right"))?,
        };
        let mut object = Map::new();
        for (name, property) in properties {
            match self.make(property, &format!("{place}.properties.{name}"), depth + 1) {
                Ok(value) => drop(object.insert(name.clone(), value)),
                Err(Stop::Endless) if !required.contains(&name.as_str()) => {}
                Err(stop) => return Err(stop),
            }
        }
        for name in required {
            // A required property may have any value when `properties` says nothing of it.
            if !object.contains_key(name) {
                object.insert(name.to_owned(), json!(self.text));
            }
        }
        Ok(Value::Object(object))
    }

    /// As few items as allowed, but one where one is allowed and ends.
    fn array(&mut self, schema: &Map<String, Value>, place: &str, depth: usize) -> Made {
        let least = bound(schema, "minItems", place)?.unwrap_or(0);
        let most = bound(schema, "maxItems", place)?.unwrap_or(u64::MAX);
        if least > most {
            return Err(invalid(
                format!("{place}.minItems"),
                format!("{least} is above `maxItems` of {most}"),
            )
            .into());
        }
        if least > MAX_LENGTH {
            return Err(unsupported(format!("{place}.minItems")).into());
        }
        let prefix = match schema.get("prefixItems") {
            None => &[][..],
            Some(prefix) => prefix
                .as_array()
                .ok_or_else(|| invalid(format!("{place}.prefixItems"), "an array of schemas is right"))?,
        };
        let anything = Value::Bool(true);
        let items = schema.get("items").unwrap_or(&anything);
        let mut array = Vec::new();
        for index in 0..least.max(1).max(prefix.len() as u64).min(most) {
            let at = usize::try_from(index).unwrap_or(usize::MAX);
            let (item, place) = match prefix.get(at) {
                Some(item) => (item, format!("{place}.prefixItems[{at}]")),
                None => (items, format!("{place}.items")),
            };
            match self.make(item, &place, depth + 1) {
                Ok(value) => array.push(value),
                Err(Stop::Endless) if index >= least => break,
                Err(stop) => return Err(stop),
            }
        }
        Ok(Value::Array(array))
    }

    /// The text, cut or filled up to the lengths allowed.
    fn string(&self, schema: &Map<String, Value>, place: &str) -> Made {
        let least = bound(schema, "minLength", place)?.unwrap_or(0);
        let most = bound(schema, "maxLength", place)?.unwrap_or(u64::MAX);
        if least > most {
            return Err(invalid(
                format!("{place}.minLength"),
                format!("{least} is above `maxLength` of {most}"),
            )
            .into());
        }
        if least > MAX_LENGTH {
            return Err(unsupported(format!("{place}.minLength")).into());
        }
        let size = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
        let mut string: String = self.text.chars().take(size(most)).collect();
        let missing = size(least).saturating_sub(string.chars().count());
        string.extend(std::iter::repeat_n('.', missing));
        Ok(Value::String(string))
    }
}

/// The type of a value; the first where several are allowed, and what the other keywords tell where none is named.
fn kind<'a>(schema: &'a Map<String, Value>, place: &str) -> Result<&'a str> {
    match schema.get("type") {
        Some(Value::String(kind)) => Ok(kind),
        Some(Value::Array(kinds)) => kinds
            .first()
            .and_then(Value::as_str)
            .ok_or_else(|| invalid(format!("{place}.type"), "the names of one or more types are right")),
        Some(_) => Err(invalid(format!("{place}.type"), "the name of a type is right")),
        None => Ok(["properties", "required"]
            .iter()
            .find(|keyword| schema.contains_key(**keyword))
            .map(|_| "object")
            .or_else(|| {
                ["items", "prefixItems", "minItems"]
                    .iter()
                    .find(|keyword| schema.contains_key(**keyword))
                    .map(|_| "array")
            })
            .or_else(|| {
                let numeric = [
                    "minimum",
                    "maximum",
                    "exclusiveMinimum",
                    "exclusiveMaximum",
                    "multipleOf",
                ];
                numeric
                    .iter()
                    .find(|keyword| schema.contains_key(**keyword))
                    .map(|_| "number")
            })
            .unwrap_or("string")),
    }
}

fn strings<'a>(schema: &'a Map<String, Value>, keyword: &str, place: &str) -> Result<Vec<&'a str>> {
    let wrong = || invalid(format!("{place}.{keyword}"), "an array of strings is right");
    match schema.get(keyword) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}

fn bound(schema: &Map<String, Value>, keyword: &str, place: &str) -> Result<Option<u64>> {
    match schema.get(keyword) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(bound) => Ok(Some(bound)),
            None => Err(invalid(
                format!("{place}.{keyword}"),
                "a whole number of 0 or more is right",
            )),
        },
    }
}

/// The number within the bounds that is closest to 0, a whole one where that can be.
fn number(schema: &Map<String, Value>, place: &str, whole: bool) -> Made {
    let read = |keyword: &str| -> Result<Option<f64>> {
        let value = schema.get(keyword).map(|value| {
            value
                .as_f64()
                .ok_or_else(|| invalid(format!("{place}.{keyword}"), "a number is right"))
        });
        value.transpose()
    };
    let (minimum, above) = (read("minimum")?, read("exclusiveMinimum")?);
    let (maximum, below) = (read("maximum")?, read("exclusiveMaximum")?);
    let step = match read("multipleOf")? {
        Some(step) if step <= 0.0 => {
            return Err(invalid(format!("{place}.multipleOf"), "a number above 0 is right").into());
        }
        Some(step) => Some(step),
        None => None,
    };
    let fits = |value: f64| {
        minimum.is_none_or(|bound| value >= bound)
            && above.is_none_or(|bound| value > bound)
            && maximum.is_none_or(|bound| value <= bound)
            && below.is_none_or(|bound| value < bound)
            && (!whole || value.fract() == 0.0)
            && step.is_none_or(|step| (value / step).fract() == 0.0)
    };
    let unit = step.unwrap_or(1.0);
    let low = minimum.into_iter().chain(above).reduce(f64::max);
    let high = maximum.into_iter().chain(below).reduce(f64::min);
    let mut candidates = vec![0.0];
    if let Some(low) = low {
        candidates.extend([(low / unit).ceil() * unit, (low / unit).floor() * unit + unit]);
    }
    if let Some(high) = high {
        candidates.extend([(high / unit).floor() * unit, (high / unit).ceil() * unit - unit]);
    }
    if let (Some(low), Some(high)) = (low, high) {
        candidates.push(low + (high - low) / 2.0);
    }
    match candidates.into_iter().find(|value| fits(*value)) {
        // Beyond that, a float does not hold every whole number.
        Some(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => Ok(json!(value as i64)),
        Some(value) if !whole => Ok(Number::from_f64(value).map_or(Value::Null, Value::Number)),
        _ => Err(unsupported(format!("{place}: no number is found between its bounds")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_schema() {
        for (schema, expected) in [
            (json!({ "type": "object" }), json!({})),
            (json!({}), json!("hi")),
            (json!(true), json!("hi")),
            (
                json!({
                    "type": "object",
                    "properties": { "a": { "type": "string" }, "b": { "type": ["integer", "null"], "minimum": 3 } },
                    "required": ["a", "c"],
                    "additionalProperties": false,
                }),
                json!({ "a": "hi", "b": 3, "c": "hi" }),
            ),
            (json!({ "enum": ["x", "y"] }), json!("x")),
            (json!({ "const": { "k": null } }), json!({ "k": null })),
            (
                json!({ "anyOf": [{ "type": "null" }, { "type": "string" }] }),
                Value::Null,
            ),
            (
                json!({ "type": "array", "items": { "type": "boolean" } }),
                json!([true]),
            ),
            (
                json!({ "type": "array", "items": { "type": "null" }, "minItems": 3 }),
                json!([null, null, null]),
            ),
            (json!({ "type": "array", "maxItems": 0 }), json!([])),
            (
                json!({ "prefixItems": [{ "type": "integer" }, { "type": "string" }] }),
                json!([0, "hi"]),
            ),
            (json!({ "type": "string", "minLength": 4 }), json!("hi..")),
            (json!({ "type": "string", "maxLength": 1 }), json!("h")),
            (json!({ "type": "integer", "exclusiveMinimum": 3 }), json!(4)),
            (json!({ "type": "integer", "maximum": -2 }), json!(-2)),
            (json!({ "type": "integer", "minimum": 4, "multipleOf": 3 }), json!(6)),
            (
                json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }),
                json!(0.5),
            ),
        ] {
            assert_eq!(instance(&schema, "s", "hi").unwrap(), expected, "{schema}");
        }
    }

    #[test]
    fn recursion_ends_where_it_may() {
        let list = json!({
            "$ref": "#/$defs/Node",
            "$defs": { "Node": {
                "type": "object",
                "properties": {
                    "value": { "type": "string" },
                    "next": { "anyOf": [{ "$ref": "#/$defs/Node" }, { "type": "null" }] },
                },
                "required": ["value", "next"],
            } },
        });
        let value = instance(&list, "s", "hi").unwrap();
        assert_eq!(value["next"]["next"]["value"], "hi");
        let tree = json!({
            "type": "object",
            "properties": { "children": { "type": "array", "items": { "$ref": "#" } }, "more": { "$ref": "#" } },
        });
        assert!(instance(&tree, "s", "hi").unwrap().is_object());
        let endless = json!({ "type": "object", "properties": { "a": { "$ref": "#" } }, "required": ["a"] });
        let error = instance(&endless, "s", "hi").unwrap_err();
        assert_eq!(error.kind(), puna_api::ErrorKind::InvalidRequest);
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (schema, param) in [
            (
                json!({ "type": "object", "properties": { "a": { "pattern": "^x" } } }),
                "s.properties.a.pattern",
            ),
            (json!({ "type": "string", "format": "date" }), "s.format"),
            (json!({ "allOf": [] }), "s.allOf"),
            (json!({ "$ref": "https://example.org/x" }), "s.$ref"),
            (json!({ "$ref": "#/$defs/X" }), "s.$ref"),
            (json!({ "type": "llama" }), "s.type"),
            (json!({ "type": 5 }), "s.type"),
            (json!({ "enum": [] }), "s.enum"),
            (json!({ "type": "array", "items": 5 }), "s.items"),
            (json!({ "type": "array", "minItems": 4_000_000_000_u64 }), "s.minItems"),
            (
                json!({ "type": "string", "minLength": 3, "maxLength": 2 }),
                "s.minLength",
            ),
            (
                json!({ "type": "integer", "minimum": 1, "maximum": 0 }),
                "s: no number is found between its bounds",
            ),
            (json!({ "required": "a" }), "s.required"),
        ] {
            let error = instance(&schema, "s", "hi").unwrap_err();
            assert_eq!(error.param(), Some(param), "{schema}: {error}");
        }
    }
}
