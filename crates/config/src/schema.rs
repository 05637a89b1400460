//! What a JSON Schema says about a place: its keys, its types, whether it is secret.

use serde_json::{Map, Value};

use crate::path::{Path, Step};

/// How many references, alternatives and conjunctions are followed in a row; a schema that refers to itself ends there.
const MAX_DEPTH: usize = 16;

/// The schemas that apply at one place: its own, those that it refers to, and all of its alternatives.
#[derive(Debug, Clone)]
pub(crate) struct Schema<'a> {
    root: &'a Value,
    alternatives: Vec<&'a Map<String, Value>>,
}

/// The types that a place may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Types {
    pub(crate) null: bool,
    pub(crate) boolean: bool,
    pub(crate) integer: bool,
    pub(crate) number: bool,
    pub(crate) string: bool,
    pub(crate) array: bool,
    pub(crate) object: bool,
}

impl<'a> Schema<'a> {
    /// The schema of a whole document.
    pub(crate) fn new(root: &'a Value) -> Self {
        Self::at(root, [root])
    }

    fn at(root: &'a Value, schemas: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut alternatives = Vec::new();
        for schema in schemas {
            collect(root, schema, MAX_DEPTH, &mut alternatives);
        }
        Self { root, alternatives }
    }

    /// The schema one step down. Says nothing where the schema does not know.
    pub(crate) fn step(&self, step: &Step) -> Self {
        let below = |alternative: &&'a Map<String, Value>| match step {
            Step::Key(key) => property(alternative, key),
            Step::Index(index) => {
                let at_index = alternative.get("prefixItems").and_then(|items| items.get(index));
                at_index.or_else(|| alternative.get("items"))
            }
        };
        Self::at(self.root, self.alternatives.iter().filter_map(below))
    }

    /// The schema at the end of a path.
    pub(crate) fn follow(&self, path: &Path) -> Self {
        path.steps().iter().fold(self.clone(), |schema, step| schema.step(step))
    }

    /// Whether nothing is known here, so that anything may stand here.
    pub(crate) fn is_unknown(&self) -> bool {
        self.types() == Types::default()
    }

    /// The names of the properties.
    pub(crate) fn keys(&self) -> Vec<&'a str> {
        let mut keys: Vec<&str> = Vec::new();
        for alternative in &self.alternatives {
            for key in properties(alternative).into_iter().flat_map(Map::keys) {
                if !keys.contains(&key.as_str()) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// The types that are allowed here; none at all when the schema does not say.
    pub(crate) fn types(&self) -> Types {
        let mut types = Types::default();
        for alternative in &self.alternatives {
            match alternative.get("type") {
                Some(Value::String(name)) => types.add(name),
                Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).for_each(|name| types.add(name)),
                _ => {
                    let listed = alternative.get("enum").and_then(Value::as_array).into_iter().flatten();
                    listed
                        .chain(alternative.get("const"))
                        .for_each(|value| types.add(type_name(value)));
                    if properties(alternative).is_some() {
                        types.object = true;
                    }
                }
            }
        }
        types
    }

    /// The values to choose from, where only certain strings are allowed.
    pub(crate) fn choices(&self) -> Vec<&'a str> {
        self.alternatives
            .iter()
            .flat_map(|alternative| {
                let listed = alternative.get("enum").and_then(Value::as_array).into_iter().flatten();
                listed.chain(alternative.get("const")).filter_map(Value::as_str)
            })
            .collect()
    }

    /// Whether the value must not be shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.alternatives.iter().any(|alternative| {
            alternative.get("writeOnly") == Some(&Value::Bool(true))
                || alternative.get("format").and_then(Value::as_str) == Some("password")
        })
    }

    /// The kind of storage backend that a text here names, `kv` or `sql`, if it names one.
    pub(crate) fn named_backend(&self) -> Option<&'a str> {
        self.alternatives
            .iter()
            .find_map(|alternative| alternative.get("x-puna-backend").and_then(Value::as_str))
    }

    /// Whether text may stand here and no other scalar, so that an expanded variable is not turned into a number.
    pub(crate) fn is_text(&self) -> bool {
        let Types {
            boolean,
            integer,
            number,
            string,
            ..
        } = self.types();
        string && !(boolean || integer || number)
    }

    /// The first line of the description.
    pub(crate) fn description(&self) -> Option<&'a str> {
        let text = self
            .alternatives
            .iter()
            .find_map(|alternative| alternative.get("description").and_then(Value::as_str))?;
        text.lines().next().map(|line| line.trim_end_matches('.'))
    }

    /// Some value that fits, to read on past one that does not.
    pub(crate) fn placeholder(&self) -> Option<Value> {
        let first = self.alternatives.iter().find_map(|alternative| {
            let listed = alternative
                .get("enum")
                .and_then(Value::as_array)
                .and_then(|values| values.first());
            alternative
                .get("default")
                .or(listed)
                .or_else(|| alternative.get("const"))
        });
        if let Some(value) = first.filter(|value| !value.is_null()) {
            return Some(value.clone());
        }
        let types = self.types();
        if types.null {
            Some(Value::Null)
        } else if types.string {
            Some(Value::from("x"))
        } else if types.integer || types.number {
            let least = self
                .alternatives
                .iter()
                .find_map(|alternative| alternative.get("minimum"));
            Some(least.cloned().unwrap_or_else(|| Value::from(1)))
        } else if types.boolean {
            Some(Value::Bool(false))
        } else if types.array {
            Some(Value::Array(Vec::new()))
        } else if types.object {
            Some(Value::Object(Map::new()))
        } else {
            None
        }
    }

    /// What may stand here, in words.
    pub(crate) fn expected(&self) -> Option<String> {
        let choices = self.choices();
        if !choices.is_empty() {
            return Some(format!("one of {}", crate::nearest::list(choices)));
        }
        let types = self.types();
        let bound = |keyword: &str| {
            self.alternatives
                .iter()
                .find_map(|alternative| alternative.get(keyword))
        };
        let range = match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(greatest)) => format!(" from {least} to {greatest}"),
            (Some(least), None) => format!(", {least} or more"),
            (None, Some(greatest)) => format!(", {greatest} or less"),
            (None, None) => String::new(),
        };
        let (number, whole) = (format!("a number{range}"), format!("a whole number{range}"));
        let mut words = Vec::new();
        for (allowed, word) in [
            (types.string, "text"),
            (types.number, number.as_str()),
            (types.integer && !types.number, whole.as_str()),
            (types.boolean, "true or false"),
            (types.array, "a list"),
            (types.object, "a mapping"),
        ] {
            if allowed {
                words.push(word);
            }
        }
        (!words.is_empty()).then(|| words.join(" or "))
    }

    /// The places in a value whose type the schema does not allow. What the schema does not know is allowed.
    pub(crate) fn mismatches(&self, value: &Value) -> Vec<Path> {
        let mut found = Vec::new();
        self.collect_mismatches(value, &Path::default(), &mut found);
        found
    }

    fn collect_mismatches(&self, value: &Value, path: &Path, found: &mut Vec<Path>) {
        if self.is_unknown() {
            return;
        }
        let choices = self.choices();
        let chosen = value
            .as_str()
            .is_none_or(|text| choices.is_empty() || choices.contains(&text) || self.has_free_text());
        if !self.types().allow(value) || !chosen || !self.bounds_allow(value) {
            found.push(path.clone());
            return;
        }
        match value {
            Value::Object(map) => {
                for (key, below) in map {
                    self.step(&Step::Key(key.clone()))
                        .collect_mismatches(below, &path.clone().key(key), found);
                }
            }
            Value::Array(items) => {
                for (index, below) in items.iter().enumerate() {
                    self.step(&Step::Index(index))
                        .collect_mismatches(below, &path.clone().index(index), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Whether a number is within the bounds of one of the alternatives.
    fn bounds_allow(&self, value: &Value) -> bool {
        let Some(number) = value.as_f64() else { return true };
        let mut numeric = self
            .alternatives
            .iter()
            .filter(|alternative| alternative.contains_key("minimum"))
            .peekable();
        let bound = |alternative: &Map<String, Value>, keyword: &str| alternative.get(keyword).and_then(Value::as_f64);
        numeric.peek().is_none()
            || numeric.any(|alternative| {
                bound(alternative, "minimum").is_none_or(|least| number >= least)
                    && bound(alternative, "maximum").is_none_or(|greatest| number <= greatest)
            })
    }

    /// Whether one of the alternatives takes any text.
    fn has_free_text(&self) -> bool {
        self.alternatives.iter().any(|alternative| {
            let is_string = match alternative.get("type") {
                Some(Value::String(name)) => name == "string",
                Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
                _ => false,
            };
            is_string && !alternative.contains_key("enum") && !alternative.contains_key("const")
        })
    }
}

impl Types {
    fn add(&mut self, name: &str) {
        match name {
            "null" => self.null = true,
            "boolean" => self.boolean = true,
            "integer" => self.integer = true,
            "number" => self.number = true,
            "string" => self.string = true,
            "array" => self.array = true,
            "object" => self.object = true,
            _ => {}
        }
    }

    fn allow(self, value: &Value) -> bool {
        match value {
            Value::Null => self.null,
            Value::Bool(_) => self.boolean,
            Value::Number(number) => self.number || (self.integer && (number.is_i64() || number.is_u64())),
            Value::String(_) => self.string,
            Value::Array(_) => self.array,
            Value::Object(_) => self.object,
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn properties<'a>(schema: &&'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn property<'a>(schema: &&'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    properties(schema)
        .and_then(|properties| properties.get(key))
        .or_else(|| schema.get("additionalProperties"))
}

fn collect<'a>(root: &'a Value, schema: &'a Value, depth: usize, found: &mut Vec<&'a Map<String, Value>>) {
    let Some(map) = schema.as_object() else { return };
    if depth == 0 {
        return;
    }
    found.push(map);
    let reference = map
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|text| text.strip_prefix('#'));
    if let Some(target) = reference.and_then(|pointer| root.pointer(pointer)) {
        collect(root, target, depth - 1, found);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for alternative in map.get(keyword).and_then(Value::as_array).into_iter().flatten() {
            collect(root, alternative, depth - 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "base_url": { "type": ["string", "null"], "description": "Where it is.\nMore." },
                "api_key": { "type": "string", "format": "password", "writeOnly": true },
                "network": { "anyOf": [{ "$ref": "#/$defs/Network" }, { "type": "null" }] },
                "mode": { "oneOf": [{ "const": "fast" }, { "const": "slow" }] },
                "port": { "type": "integer", "minimum": 3 },
                "verify": { "anyOf": [{ "type": "boolean" }, { "type": "string" }] },
                "any": true
            },
            "$defs": {
                "Network": {
                    "type": "object",
                    "properties": {
                        "headers": { "type": "object", "additionalProperties": { "type": "string" } },
                        "again": { "$ref": "#/$defs/Network" }
                    }
                }
            }
        })
    }

    #[test]
    fn places_are_known_through_references_and_alternatives() {
        let schema = schema();
        let schema = Schema::new(&schema);
        let at = |text: &[&str]| schema.follow(&text.iter().fold(Path::default(), |path, key| path.key(key)));
        assert_eq!(at(&["network"]).keys(), ["headers", "again"]);
        assert_eq!(
            at(&["network", "again", "again", "headers", "x"]).expected().as_deref(),
            Some("text")
        );
        assert_eq!(at(&["mode"]).expected().as_deref(), Some("one of `fast` and `slow`"));
        assert_eq!(at(&["verify"]).expected().as_deref(), Some("text or true or false"));
        assert_eq!(at(&["base_url"]).description(), Some("Where it is"));
        assert!(at(&["api_key"]).is_secret() && !at(&["base_url"]).is_secret());
        assert!(at(&["base_url"]).is_text() && at(&["mode"]).is_text() && !at(&["verify"]).is_text());
        assert!(at(&["any"]).is_unknown() && at(&["nowhere"]).is_unknown());
        assert_eq!(at(&["port"]).placeholder(), Some(json!(3)));
        assert_eq!(at(&["mode"]).placeholder(), Some(json!("fast")));
    }

    #[test]
    fn types_that_do_not_fit_are_found_deep_down() {
        let schema = schema();
        let found = Schema::new(&schema).mismatches(&json!({
            "base_url": 1,
            "network": { "headers": { "a": "b", "c": 4 }, "again": { "again": [] } },
            "mode": "medium",
            "port": 1.5,
            "verify": "/ca.pem",
            "unknown": {},
            "any": []
        }));
        let found: Vec<_> = found.iter().map(Path::to_string).collect();
        assert_eq!(
            found,
            ["base_url", "network.headers.c", "network.again.again", "mode", "port"]
        );
    }
}
