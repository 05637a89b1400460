//! The structure of Markdown: headings and blocks.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Cut, Heading, Strength, Structure};

pub(super) fn structure(text: &str) -> Structure {
    let mut structure = Structure::default();
    let mut lines = Lines::of(text);
    // The level and the place of the heading that is open, and what it says so far.
    let mut open: Option<Heading> = None;
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_GFM;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                let place = lines.start_of(range.start);
                if let Tag::Heading { level, .. } = tag {
                    open = Some(Heading {
                        place,
                        level: level as u8,
                        title: String::new(),
                    });
                }
                if let Some(strength) = strength(&tag) {
                    structure.cuts.push(Cut { place, strength });
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let heading = open.take().filter(|heading| !heading.title.trim().is_empty());
                structure.headings.extend(heading.map(|heading| Heading {
                    title: heading.title.trim().to_owned(),
                    ..heading
                }));
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut open {
                    heading.title.push_str(&words);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut open {
                    heading.title.push(' ');
                }
            }
            _ => {}
        }
    }
    structure
}

fn strength(tag: &Tag<'_>) -> Option<Strength> {
    match tag {
        Tag::Heading { level, .. } => Some(Strength::heading(*level as u8)),
        Tag::Paragraph
        | Tag::BlockQuote(_)
        | Tag::CodeBlock(_)
        | Tag::HtmlBlock
        | Tag::List(_)
        | Tag::Item
        | Tag::Table(_)
        | Tag::FootnoteDefinition(_) => Some(Strength::BLOCK),
        Tag::TableRow => Some(Strength::LINE),
        _ => None,
    }
}

/// Finds where lines begin, of places that come in order: what is nested deeply has many places in one line, which is read once.
struct Lines<'a> {
    text: &'a str,
    /// Where the line of the last place begins.
    start: usize,
    /// The last place.
    place: usize,
    /// Whether nothing but white space and marks of a list or a quotation stand between the two.
    marks: bool,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            start: 0,
            place: 0,
            marks: true,
        }
    }

    /// The beginning of a place's line, if nothing but white space and marks stand before it; else the place.
    fn start_of(&mut self, place: usize) -> usize {
        if place < self.place {
            *self = Self::of(self.text);
        }
        let mut passed = &self.text[self.place..place];
        if let Some(end) = passed.rfind('\n') {
            self.start = self.place + end + 1;
            self.marks = true;
            passed = &passed[end + 1..];
        }
        self.marks = self.marks && passed.chars().all(is_mark);
        self.place = place;
        if self.marks { self.start } else { place }
    }
}

fn is_mark(character: char) -> bool {
    character.is_whitespace() || "-*+>.)".contains(character) || character.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_begin_where_their_lines_do() {
        let text = "# *Lamas* & `co`\ntext\n- one\n- two\n  more\n\n> said\n\n```sh\n# no heading\n```\n\n| a | b |\n|---|---|\n| c | d |\n";
        let structure = structure(text);
        assert_eq!(
            structure.headings,
            [Heading {
                place: 0,
                level: 1,
                title: "Lamas & co".to_owned()
            }]
        );
        let mut lines: Vec<&str> = structure
            .cuts
            .iter()
            .map(|cut| text[cut.place..].lines().next().unwrap())
            .collect();
        lines.dedup();
        assert_eq!(
            lines,
            [
                "# *Lamas* & `co`",
                "text",
                "- one",
                "- two",
                "> said",
                "```sh",
                "| a | b |",
                "| c | d |"
            ]
        );
    }

    #[test]
    fn underlined_headings_count_too() {
        let structure = structure("One\n===\n\nTwo\n---\n\ntext\n");
        let found: Vec<(u8, &str)> = structure
            .headings
            .iter()
            .map(|heading| (heading.level, heading.title.as_str()))
            .collect();
        assert_eq!(found, [(1, "One"), (2, "Two")]);
    }
}
