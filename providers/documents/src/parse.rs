//! Files of each kind to documents.

mod html;
mod office;
mod pdf;

use puna_api::Result;

use crate::detect::{Hint, Kind, kind};
use crate::document::Document;
use crate::error::without_text;

/// Reads a file. `clean` takes away what layout leaves behind.
pub(crate) fn parse(bytes: &[u8], hint: &Hint, clean: bool) -> Result<Document> {
    let mut document = match kind(bytes, hint)? {
        Kind::Pdf => pdf::parse(bytes, clean)?,
        Kind::Office => office::parse(bytes, clean)?,
        Kind::Html(text) => html::parse(&text, clean)?,
        Kind::Text(kind, text) => Document::of_text(kind.media_type, kind.form, trimmed(&text)),
    };
    if document.text.trim().is_empty() {
        return Err(without_text(document.media_type));
    }
    for known in [&mut document.title, &mut document.author] {
        *known = known
            .take()
            .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|text| !text.is_empty());
    }
    Ok(document)
}

/// The text without empty lines at its ends.
fn trimmed(text: &str) -> String {
    let text = text.trim_end();
    let first = text
        .find(|character: char| !character.is_whitespace())
        .unwrap_or(text.len());
    let start = text[..first].rfind('\n').map_or(0, |end| end + 1);
    text[start..].to_owned()
}

/// What layout leaves behind, taken away: white space at the ends of lines, more than one empty line in a row, characters that are not seen.
fn cleaned(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut empty_lines = 0;
    for line in text.lines() {
        let seen: String = line
            .trim_end()
            .chars()
            .filter(|character| !matches!(character, '\u{ad}' | '\u{200b}' | '\u{feff}' | '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'))
            .collect();
        if seen.trim().is_empty() {
            empty_lines += 1;
            continue;
        }
        if !cleaned.is_empty() {
            cleaned.push('\n');
            if empty_lines > 0 {
                cleaned.push('\n');
            }
        }
        empty_lines = 0;
        cleaned.push_str(&seen);
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_layout_leaves_behind_goes() {
        assert_eq!(cleaned("\n\na  \n \n\n\nb\u{ad}c\nd\u{200b}\n\n"), "a\n\nbc\nd");
        assert_eq!(trimmed("\n \n  a\n b \n\n"), "  a\n b");
    }

    #[test]
    fn a_text_stays_as_it_is() {
        let document = parse(
            "\r\n  fn a() {\r\n\r\n\r\n}  \r\n".as_bytes(),
            &Hint::new(Some("rs"), None),
            true,
        )
        .unwrap();
        assert_eq!(document.text, "  fn a() {\n\n\n}");
        assert_eq!(document.media_type, "text/x-rust");
        assert!(parse(b" \n\t", &Hint::default(), true).is_err());
    }
}
