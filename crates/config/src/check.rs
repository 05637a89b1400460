//! Reads a value into a type, and finds everything in it that does not fit rather than the first thing alone.
//!
//! The type's own reader is the judge: what it takes is right, and what it refuses is wrong, whatever a schema says (a schema does not know
//! an older spelling of a key). After each fault the value is mended and read again, until nothing is left to find. The schema and a sample
//! tell what to mend with, and the words for it.

use puna_api::ConfigProblem;
use serde_json::Value;

use crate::nearest::{list, nearest};
use crate::path::{Path, Step};
use crate::schema::Schema;

/// How many faults of one value are looked for.
const MAX_FAULTS: usize = 100;

/// A fault, placed in the value that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: Path,
    /// Whether the fault is the key itself, or that it is absent.
    pub(crate) kind: FindingKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// What a [`Finding`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FindingKind {
    UnknownKey,
    MissingKey,
    Value,
    /// The reader's own message about a value, which may quote it.
    ReadersMessage,
}

/// What [`check`] knows about a value beside the value itself.
pub(crate) struct Background<'a> {
    pub(crate) schema: &'a Schema<'a>,
    /// A value that the reader takes.
    pub(crate) sample: Option<&'a Value>,
    /// Places whose faults are reported already.
    pub(crate) settled: &'a [Path],
    /// What messages say in place of a value that they must not quote.
    pub(crate) veil: &'a dyn Fn(&Path) -> Option<String>,
}

/// Reads a value. Returns what was read when nothing is wrong; beside findings, what was read after mending, to look further.
pub(crate) fn check<T>(
    mut value: Value,
    background: &Background<'_>,
    read: impl Fn(Value) -> Result<T, ConfigProblem>,
) -> (Option<T>, Vec<Finding>) {
    let Background {
        schema,
        sample,
        settled,
        veil,
    } = *background;
    let mut search = Search {
        schema,
        sample,
        settled: settled.to_vec(),
        veil,
        findings: Vec::new(),
    };
    for _ in 0..MAX_FAULTS {
        let problem = match read(value.clone()) {
            Ok(read) => return (Some(read), search.findings),
            Err(problem) => problem,
        };
        let mended = match Fault::of(&value, &problem) {
            Fault::UnknownKey(path, key) => search.unknown_key(&mut value, &path, &key),
            Fault::MissingKey(path, key) => search.missing_key(&mut value, &path, &key),
            Fault::TwoSpellings(path) => search.two_spellings(&mut value, &path),
            Fault::Value(path) => match search.locate(&value, &path, &problem, |value| read(value).err()) {
                Some(mended) => {
                    value = mended;
                    true
                }
                None => search.wrong_value(&mut value, &path, &problem.message),
            },
        };
        if !mended {
            break;
        }
    }
    (None, search.findings)
}

/// What a reader complained about.
enum Fault {
    UnknownKey(Path, String),
    MissingKey(Path, String),
    /// A key under its present and under an older name.
    TwoSpellings(Path),
    Value(Path),
}

impl Fault {
    fn of(value: &Value, problem: &ConfigProblem) -> Self {
        let path = Path::follow(value, &problem.path);
        let quoted = |prefix: &str| {
            problem
                .message
                .strip_prefix(prefix)?
                .split_once('`')
                .map(|(key, _)| key.to_owned())
        };
        if let Some(key) = quoted("unknown field `") {
            return match path.parent() {
                Some((parent, Step::Key(last))) if *last == key && !has_key(value, &path, &key) => {
                    Self::UnknownKey(parent, key)
                }
                _ => Self::UnknownKey(path, key),
            };
        }
        if let Some(key) = quoted("duplicate field `").filter(|key| has_key(value, &path, key)) {
            return Self::TwoSpellings(path.key(&key));
        }
        match quoted("missing field `") {
            Some(key) => Self::MissingKey(path, key),
            None => Self::Value(path),
        }
    }
}

fn has_key(value: &Value, path: &Path, key: &str) -> bool {
    path.get(value).is_some_and(|value| value.get(key).is_some())
}

struct Search<'a> {
    schema: &'a Schema<'a>,
    sample: Option<&'a Value>,
    settled: Vec<Path>,
    veil: &'a dyn Fn(&Path) -> Option<String>,
    findings: Vec<Finding>,
}

impl Search<'_> {
    fn unknown_key(&mut self, value: &mut Value, parent: &Path, key: &str) -> bool {
        let known = self.schema.follow(parent).keys();
        let given = parent.get(value);
        let free = known
            .iter()
            .copied()
            .filter(|known| given.is_none_or(|given| given.get(known).is_none()));
        let meant = nearest(key, free);
        // A misspelt key is one mistake, not one and a missing key beside it.
        self.settled.extend(meant.map(|meant| parent.clone().key(meant)));
        let hint = match meant.or_else(|| nearest(key, known.iter().copied())) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => Some("no key is known here".to_owned()),
            None => Some(format!("known here: {}", list(known))),
        };
        let path = parent.clone().key(key);
        self.add(Finding {
            path,
            kind: FindingKind::UnknownKey,
            message: "unknown key".to_owned(),
            hint,
        });
        match parent.get_mut(value) {
            Some(Value::Object(map)) => map.shift_remove(key).is_some(),
            _ => false,
        }
    }

    fn missing_key(&mut self, value: &mut Value, parent: &Path, key: &str) -> bool {
        let path = parent.clone().key(key);
        let schema = self.schema.follow(&path);
        if !self.is_settled(&path) {
            let hint = schema.description().map(lower_first);
            self.add(Finding {
                path: path.clone(),
                kind: FindingKind::MissingKey,
                message: "is required".to_owned(),
                hint,
            });
        }
        let placeholder = self.placeholder(&path, &schema);
        match (parent.get_mut(value), placeholder) {
            (Some(Value::Object(map)), Some(placeholder)) => map.insert(key.to_owned(), placeholder).is_none(),
            _ => false,
        }
    }

    fn two_spellings(&mut self, value: &mut Value, path: &Path) -> bool {
        let message = "is given twice, here and under an older name".to_owned();
        let hint = Some("keep one of them".to_owned());
        self.add(Finding {
            path: path.clone(),
            kind: FindingKind::Value,
            message,
            hint,
        });
        self.mend(value, path)
    }

    fn wrong_value(&mut self, value: &mut Value, path: &Path, message: &str) -> bool {
        if self.settled.iter().any(|settled| settled.starts_with(path)) {
            return false;
        }
        let (kind, message, hint) = match self.words(value, path, message) {
            Some((message, hint)) => (FindingKind::Value, message, hint),
            None => (FindingKind::ReadersMessage, message.to_owned(), None),
        };
        self.add(Finding {
            path: path.clone(),
            kind,
            message,
            hint,
        });
        self.mend(value, path)
    }

    /// Finds the part below a path that a reader complains about, when the reader buffers (a flattened part, an untagged choice) and so only
    /// knows that something below is wrong. The schema tells what may be; a part is at fault if the complaint goes away with it.
    fn locate(
        &mut self,
        value: &Value,
        path: &Path,
        problem: &ConfigProblem,
        fails_as: impl Fn(Value) -> Option<ConfigProblem>,
    ) -> Option<Value> {
        let part = path.get(value).filter(|part| part.is_object())?;
        let candidates = self.schema.follow(path).mismatches(part);
        candidates
            .into_iter()
            .map(|below| path.clone().join(&below))
            .find_map(|at| {
                let mut mended = value.clone();
                let is_fault =
                    at != *path && self.mend(&mut mended, &at) && fails_as(mended.clone()).as_ref() != Some(problem);
                if !is_fault {
                    return None;
                }
                if !self.is_settled(&at) {
                    let expected = self.schema.follow(&at).expected()?;
                    let message = format!("must be {expected}, not {}", self.shown(at.get(value)?, &at));
                    self.add(Finding {
                        path: at,
                        kind: FindingKind::Value,
                        message,
                        hint: None,
                    });
                }
                Some(mended)
            })
    }

    /// A reader's message in the words of somebody who writes YAML, if it is of a known form.
    fn words(&self, value: &Value, path: &Path, message: &str) -> Option<(String, Option<String>)> {
        let actual = path.get(value)?;
        let shown = self.shown(actual, path);
        let invalid = message
            .strip_prefix("invalid type: ")
            .or_else(|| message.strip_prefix("invalid value: "));
        if let Some((_, expected)) = invalid.and_then(|rest| rest.rsplit_once(", expected ")) {
            let is_switch = actual.as_str().is_some_and(|text| {
                ["yes", "no", "on", "off"]
                    .iter()
                    .any(|word| text.eq_ignore_ascii_case(word))
            });
            let hint = (expected == "a boolean" && is_switch).then(|| "write `true` or `false`".to_owned());
            return Some((format!("must be {}, not {shown}", plain_type(expected)), hint));
        }
        if message.starts_with("data did not match any variant") {
            let expected = self.schema.follow(path).expected()?;
            return Some((format!("must be {expected}, not {shown}"), None));
        }
        let (variant, _) = message.strip_prefix("unknown variant `")?.split_once("`, expected ")?;
        let choices = self.schema.follow(path).choices();
        let hint = nearest(variant, choices.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        (!choices.is_empty()).then(|| (format!("must be one of {}, not {shown}", list(choices)), hint))
    }

    /// A value in a message.
    fn shown(&self, value: &Value, path: &Path) -> String {
        (self.veil)(path).unwrap_or_else(|| match value {
            Value::Null => "empty".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::String(text) => format!("the text `{text}`"),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a mapping".to_owned(),
        })
    }

    /// Replaces or removes a part that is wrong, so that reading goes on.
    fn mend(&self, value: &mut Value, path: &Path) -> bool {
        let Some((parent, last)) = path.parent() else {
            return false;
        };
        match (parent.get_mut(value), last) {
            (Some(Value::Object(map)), Step::Key(key)) => map.shift_remove(key).is_some(),
            (Some(Value::Array(items)), Step::Index(index)) => {
                let placeholder = self.placeholder(path, &self.schema.follow(path));
                match (items.get_mut(*index), placeholder) {
                    (Some(item), Some(placeholder)) if *item != placeholder => {
                        *item = placeholder;
                        true
                    }
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn placeholder(&self, path: &Path, schema: &Schema<'_>) -> Option<Value> {
        let sample = self
            .sample
            .and_then(|sample| path.get(sample))
            .filter(|sample| !sample.is_null());
        sample.cloned().or_else(|| schema.placeholder())
    }

    /// Whether nothing more needs to be said about a place: it, or something around it that is wrong as a whole, has been reported.
    fn is_settled(&self, path: &Path) -> bool {
        let replaced = |finding: &Finding| {
            matches!(finding.kind, FindingKind::Value | FindingKind::ReadersMessage) && path.starts_with(&finding.path)
        };
        self.settled.contains(path) || self.findings.iter().any(replaced)
    }

    fn add(&mut self, finding: Finding) {
        self.settled.push(finding.path.clone());
        self.findings.push(finding);
    }
}

/// What serde calls a type, in words.
fn plain_type(expected: &str) -> String {
    let whole = |least: &str, greatest: &dyn std::fmt::Display| format!("a whole number from {least} to {greatest}");
    match expected {
        "u8" => whole("0", &u8::MAX),
        "u16" => whole("0", &u16::MAX),
        "u32" => whole("0", &u32::MAX),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "a nonzero u8" | "a nonzero u16" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => {
            "a whole number, 1 or more".to_owned()
        }
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" | "str" | "a secret as a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "unit" => "nothing".to_owned(),
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged enum ") => {
            "a mapping".to_owned()
        }
        _ => expected.to_owned(),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    let second_is_lower = text.chars().nth(1).is_some_and(|c| !c.is_uppercase());
    match chars.next() {
        Some(first) if second_is_lower => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
