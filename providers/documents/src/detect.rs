//! What a file is, by what is in it. Its name and media type decide between kinds of text, and nothing else.

mod hint;
mod text;

pub(crate) use hint::{Hint, ending_of};

use puna_api::{Error, Result};

use crate::decode;
use crate::document::Form;
use crate::error::unsupported;

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pdf,
    /// A package of Office Open XML.
    Office,
    Html(String),
    /// A text that needs no parsing.
    Text(TextKind, String),
}

/// A kind of text: how it is called, and where it may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextKind {
    pub(crate) media_type: &'static str,
    pub(crate) form: Form,
}

impl TextKind {
    pub(crate) const PLAIN: Self = Self::new("text/plain", Form::Plain);
    pub(crate) const MARKDOWN: Self = Self::new("text/markdown", Form::Markdown);
    pub(crate) const CSV: Self = Self::new("text/csv", Form::Records);
    pub(crate) const JSON: Self = Self::new("application/json", Form::Json);
    pub(crate) const JSON_LINES: Self = Self::new("application/jsonl", Form::Json);

    pub(crate) const fn new(media_type: &'static str, form: Form) -> Self {
        Self { media_type, form }
    }
}

/// How far into a file the mark of a PDF may stand.
const PDF_MARK_WITHIN: usize = 1024;

/// Finds out what a file is.
pub(crate) fn kind(bytes: &[u8], hint: &Hint) -> Result<Kind> {
    if bytes.is_empty() {
        return Err(Error::invalid_request("the file is empty").with_param("file"));
    }
    let head = &bytes[..bytes.len().min(PDF_MARK_WITHIN)];
    if head.windows(5).any(|window| window == b"%PDF-") {
        return Ok(Kind::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return office(bytes);
    }
    if let Some(text) = decode::text(bytes) {
        if text.starts_with("{\\rtf") {
            return Err(unsupported("application/rtf"));
        }
        return Ok(text::kind(text, hint));
    }
    Err(unsupported(
        infer::get(bytes).map_or("application/octet-stream", |found| found.mime_type()),
    ))
}

fn office(bytes: &[u8]) -> Result<Kind> {
    match undoc::detect_format_from_bytes(bytes) {
        Ok(format) if format.is_enabled() => Ok(Kind::Office),
        Ok(format) => Err(unsupported(match format {
            undoc::FormatType::Doc => "application/msword",
            undoc::FormatType::Xls => "application/vnd.ms-excel",
            _ => "application/vnd.ms-powerpoint",
        })),
        Err(undoc::Error::Encrypted) => Err(crate::error::encrypted()),
        // Another kind of package, or one that is broken.
        Err(error) => match infer::get(bytes).map(|found| found.mime_type()) {
            Some(found) if !found.contains("openxmlformats") && error.kind() != undoc::ErrorKind::ZipArchive => {
                Err(unsupported(found))
            }
            _ => Err(crate::error::broken("the package cannot be read", error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use puna_api::ErrorKind;

    use super::*;

    fn media_type(bytes: &[u8], name: Option<&str>) -> &'static str {
        match kind(bytes, &Hint::new(name.and_then(ending_of).as_deref(), None)).unwrap() {
            Kind::Pdf => "application/pdf",
            Kind::Office => "office",
            Kind::Html(_) => "text/html",
            Kind::Text(kind, _) => kind.media_type,
        }
    }

    #[test]
    fn what_is_in_a_file_counts_for_more_than_its_name() {
        let prose = b"BMW and MZ are names, and so is GIF.".as_slice();
        for (bytes, name, expected) in [
            (b"%PDF-1.7\n".as_slice(), "notes.txt", "application/pdf"),
            (b"\n%PDF-1.4\n", "x", "application/pdf"),
            (prose, "x.pdf", "text/plain"),
            (prose, "x.docx", "text/plain"),
            (b"<!DOCTYPE html><p>x", "x.txt", "text/html"),
            (b"  <html lang='en'>", "x.md", "text/html"),
            (b"{\"a\": [1, 2]}", "x.txt", "application/json"),
            (b"{\"a\": 1}\n{\"a\": 2}\n", "x.txt", "application/jsonl"),
            (b"# not JSON\n", "x.json", "text/plain"),
            (b"a,b\n1,2\n3,4\n", "x.txt", "text/csv"),
            (b"# T\n\ntext with a [link](http://x)\n", "x.txt", "text/markdown"),
        ] {
            assert_eq!(
                media_type(bytes, Some(name)),
                expected,
                "{name}: {}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn a_name_decides_between_kinds_of_text() {
        let text = b"one, two\nthree";
        for (name, expected) in [
            ("a.md", "text/markdown"),
            ("A.MARKDOWN", "text/markdown"),
            ("a.csv", "text/csv"),
            ("a.py", "text/x-python"),
            ("a.rs", "text/x-rust"),
            ("Makefile", "text/plain"),
            ("a.txt", "text/plain"),
            ("a.unknown", "text/plain"),
        ] {
            assert_eq!(media_type(text, Some(name)), expected, "{name}");
        }
        let hint = Hint::new(None, Some("text/markdown; charset=utf-8"));
        let Ok(Kind::Text(kind, _)) = kind(text, &hint) else {
            panic!("no text")
        };
        assert_eq!(kind, TextKind::MARKDOWN);
    }

    #[test]
    fn what_cannot_be_read_is_called_by_its_name() {
        for (bytes, kind_of_error, words) in [
            (b"".as_slice(), ErrorKind::InvalidRequest, "empty"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ErrorKind::Unsupported, "image/png"),
            (b"\0\x01\x02\x03", ErrorKind::Unsupported, "application/octet-stream"),
            (b"{\\rtf1 x}", ErrorKind::Unsupported, "application/rtf"),
            (b"PK\x03\x04 and nothing else", ErrorKind::InvalidRequest, "package"),
        ] {
            let error = kind(bytes, &Hint::default()).unwrap_err();
            assert_eq!(error.kind(), kind_of_error, "{error}");
            assert!(error.message().contains(words), "{error}");
            assert_eq!(error.param(), Some("file"));
        }
    }
}
