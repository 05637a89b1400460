//! From text to tree.

use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Tag};
use serde_json::Value;

use super::{Content, Entry, Node, Scalar, resolve_plain};
use crate::{Position, Problem};

/// The largest text that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// How deep lists and mappings may nest.
const MAX_DEPTH: usize = 64;
/// How many values a text may hold, aliases counted as often as they are used.
const MAX_NODES: usize = 100_000;
/// How many bytes the scalars may hold, aliases counted as often as they are used.
const MAX_EXPANDED_BYTES: usize = 16 << 20;

/// Reads one YAML document. What can be read past (a duplicate key, an unknown tag) is added to `problems`; what cannot is returned.
pub(crate) fn read(name: &str, text: &str, problems: &mut Vec<Problem>) -> Result<Node, Box<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_BYTES {
        let message = format!(
            "the text has {} bytes, more than the {MAX_BYTES} that a configuration may have",
            text.len()
        );
        return Err(Box::new(Problem::of_whole(name, message)));
    }
    Builder {
        name,
        problems,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        bytes: 0,
        root: None,
    }
    .run(text)
}

struct Builder<'a> {
    name: &'a str,
    problems: &'a mut Vec<Problem>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    bytes: usize,
    root: Option<Node>,
}

/// A list or mapping that has not ended yet.
struct Open {
    position: Position,
    anchor: usize,
    content: Collected,
}

enum Collected {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, Position>,
        merges: Vec<Node>,
        key: Option<Key>,
    },
}

/// A key that waits for its value.
enum Key {
    Text(String, Position),
    /// `<<`
    Merge,
    /// Not usable, and reported.
    Invalid,
}

impl Builder<'_> {
    fn run(mut self, text: &str) -> Result<Node, Box<Problem>> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| self.scan_problem(&error))?;
            self.take(event, place(&span.start))?;
        }
        let start = Position { line: 1, column: 1 };
        let empty = self.problem(
            start,
            "the configuration is empty",
            Some("a configuration starts with `version: 2`"),
        );
        self.root.ok_or(empty)
    }

    fn take(&mut self, event: Event<'_>, position: Position) -> Result<(), Box<Problem>> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(self.problem(
                position,
                "a second document starts here",
                Some("a configuration is one YAML document"),
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let plain_merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
                let value = self.resolve(&text, style, tag.as_deref(), position);
                let scalar = Scalar {
                    text: text.into_owned(),
                    value,
                    unexpanded: None,
                };
                let node = Node {
                    position,
                    content: Content::Scalar(scalar),
                };
                self.count(&node, position)?;
                self.remember(anchor, &node);
                self.place(node, plain_merge);
                Ok(())
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", position);
                self.start(Open {
                    position,
                    anchor,
                    content: Collected::List(Vec::new()),
                })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", position);
                let content = Collected::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    merges: Vec::new(),
                    key: None,
                };
                self.start(Open {
                    position,
                    anchor,
                    content,
                })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(self.problem(position, "an alias stands inside the value that it names", None));
                };
                self.count(&node, position)?;
                self.place(node, false);
                Ok(())
            }
            Event::UnresolvedAlias(name) => {
                Err(self.problem(position, format!("the alias `*{name}` names no anchor"), None))
            }
            // Starts and ends, and what the options above leave out.
            _ => Ok(()),
        }
    }

    fn start(&mut self, open: Open) -> Result<(), Box<Problem>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.problem(
                open.position,
                format!("lists and mappings nest deeper than {MAX_DEPTH} levels"),
                None,
            ));
        }
        self.nodes += 1;
        self.within_bounds(open.position)?;
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) {
        let Some(Open {
            position,
            anchor,
            content,
        }) = self.open.pop()
        else {
            return;
        };
        let content = match content {
            Collected::List(items) => Content::List(items),
            Collected::Map {
                mut entries, merges, ..
            } => {
                if !merges.is_empty() {
                    let mut keys = entries.iter().map(|entry| entry.key.clone()).collect();
                    for merge in &merges {
                        self.merge(&mut entries, &mut keys, merge);
                    }
                }
                Content::Map(entries)
            }
        };
        let node = Node { position, content };
        self.remember(anchor, &node);
        self.place(node, false);
    }

    /// Puts a complete value where it belongs: into the innermost open list or mapping, there as a key or as the key's value.
    fn place(&mut self, node: Node, plain_merge: bool) {
        let Some(Open { content, .. }) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        let (entries, seen, merges, key) = match content {
            Collected::List(items) => {
                items.push(node);
                return;
            }
            Collected::Map {
                entries,
                seen,
                merges,
                key,
            } => (entries, seen, merges, key),
        };
        match key.take() {
            None if plain_merge => *key = Some(Key::Merge),
            None => {
                let Content::Scalar(scalar) = node.content else {
                    *key = Some(Key::Invalid);
                    let problem = self.problem(node.position, "a key is a list or a mapping", Some("keys are text"));
                    self.problems.push(*problem);
                    return;
                };
                let first = seen.get(&scalar.text).copied();
                *key = Some(if first.is_some() {
                    Key::Invalid
                } else {
                    Key::Text(scalar.text.clone(), node.position)
                });
                seen.entry(scalar.text.clone()).or_insert(node.position);
                if let Some(first) = first {
                    let message = format!("the key `{}` stands here a second time", scalar.text);
                    let hint = format!("first at line {}, column {}", first.line, first.column);
                    let problem = self.problem(node.position, message, Some(&hint));
                    self.problems.push(*problem);
                }
            }
            Some(Key::Text(key, key_position)) => entries.push(Entry {
                key,
                key_position,
                value: node,
            }),
            Some(Key::Merge) => merges.push(node),
            Some(Key::Invalid) => {}
        }
    }

    /// Adds the entries of a `<<` that are not there yet.
    fn merge(&mut self, entries: &mut Vec<Entry>, keys: &mut HashSet<String>, merged: &Node) {
        match &merged.content {
            Content::Map(others) => {
                entries.extend(others.iter().filter(|other| keys.insert(other.key.clone())).cloned());
            }
            Content::List(items) if items.iter().all(|item| matches!(item.content, Content::Map(_))) => {
                for item in items {
                    self.merge(entries, keys, item);
                }
            }
            Content::List(_) | Content::Scalar(_) | Content::Omitted => {
                let problem = self.problem(merged.position, "`<<` merges mappings, and this is none", None);
                self.problems.push(*problem);
            }
        }
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    /// Counts a value with all of its parts against the bounds.
    fn count(&mut self, node: &Node, position: Position) -> Result<(), Box<Problem>> {
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            self.nodes += 1;
            match &node.content {
                Content::Scalar(scalar) => self.bytes += scalar.text.len(),
                Content::List(items) => waiting.extend(items),
                Content::Map(entries) => waiting.extend(entries.iter().map(|entry| &entry.value)),
                Content::Omitted => {}
            }
            self.within_bounds(position)?;
        }
        Ok(())
    }

    fn within_bounds(&self, position: Position) -> Result<(), Box<Problem>> {
        if self.nodes > MAX_NODES {
            let message =
                format!("the configuration holds more than {MAX_NODES} values, aliases counted as often as used");
            return Err(self.problem(position, message, None));
        }
        if self.bytes > MAX_EXPANDED_BYTES {
            let message = format!(
                "the configuration holds more than {MAX_EXPANDED_BYTES} bytes of text, aliases counted as often as used"
            );
            return Err(self.problem(position, message, None));
        }
        Ok(())
    }

    fn resolve(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, position: Position) -> Value {
        let string = || Value::String(text.to_owned());
        let Some(tag) = tag else {
            return if style == ScalarStyle::Plain {
                resolve_plain(text)
            } else {
                string()
            };
        };
        let value = resolve_plain(text);
        let fits = match tag.core_suffix() {
            Some("str") => return string(),
            Some("null") => value.is_null(),
            Some("bool") => value.is_boolean(),
            Some("int") => value.is_i64() || value.is_u64(),
            Some("float") => value.is_number(),
            _ if tag.original() == "!" => return string(),
            _ => {
                self.unknown_tag(tag, position);
                return string();
            }
        };
        if !fits {
            let problem = self.problem(
                position,
                format!("the value is not what its tag `{}` says", tag.original()),
                None,
            );
            self.problems.push(*problem);
        }
        value
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, position: Position) {
        if let Some(tag) = tag
            && tag.core_suffix() != Some(expected)
            && tag.original() != "!"
        {
            self.unknown_tag(tag, position);
        }
    }

    fn unknown_tag(&mut self, tag: &Tag, position: Position) {
        let problem = self.problem(
            position,
            format!("the tag `{}` has no meaning here", tag.original()),
            None,
        );
        self.problems.push(*problem);
    }

    fn scan_problem(&self, error: &ScanError) -> Box<Problem> {
        let hint = match error.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart => Some("indent with spaces, not with tabs"),
            ErrorKind::RecursionLimitExceeded => {
                let message = format!("lists and mappings nest deeper than {MAX_DEPTH} levels");
                return self.problem(place(error.marker()), message, None);
            }
            _ => None,
        };
        self.problem(place(error.marker()), format!("not valid YAML: {}", error.kind()), hint)
    }

    fn problem(&self, position: Position, message: impl Into<String>, hint: Option<&str>) -> Box<Problem> {
        Box::new(Problem {
            source: self.name.to_owned(),
            position: Some(position),
            path: String::new(),
            message: message.into(),
            hint: hint.map(str::to_owned),
            is_missing_part: false,
        })
    }
}

fn place(marker: &Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}
