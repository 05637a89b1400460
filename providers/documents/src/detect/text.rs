//! Which kind of text a text is.

use serde::de::IgnoredAny;

use crate::detect::{Hint, Kind, TextKind};
use crate::document::Form;

/// How many lines are looked at.
const SAMPLE_LINES: usize = 200;

pub(super) fn kind(text: String, hint: &Hint) -> Kind {
    if is_html(&text) || hint.html && text.contains('<') {
        return Kind::Html(text);
    }
    let kind = marked_up(&text)
        .or(hint.text.filter(|kind| *kind != TextKind::PLAIN))
        .unwrap_or_else(|| sniffed(&text));
    Kind::Text(kind, text)
}

fn is_html(text: &str) -> bool {
    let start: String = text
        .trim_start()
        .chars()
        .take(256)
        .collect::<String>()
        .to_ascii_lowercase();
    // A declaration or comments may come first.
    let start = start.as_str();
    start.starts_with("<!doctype html")
        || start.starts_with("<html")
        || (start.starts_with("<?xml") || start.starts_with("<!--"))
            && (start.contains("<html") || start.contains("<!doctype html"))
}

/// JSON, which is told by its marks beyond doubt.
fn marked_up(text: &str) -> Option<TextKind> {
    let trimmed = text.trim();
    if !trimmed.starts_with(['{', '[']) {
        return None;
    }
    if serde_json::from_str::<IgnoredAny>(trimmed).is_ok() {
        return Some(TextKind::JSON);
    }
    let mut lines = trimmed.lines().map(str::trim).filter(|line| !line.is_empty());
    let all = lines.all(|line| line.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(line).is_ok());
    all.then_some(TextKind::JSON_LINES)
}

fn sniffed(text: &str) -> TextKind {
    let lines: Vec<&str> = text.lines().take(SAMPLE_LINES).collect();
    if is_table(&lines) {
        TextKind::CSV
    } else if is_markdown(&lines) {
        TextKind::MARKDOWN
    } else if is_program(&lines) {
        TextKind::new("text/plain", Form::Code)
    } else {
        TextKind::PLAIN
    }
}

/// Every line has as many separators as the first, and there are at least three.
fn is_table(lines: &[&str]) -> bool {
    let filled: Vec<&&str> = lines.iter().filter(|line| !line.trim().is_empty()).collect();
    filled.len() >= 3
        && [',', ';', '\t'].iter().any(|separator| {
            let count = |line: &str| line.matches(*separator).count();
            let first = count(filled[0]);
            first > 0
                && filled
                    .iter()
                    .all(|line| count(line) == first && !line.trim_end().ends_with('.'))
        })
}

/// There is a heading between empty lines together with something else, or several, or a fence that is closed, or a link.
fn is_markdown(lines: &[&str]) -> bool {
    let is_empty = |line: Option<&&str>| line.is_none_or(|line| line.trim().is_empty());
    let is_heading = |line: &str| {
        let marks = line.len() - line.trim_start_matches('#').len();
        (1..=6).contains(&marks) && line[marks..].starts_with(' ')
    };
    let headings = (0..lines.len())
        .filter(|index| {
            is_heading(lines[*index])
                && index.checked_sub(1).is_none_or(|before| is_empty(lines.get(before)))
                && lines.get(index + 1).is_some_and(|after| after.trim().is_empty())
        })
        .count();
    let links = lines
        .iter()
        .filter(|line| line.contains("](http") || line.contains("](#"))
        .count();
    let fences = lines.iter().filter(|line| line.trim_start().starts_with("```")).count();
    headings > 0 || links > 0 || fences >= 2
}

/// Most lines end as lines of programs do, or are indented.
fn is_program(lines: &[&str]) -> bool {
    let filled: Vec<&&str> = lines.iter().filter(|line| !line.trim().is_empty()).collect();
    let telling = filled
        .iter()
        .filter(|line| line.trim_end().ends_with([';', '{', '}']) || line.starts_with("    ") || line.starts_with('\t'))
        .count();
    filled.len() >= 5 && telling * 2 > filled.len()
}
