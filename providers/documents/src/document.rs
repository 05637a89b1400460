//! A document that was parsed: its text, and what is known of it.

use puna_api::{DocumentMetadata, FileChunk, ProcessedFile};

use crate::chunk::{self, Bounds, Span};
use crate::structure::{Strength, Structure};

/// What a text is written in, as far as its structure goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Prose without marks.
    Plain,
    /// Markdown, which other kinds of document are turned into.
    Markdown,
    /// A program, or another text whose lines matter.
    Code,
    /// JSON, or lines of it.
    Json,
    /// A table, a record a line.
    Records,
}

/// A document that was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) media_type: &'static str,
    pub(crate) form: Form,
    pub(crate) title: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) text: String,
    /// Where each page begins in the text; empty where there are none.
    pub(crate) pages: Vec<usize>,
    /// How gladly the text is cut between pages.
    pub(crate) page_strength: Strength,
}

impl Document {
    /// A text without pages.
    pub(crate) fn of_text(media_type: &'static str, form: Form, text: String) -> Self {
        Self {
            media_type,
            form,
            title: None,
            author: None,
            text,
            pages: Vec::new(),
            page_strength: Strength::BLOCK,
        }
    }

    /// A document of pages, each with a text in Markdown.
    pub(crate) fn of_pages(
        media_type: &'static str,
        page_strength: Strength,
        pages: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut text = String::new();
        let mut places = Vec::new();
        for page in pages {
            let page = page.trim_matches(|character: char| character == '\n');
            if !text.is_empty() && !page.is_empty() {
                text.push_str("\n\n");
            }
            places.push(text.len());
            text.push_str(page);
        }
        Self {
            pages: places,
            page_strength,
            ..Self::of_text(media_type, Form::Markdown, text)
        }
    }

    /// Cuts it, or leaves it whole.
    pub(crate) fn process(self, bounds: Option<Bounds>) -> ProcessedFile {
        let Some(bounds) = bounds else {
            let whole = chunk::whole(&self.text);
            return self.processed(&whole, &Structure::default());
        };
        let structure = Structure::of(&self.text, self.form, &self.pages, self.page_strength);
        let spans = chunk::split(&self.text, &structure, bounds);
        self.processed(&spans, &structure)
    }

    fn processed(self, spans: &[Span], structure: &Structure) -> ProcessedFile {
        let headings = structure.headings_over(spans.iter().map(|span| span.place.start));
        let mut starts = Characters::of(&self.text);
        let mut ends = Characters::of(&self.text);
        let chunks = spans
            .iter()
            .zip(headings)
            .zip(0..)
            .map(|((span, headings), position)| FileChunk {
                position,
                text: self.text[span.place.clone()].to_owned(),
                context: None,
                tokens: u32::try_from(span.tokens).unwrap_or(u32::MAX),
                start: starts.up_to(span.place.start),
                end: ends.up_to(span.place.end),
                first_page: self.page_of(span.place.start),
                last_page: self.page_of(span.place.end.saturating_sub(1)),
                headings,
            })
            .collect();
        ProcessedFile {
            document: DocumentMetadata {
                media_type: self.media_type.to_owned(),
                title: self.title,
                author: self.author,
                page_count: match self.pages.len() {
                    0 => None,
                    pages => Some(u32::try_from(pages).unwrap_or(u32::MAX)),
                },
                characters: ends.up_to(self.text.len()),
            },
            chunks,
        }
    }

    /// The page of a place in the text, from 1.
    fn page_of(&self, place: usize) -> Option<u32> {
        let before = self.pages.partition_point(|start| *start <= place);
        u32::try_from(before).ok().filter(|page| *page > 0)
    }
}

/// Counts characters up to places that come in order.
struct Characters<'a> {
    text: &'a str,
    place: usize,
    count: u64,
}

impl<'a> Characters<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            place: 0,
            count: 0,
        }
    }

    fn up_to(&mut self, place: usize) -> u64 {
        self.count += self.text[self.place..place].chars().count() as u64;
        self.place = place;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged() -> Document {
        let page = |number: usize| format!("# Page {number}\n\n{}", "Ein Wörtchen mehr. ".repeat(20));
        Document::of_pages("application/pdf", Strength::PAGE, (1..=4).map(page))
    }

    #[test]
    fn chunks_know_their_pages_headings_and_places() {
        let text: Vec<char> = paged().text.chars().collect();
        let bounds = Bounds { most: 100, overlap: 10 };
        let processed = paged().process(Some(bounds));
        assert_eq!(processed.document.page_count, Some(4));
        assert_eq!(processed.document.characters, text.len() as u64);
        assert!(processed.chunks.len() > 4);
        for (position, chunk) in processed.chunks.iter().enumerate() {
            assert_eq!(chunk.position as usize, position);
            let place = usize::try_from(chunk.start).unwrap()..usize::try_from(chunk.end).unwrap();
            assert_eq!(chunk.text, text[place].iter().collect::<String>());
            let begins = chunk.text.starts_with("# Page");
            assert_eq!(chunk.headings.is_empty(), begins, "{chunk:?}");
            if !begins {
                assert_eq!(chunk.headings, [format!("Page {}", chunk.first_page.unwrap())]);
            }
        }
        let pages: Vec<_> = processed.chunks.iter().filter_map(|chunk| chunk.last_page).collect();
        assert!(
            pages.is_sorted() && pages.first() == Some(&1) && pages.last() == Some(&4),
            "{pages:?}"
        );
    }

    #[test]
    fn empty_pages_count() {
        let pages = ["one", "", "three"].map(str::to_owned);
        let processed = Document::of_pages("application/pdf", Strength::BLOCK, pages).process(None);
        assert_eq!(processed.document.page_count, Some(3));
        let chunk = &processed.chunks[0];
        assert_eq!(
            (chunk.text.as_str(), chunk.first_page, chunk.last_page),
            ("one\n\nthree", Some(1), Some(3))
        );
    }
}
