//! PDF to Markdown, page by page.

use puna_api::{Error, Result};
use unpdf::render::{RenderOptions, to_markdown};
use unpdf::{ErrorKind, ParseOptions};

use super::cleaned;
use crate::document::Document;
use crate::error::{broken, encrypted};
use crate::structure::Strength;

pub(super) fn parse(bytes: &[u8], clean: bool) -> Result<Document> {
    let options = ParseOptions::new().sequential().lenient();
    let parsed = unpdf::parse_bytes_with_options(bytes, options).map_err(of_parser)?;
    let render = |number: u32| {
        let options = RenderOptions {
            escape_special_chars: false,
            ..RenderOptions::new().with_page_range(number..=number)
        };
        let text = to_markdown(&parsed, &options).map_err(of_parser)?;
        Ok(if clean { cleaned(&text) } else { text })
    };
    let pages: Vec<String> = parsed
        .pages
        .iter()
        .map(|page| render(page.number))
        .collect::<Result<_>>()?;
    Ok(Document {
        title: parsed.metadata.title,
        author: parsed.metadata.author,
        ..Document::of_pages("application/pdf", Strength::BLOCK, pages)
    })
}

fn of_parser(error: unpdf::Error) -> Error {
    match error.kind() {
        ErrorKind::Encrypted | ErrorKind::InvalidPassword => encrypted(),
        _ => broken("the PDF cannot be read", error),
    }
}
