//! Places in a configuration.

use std::fmt::{self, Write};

use serde_json::Value;

/// One step down from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// A way from a value down to a part of it: `providers.inference[2].config`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Path(Vec<Step>);

impl Path {
    pub(crate) fn from_steps(steps: &[Step]) -> Self {
        Self(steps.to_vec())
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn key(mut self, key: &str) -> Self {
        self.0.push(Step::Key(key.to_owned()));
        self
    }

    pub(crate) fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    pub(crate) fn join(mut self, below: &Self) -> Self {
        self.0.extend(below.0.iter().cloned());
        self
    }

    pub(crate) fn parent(&self) -> Option<(Self, &Step)> {
        let (last, parent) = self.0.split_last()?;
        Some((Self(parent.to_vec()), last))
    }

    pub(crate) fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Reads a path as serde_path_to_error writes it, with the help of the value that it leads through: a key may itself hold dots. Goes as
    /// far as there is a value.
    pub(crate) fn follow(value: &Value, text: &str) -> Self {
        let mut path = Self::default();
        let mut value = value;
        let mut rest = text;
        while !rest.is_empty() {
            match value {
                Value::Object(map) => {
                    rest = rest.strip_prefix('.').unwrap_or(rest);
                    let longest = map
                        .iter()
                        .filter(|(key, _)| {
                            rest.strip_prefix(key.as_str())
                                .is_some_and(|tail| tail.is_empty() || tail.starts_with(['.', '[']))
                        })
                        .max_by_key(|(key, _)| key.len());
                    let Some((key, below)) = longest else { break };
                    rest = &rest[key.len()..];
                    path = path.key(key);
                    value = below;
                }
                Value::Array(items) => {
                    let index = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                    let Some((Ok(index), tail)) = index.map(|(index, tail)| (index.parse::<usize>(), tail)) else {
                        break;
                    };
                    let Some(below) = items.get(index) else { break };
                    rest = tail;
                    path = path.index(index);
                    value = below;
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => break,
            }
        }
        path
    }

    /// The part of a value that this leads to.
    pub(crate) fn get<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }

    /// The part of a value that this leads to.
    pub(crate) fn get_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(index),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    if index > 0 {
                        f.write_char('.')?;
                    }
                    f.write_str(key)?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_followed_as_far_as_there_is_a_value() {
        let value = json!({ "a": { "b.c": [ { "d": 1 } ], "b": 2 }, "": 3 });
        for (text, shown) in [
            ("a.b.c[0].d", "a.b.c[0].d"),
            ("a.b", "a.b"),
            ("a.b.c[7]", "a.b.c"),
            ("a.b.c[0].d.e", "a.b.c[0].d"),
            ("a.x", "a"),
            ("", ""),
            ("x", ""),
        ] {
            assert_eq!(Path::follow(&value, text).to_string(), shown, "{text}");
        }
        assert_eq!(Path::follow(&value, "a.b.c[0].d").get(&value), Some(&json!(1)));
    }
}
