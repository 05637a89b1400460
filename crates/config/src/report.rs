//! From findings to problems: where they stand in the file, and nothing secret in them.

use serde_json::Value;

use crate::check::{Finding, FindingKind};
use crate::path::{Path, Step};
use crate::redact::{HIDDEN, is_secret_key};
use crate::schema::Schema;
use crate::yaml::{Content, Node};
use crate::{Position, Problem};

/// A tree that findings are placed in: a file, or a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Site<'a> {
    pub(crate) file: &'a str,
    pub(crate) node: &'a Node,
    /// Where `node` is in the file.
    pub(crate) path: Path,
}

/// A place in a file.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) position: Position,
    /// The path as the file has it, items that are left out counted.
    pub(crate) path: Path,
    /// What stands there, unless the place does not exist.
    pub(crate) node: Option<&'a Node>,
}

impl<'a> Site<'a> {
    /// The whole file.
    pub(crate) fn root(file: &'a str, node: &'a Node) -> Self {
        Self {
            file,
            node,
            path: Path::default(),
        }
    }

    /// Finds a place by its path in the converted value. Goes as far as the tree does. `of_key` asks for the position of the last key.
    pub(crate) fn locate(&self, path: &Path, of_key: bool) -> Place<'a> {
        let mut place = Place {
            position: self.node.position,
            path: self.path.clone(),
            node: Some(self.node),
        };
        for step in path.steps() {
            let Place { position, path, node } = place;
            place = match step {
                Step::Key(key) => {
                    let entry = node.and_then(|node| node.entry(key));
                    let found = entry.map(|entry| {
                        if of_key {
                            entry.key_position
                        } else {
                            entry.value.position
                        }
                    });
                    Place {
                        position: found.unwrap_or(position),
                        path: path.key(key),
                        node: entry.map(|entry| &entry.value),
                    }
                }
                Step::Index(index) => {
                    let items = node.map(Node::items).unwrap_or_default();
                    let item = items
                        .iter()
                        .enumerate()
                        .filter(|(_, item)| !item.is_omitted())
                        .nth(*index);
                    Place {
                        position: item.map_or(position, |(_, item)| item.position),
                        path: path.index(item.map_or(*index, |(index, _)| index)),
                        node: item.map(|(_, item)| item),
                    }
                }
            };
        }
        place
    }

    /// A problem at a place.
    pub(crate) fn problem(&self, path: &Path, message: impl Into<String>, hint: Option<String>) -> Problem {
        let place = self.locate(path, false);
        Problem {
            source: self.file.to_owned(),
            position: Some(place.position),
            path: place.path.to_string(),
            message: message.into(),
            hint,
            is_missing_part: false,
        }
    }

    /// What messages say in place of the value at a place, if they must not quote it.
    pub(crate) fn veil(&self, path: &Path, schema: &Schema<'_>) -> Option<String> {
        let unexpanded = self
            .locate(path, false)
            .node
            .and_then(Node::scalar)
            .and_then(|scalar| scalar.unexpanded.as_ref());
        match unexpanded {
            Some(raw) => Some(format!("what `{raw}` expanded to")),
            None => is_secret_place(path, schema).then(|| "what stands there".to_owned()),
        }
    }

    /// The problem that a finding is.
    pub(crate) fn finding(&self, finding: Finding, schema: &Schema<'_>, emptied: &[(Path, String)]) -> Problem {
        let Finding {
            path,
            kind,
            mut message,
            mut hint,
        } = finding;
        let place = self.locate(&path, kind == FindingKind::UnknownKey);
        if let Some((_, raw)) = emptied
            .iter()
            .find(|(emptied, _)| *emptied == path && kind == FindingKind::MissingKey)
        {
            message = format!("{message}, but `{raw}` expanded to nothing");
        }
        if kind == FindingKind::ReadersMessage {
            let is_secret = is_secret_place(&path, schema);
            for (text, replacement) in place.node.map(|node| unquotable(node, is_secret)).unwrap_or_default() {
                message = replace(&message, &text, &replacement);
                hint = hint.map(|hint| replace(&hint, &text, &replacement));
            }
        }
        Problem {
            source: self.file.to_owned(),
            position: Some(place.position),
            path: place.path.to_string(),
            message,
            hint,
            is_missing_part: false,
        }
    }
}

/// Whether what stands at a place must not be shown.
fn is_secret_place(path: &Path, schema: &Schema<'_>) -> bool {
    schema.follow(path).is_secret()
        || path
            .steps()
            .iter()
            .any(|step| matches!(step, Step::Key(key) if is_secret_key(key)))
}

/// The texts at or below a place that a message must not quote, and what stands in for each: secrets, and the values of variables.
fn unquotable(node: &Node, is_secret: bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![(node, is_secret)];
    while let Some((node, is_secret)) = waiting.pop() {
        match &node.content {
            Content::Scalar(scalar) => match &scalar.unexpanded {
                Some(raw) => found.push((scalar.text.clone(), raw.clone())),
                None if is_secret => found.push((scalar.text.clone(), HIDDEN.to_owned())),
                None => {}
            },
            Content::List(items) => waiting.extend(items.iter().map(|item| (item, is_secret))),
            Content::Map(entries) => {
                waiting.extend(
                    entries
                        .iter()
                        .map(|entry| (&entry.value, is_secret || is_secret_key(&entry.key))),
                );
            }
            Content::Omitted => {}
        }
    }
    found
}

/// Replaces a text as it was written and, where it is a number, as it was read. A text of one or two characters is no secret, and would be
/// found inside words.
fn replace(message: &str, text: &str, replacement: &str) -> String {
    if text.chars().count() < 3 {
        return message.to_owned();
    }
    let message = message.replace(text, replacement);
    match crate::expand::convert(text) {
        Value::Number(number) if number.to_string() != text => message.replace(&number.to_string(), replacement),
        _ => message,
    }
}
