//! What goes to the terminal.

use std::io::{self, Write};

use puna_api::{Error, Result};
use serde::Serialize;
use serde_json::Value;

/// Writes to standard output. A reader that went away, such as `head`, is no failure.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::internal(format!("failed to write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("failed to write JSON").with_source(error))?;
    say(&format!("{text}\n"))
}

/// Writes an error to standard error; nothing more can be done where that fails.
pub(crate) fn complain(error: &Error) {
    let _ = writeln!(io::stderr().lock(), "error: {error}");
}

/// Writes a line to standard error that is no error; nothing more can be done where that fails.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Rows in columns, each as wide as its widest cell but the last.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The fields of an object, each in a line.
pub(crate) fn fields(object: &Value) -> String {
    let rows: Vec<_> = object
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            vec![name.clone(), printable(&value)]
        })
        .collect();
    columns(&rows)
}

/// A text from elsewhere without what would move a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{columns, fields, printable};

    #[test]
    fn an_object_is_shown_without_what_is_null() {
        assert_eq!(
            fields(&json!({"id": "a", "bytes": 3, "name": null})),
            "id     a\nbytes  3\n"
        );
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["é".to_owned(), "x".to_owned()],
            vec!["long".to_owned(), "y".to_owned()],
        ];
        assert_eq!(columns(&rows), "é     x\nlong  y\n");
    }
}
