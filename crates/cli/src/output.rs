//! What goes to the terminal.

use std::io::{self, Write};

use puna_api::{Error, Result};

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

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["é".to_owned(), "x".to_owned()],
            vec!["long".to_owned(), "y".to_owned()],
        ];
        assert_eq!(columns(&rows), "é     x\nlong  y\n");
    }
}
