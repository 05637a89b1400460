//! Files to ingest: documents of the collection's sentences, the same in every run.

use crate::rag::collection::Collection;
use crate::rag::pdf::pdf;
use crate::rag::service::Upload;

/// How many sentences the documents of a set have: short ones, usual ones, long ones.
const SENTENCES: [usize; 4] = [40, 160, 80, 640];
/// How many sentences are a paragraph, and how many paragraphs a section.
const PARAGRAPH: usize = 5;
const SECTION: usize = 4;

/// What files are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Markdown,
    Html,
    Pdf,
}

/// Documents without a format.
#[derive(Debug)]
struct Document {
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    heading: String,
    paragraphs: Vec<String>,
}

impl Format {
    pub(crate) const ALL: [Self; 4] = [Self::Text, Self::Markdown, Self::Html, Self::Pdf];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "Markdown",
            Self::Html => "HTML",
            Self::Pdf => "PDF",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Pdf => "pdf",
        }
    }
}

/// Files of one format, of so many bytes together, or a little more.
pub(crate) fn files(collection: &Collection, format: Format, bytes: usize) -> Vec<Upload> {
    let sentences: Vec<&str> = collection
        .passages
        .iter()
        .flat_map(|passage| passage.text.split_inclusive(". "))
        .map(str::trim)
        .collect();
    let mut dice = Dice(0x70_75_6e_61);
    let (mut files, mut total) = (Vec::new(), 0);
    for length in SENTENCES.into_iter().cycle() {
        if total >= bytes {
            break;
        }
        let document = Document::of(&sentences, length, &mut dice);
        let file = Upload {
            name: format!("{:04}.{}", files.len(), format.ending()),
            bytes: document.written(format),
        };
        total += file.bytes.len();
        files.push(file);
    }
    files
}

impl Document {
    fn of(sentences: &[&str], length: usize, dice: &mut Dice) -> Self {
        let mut pick = |number: usize| {
            let some: Vec<&str> = (0..number).map(|_| sentences[dice.below(sentences.len())]).collect();
            some.join(" ")
        };
        let sections = (0..length.div_ceil(PARAGRAPH * SECTION)).map(|number| Section {
            heading: format!("Part {}", number + 1),
            paragraphs: (0..SECTION).map(|_| pick(PARAGRAPH)).collect(),
        });
        Self {
            sections: sections.collect(),
        }
    }

    fn written(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Text => self.plain("").into_bytes(),
            Format::Markdown => self.plain("## ").into_bytes(),
            Format::Html => self.html().into_bytes(),
            Format::Pdf => pdf(&self.lines()),
        }
    }

    fn plain(&self, mark: &str) -> String {
        let section = |section: &Section| {
            let paragraphs = section.paragraphs.join("\n\n");
            format!("{mark}{}\n\n{paragraphs}\n\n", section.heading)
        };
        self.sections.iter().map(section).collect()
    }

    fn html(&self) -> String {
        let section = |section: &Section| {
            let paragraphs = section.paragraphs.iter();
            let paragraphs: String = paragraphs.map(|text| format!("<p>{}</p>\n", escaped(text))).collect();
            format!("<h2>{}</h2>\n{paragraphs}", section.heading)
        };
        let sections: String = self.sections.iter().map(section).collect();
        format!("<!doctype html><html><head><title>Notes</title></head><body>\n{sections}</body></html>\n")
    }

    fn lines(&self) -> Vec<String> {
        let section = |section: &Section| {
            let mut lines = vec![section.heading.clone()];
            lines.extend(section.paragraphs.iter().flat_map(|text| wrapped(text)));
            lines
        };
        self.sections.iter().flat_map(section).collect()
    }
}

/// Lines of about as many characters as fit a page.
fn wrapped(paragraph: &str) -> Vec<String> {
    const WIDTH: usize = 95;
    let mut lines = vec![String::new()];
    for word in paragraph.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < WIDTH => {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_in_every_run_and_as_large_as_asked() {
        let collection = Collection::judged().unwrap().remove(0);
        for format in Format::ALL {
            let some = files(&collection, format, 200_000);
            let bytes: usize = some.iter().map(|file| file.bytes.len()).sum();
            let last = some.last().unwrap().bytes.len();
            assert!(bytes >= 200_000 && bytes - last < 200_000, "{bytes}");
            assert_eq!(some, files(&collection, format, 200_000));
            assert!(some.windows(2).all(|pair| pair[0].bytes != pair[1].bytes));
        }
    }

    #[test]
    fn each_format_is_what_it_says() {
        let collection = Collection::judged().unwrap().remove(0);
        for (format, begins, ending) in [
            (Format::Text, "Part 1\n\n", "txt"),
            (Format::Markdown, "## Part 1\n\n", "md"),
            (Format::Html, "<!doctype html>", "html"),
            (Format::Pdf, "%PDF-1.4\n", "pdf"),
        ] {
            let file = files(&collection, format, 1).remove(0);
            assert!(file.bytes.starts_with(begins.as_bytes()), "{begins}");
            assert!(file.name.ends_with(&format!(".{ending}")), "{}", file.name);
        }
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        let lines = wrapped(&"word ".repeat(50));
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= 95 && !line.ends_with(' ')));
        assert_eq!(escaped("a < b & c"), "a &lt; b &amp; c");
    }
}
