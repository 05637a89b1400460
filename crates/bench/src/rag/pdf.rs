//! PDF files of lines of text (ISO 32000-1), just as much as a reader needs.

use std::fmt::Write as _;

/// How many lines a page has.
const LINES: usize = 50;

/// A file whose pages hold these lines. What is not ASCII is left out: the font knows no more.
pub(crate) fn pdf(lines: &[String]) -> Vec<u8> {
    let pages: Vec<String> = lines.chunks(LINES).map(content).collect();
    let kids: String = (0..pages.len()).map(|page| format!("{} 0 R ", 4 + 2 * page)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Count {} /Kids [{kids}] >>", pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (page, content) in pages.into_iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            5 + 2 * page
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
    }
    file(&objects)
}

/// The content stream of a page.
fn content(lines: &[String]) -> String {
    let mut content = String::from("BT\n/F1 10 Tf\n14 TL\n50 790 Td\n");
    for line in lines {
        let mut shown = String::with_capacity(line.len());
        for character in line.chars().filter(char::is_ascii) {
            if matches!(character, '(' | ')' | '\\') {
                shown.push('\\');
            }
            shown.push(character);
        }
        // Writing into a string does not fail.
        let _ = writeln!(content, "({shown}) Tj T*");
    }
    content + "ET\n"
}

/// Objects numbered from 1, of which the first is the catalogue, and the table of their places.
fn file(objects: &[String]) -> Vec<u8> {
    let mut text = String::from("%PDF-1.4\n");
    let mut places = String::new();
    for (number, object) in (1..).zip(objects) {
        let _ = writeln!(places, "{:010} 00000 n ", text.len());
        let _ = writeln!(text, "{number} 0 obj\n{object}\nendobj");
    }
    let (table, size) = (text.len(), objects.len() + 1);
    let _ = write!(
        text,
        "xref\n0 {size}\n0000000000 65535 f \n{places}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    );
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_where_objects_are() {
        let lines: Vec<String> = (0..120).map(|line| format!("line {line} (\\ of …)")).collect();
        let bytes = pdf(&lines);
        assert!(bytes.is_ascii());
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches("/Type /Page ").count(), 3);
        assert!(text.contains("(line 119 \\(\\\\ of \\)) Tj"), "{text}");
        let start: usize = text.rsplit('\n').nth(2).unwrap().parse().unwrap();
        let mut table = text[start..].lines();
        assert_eq!(table.next(), Some("xref"));
        let places: Vec<&str> = table.skip(2).take_while(|line| line.ends_with("n ")).collect();
        assert_eq!(places.len(), 3 + 2 * 3);
        for (number, place) in (1..).zip(places) {
            let place: usize = place[..10].parse().unwrap();
            assert!(text[place..].starts_with(&format!("{number} 0 obj\n")), "{number}");
        }
    }
}
