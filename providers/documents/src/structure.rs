//! Where a text may be cut, and how gladly.

mod code;
mod json;
mod markdown;
mod records;

use crate::document::Form;

/// A place to cut at: the first byte behind the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) place: usize,
    pub(crate) strength: Strength,
}

/// How gladly a text is cut somewhere; more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Strength(u8);

/// A heading, and what it stands over: all that follows, up to the next one of its level or above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heading {
    /// Where its line begins.
    pub(crate) place: usize,
    /// 1 for the outermost.
    pub(crate) level: u8,
    pub(crate) title: String,
}

/// What is known of a text's structure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Structure {
    /// In order, none twice.
    pub(crate) cuts: Vec<Cut>,
    /// In order.
    pub(crate) headings: Vec<Heading>,
    /// Whether sentences mean more than lines.
    pub(crate) prose: bool,
}

impl Strength {
    /// Between lines.
    pub(crate) const LINE: Self = Self(1);
    /// Between paragraphs, list items, records.
    pub(crate) const BLOCK: Self = Self(2);
    /// Between parts that stand for themselves, such as functions of a program.
    pub(crate) const PART: Self = Self(3);
    /// Between pages that are drawn up each for itself, such as slides.
    pub(crate) const PAGE: Self = Self(10);

    /// Before a heading of this level.
    pub(crate) fn heading(level: u8) -> Self {
        Self(10 - level.clamp(1, 6))
    }
}

impl Structure {
    /// Finds the structure of a text. `pages` are places where pages begin.
    pub(crate) fn of(text: &str, form: Form, pages: &[usize], page_strength: Strength) -> Self {
        let mut structure = match form {
            Form::Plain => Self::from(code::paragraphs(text)),
            Form::Code => Self::from(code::parts(text)),
            Form::Json => Self::from(json::elements(text)),
            Form::Records => Self::from(records::records(text)),
            Form::Markdown => markdown::structure(text),
        };
        structure.prose = matches!(form, Form::Plain | Form::Markdown);
        let pages = pages.iter().map(|place| Cut {
            place: *place,
            strength: page_strength,
        });
        structure.cuts.extend(pages);
        // Of several cuts in one place the strongest counts.
        structure
            .cuts
            .sort_unstable_by_key(|cut| (cut.place, std::cmp::Reverse(cut.strength)));
        structure.cuts.dedup_by_key(|cut| cut.place);
        structure
    }

    /// The cuts in a stretch of text, its end included and its beginning not.
    pub(crate) fn cuts_within(&self, after: usize, to: usize) -> &[Cut] {
        let first = self.cuts.partition_point(|cut| cut.place <= after);
        let last = self.cuts.partition_point(|cut| cut.place <= to);
        &self.cuts[first.min(last)..last]
    }

    /// The titles of the headings over each of some places, which are in order.
    pub(crate) fn headings_over(&self, places: impl IntoIterator<Item = usize>) -> Vec<Vec<String>> {
        let mut headings = self.headings.iter().peekable();
        let mut over: Vec<&Heading> = Vec::new();
        let mut found = Vec::new();
        for place in places {
            while let Some(heading) = headings.next_if(|heading| heading.place < place) {
                over.retain(|outer| outer.level < heading.level);
                over.push(heading);
            }
            // What begins with a heading does not stand under those that it ends.
            if let Some(heading) = headings.peek().filter(|heading| heading.place == place) {
                over.retain(|outer| outer.level < heading.level);
            }
            found.push(over.iter().map(|heading| heading.title.clone()).collect());
        }
        found
    }
}

impl From<Vec<Cut>> for Structure {
    fn from(cuts: Vec<Cut>) -> Self {
        Self {
            cuts,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_stand_over_what_follows() {
        let text = "# A\n\none\n\n## B\n\ntwo\n\n### C\n\nthree\n\n## D\n\nfour\n";
        let structure = Structure::of(text, Form::Markdown, &[], Strength::PAGE);
        let places = ["one", "two", "### C", "three", "## D", "four"].map(|words| text.find(words).unwrap());
        assert_eq!(
            structure.headings_over(places),
            [
                vec!["A"],
                vec!["A", "B"],
                vec!["A", "B"],
                vec!["A", "B", "C"],
                vec!["A"],
                vec!["A", "D"]
            ]
        );
    }

    #[test]
    fn the_strongest_cut_of_a_place_counts() {
        let text = "a\n\n# B\n\nc";
        let structure = Structure::of(text, Form::Markdown, &[3, 3], Strength::LINE);
        assert_eq!(
            structure.cuts_within(0, text.len()),
            [
                Cut {
                    place: 3,
                    strength: Strength::heading(1)
                },
                Cut {
                    place: 8,
                    strength: Strength::BLOCK
                }
            ]
        );
    }
}
