//! Office Open XML: documents, slides and sheets to Markdown.

use std::collections::HashMap;

use puna_api::{Error, Result};
use undoc::render::{RenderOptions, render_section_to_string};
use undoc::{ErrorKind, FormatType};

use super::{cleaned, trimmed};
use crate::document::{Document, Form};
use crate::error::{broken, encrypted, unsupported};
use crate::structure::Strength;

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

pub(super) fn parse(bytes: &[u8], clean: bool) -> Result<Document> {
    let mut parsed = undoc::parse_bytes(bytes).map_err(of_parser)?;
    if parsed.format == FormatType::Pptx {
        // Slides are called by their numbers, which chunks tell as pages; as headings those would stand below the titles.
        parsed.sections.iter_mut().for_each(|section| section.name = None);
    }
    let options = RenderOptions {
        include_images: false,
        // What is read is not rendered again.
        escape_special_chars: false,
        max_heading_level: 6,
        ..RenderOptions::default()
    };
    let sections = parsed.sections.iter().map(|section| {
        // The first section is drawn without a line before it, and here each is the first of its page.
        let text = render_section_to_string(section, 0, parsed.format, &options, &HashMap::new());
        if clean { cleaned(&text) } else { text }
    });
    let document = match parsed.format {
        FormatType::Pptx => Document::of_pages(PPTX, Strength::PAGE, sections),
        FormatType::Xlsx => Document::of_pages(XLSX, Strength::PAGE, sections),
        // Sections of a text document are no pages; where its pages end is up to who prints it.
        FormatType::Docx => {
            let text = sections.collect::<Vec<_>>().join("\n\n");
            Document::of_text(DOCX, Form::Markdown, trimmed(&text))
        }
        other => return Err(unsupported(other.name())),
    };
    Ok(Document {
        title: parsed.metadata.title,
        author: parsed.metadata.author,
        ..document
    })
}

fn of_parser(error: undoc::Error) -> Error {
    match error.kind() {
        ErrorKind::Encrypted => encrypted(),
        _ => broken("the office document cannot be read", error),
    }
}
