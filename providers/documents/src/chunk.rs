//! Cutting a text into chunks: no more tokens than allowed, and cut where its structure is parted most.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::structure::Structure;
use crate::tokens;

/// How large chunks may be, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// The most of a chunk.
    pub(crate) most: usize,
    /// The most that neighbours share, less than `most`.
    pub(crate) overlap: usize,
}

/// A part of a text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) place: Range<usize>,
    pub(crate) tokens: usize,
}

/// Cuts a text. The chunks come in order and begin and end with something other than empty lines; what they leave out is white space.
///
/// A chunk ends where the structure is parted most, in the part of the text that fills it at least half and brings it at least half of what
/// is new beside the overlap; where there is no structure, between sentences, words, or at least characters as readers see them.
pub(crate) fn split(text: &str, structure: &Structure, bounds: Bounds) -> Vec<Span> {
    let cutter = Cutter {
        text,
        structure,
        bounds,
    };
    let mut spans: Vec<Span> = Vec::new();
    let mut start = skip_white_space(text, 0);
    let mut covered = start;
    while start < text.len() {
        let Some(end) = cutter.end(start, covered) else {
            // The overlap leaves no room for anything new.
            start = skip_white_space(text, covered);
            covered = start;
            continue;
        };
        let trimmed = start + text[start..end].trim_end().len();
        // White space that fills a chunk all by itself is passed over.
        if trimmed > start.max(spans.last().map_or(0, |span| span.place.end)) {
            spans.push(Span {
                place: start..trimmed,
                tokens: tokens::count(&text[start..trimmed]),
            });
        }
        start = if skip_white_space(text, end) == text.len() {
            text.len()
        } else {
            skip_white_space(text, cutter.next_start(start, end))
        };
        covered = end.max(start);
    }
    spans
}

/// The whole of a text as one chunk.
pub(crate) fn whole(text: &str) -> Vec<Span> {
    vec![Span {
        place: 0..text.len(),
        tokens: tokens::count(text),
    }]
}

struct Cutter<'a> {
    text: &'a str,
    structure: &'a Structure,
    bounds: Bounds,
}

impl Cutter<'_> {
    /// Where the chunk that begins at `start` ends: behind `covered`, up to which earlier chunks go. `None` when it cannot get there, which
    /// never is so where `covered` is `start`.
    fn end(&self, start: usize, covered: usize) -> Option<usize> {
        let rest = &self.text[start..];
        let mut most = self.bounds.most;
        while most > 0 {
            let pieces = tokens::beginning(rest, most);
            let end = if pieces.are_whole() {
                self.text.len()
            } else {
                let half = self.bounds.most / 2;
                let news = (self.bounds.most - self.bounds.overlap) / 2;
                let least = half.max(pieces.tokens_up_to(covered - start) + news);
                let least = start + pieces.end_of(least.min(most));
                self.best(least.max(covered), start + pieces.end())
                    .or_else(|| self.last(start, covered, start + pieces.end()))
                    .unwrap_or(start)
            };
            if end <= covered {
                break;
            }
            // A text that is cut has other tokens at its end than it had there in the whole.
            let tokens = tokens::count(self.text[start..end].trim_end());
            if tokens <= self.bounds.most {
                return Some(end);
            }
            most = most.saturating_sub(tokens - self.bounds.most);
        }
        // A single character always fits.
        let first = self.text[start..].chars().next()?;
        (covered == start).then(|| start + first.len_utf8())
    }

    /// The last of the best places to cut at, behind one place and not behind the other.
    fn best(&self, after: usize, to: usize) -> Option<usize> {
        let cuts = self.structure.cuts_within(after, to).iter();
        let best = cuts
            .filter(|cut| self.is_boundary(cut.place))
            .max_by_key(|cut| (cut.strength, cut.place));
        if let Some(best) = best {
            return Some(best.place);
        }
        // From a boundary on, so that characters of several parts are taken apart rightly.
        let begin = self.boundary_at_or_before(after);
        let text = self.text.get(begin..to)?;
        let last_of = |places: Vec<usize>| {
            let places = places.into_iter().rev().map(|place| begin + place);
            places
                .take_while(|place| *place > after)
                .find(|place| self.is_boundary(*place))
        };
        let line = || last_of(text.rfind('\n').map(|end| end + 1).into_iter().collect());
        let word = || last_of(text.split_word_bound_indices().map(|(place, _)| place).collect());
        let sentence = || last_of(sentence_starts(text).collect());
        if self.structure.prose {
            sentence().or_else(line).or_else(word)
        } else {
            line().or_else(word)
        }
    }

    /// The last place between characters as readers see them; between any two where one of those is too long for a chunk.
    fn last(&self, start: usize, covered: usize, to: usize) -> Option<usize> {
        let before = self.boundary_at_or_before(to);
        if before > covered {
            return Some(before);
        }
        (to > covered && covered == start).then_some(to)
    }

    /// Where the chunk behind the one from `start` to `end` begins.
    fn next_start(&self, start: usize, end: usize) -> usize {
        if self.bounds.overlap == 0 {
            return end;
        }
        let chunk = &self.text[start..end];
        // At least something is left behind, so that there is an end.
        let first = start + chunk.chars().next().map_or(0, char::len_utf8);
        let mut from = (start + tokens::ending(chunk, self.bounds.overlap)).max(first);
        while from < end {
            let Some(place) = self.first_good(from, end) else {
                return end;
            };
            if tokens::count(self.text[place..end].trim_end()) <= self.bounds.overlap {
                return place;
            }
            from = place + 1;
        }
        end
    }

    /// The first of the best places to begin at in the first half of a stretch, or else between words.
    fn first_good(&self, from: usize, end: usize) -> Option<usize> {
        let middle = from + (end - from) / 2;
        let from = self.text.ceil_char_boundary(from);
        let cuts = self.structure.cuts_within(from.saturating_sub(1), middle).iter();
        let best = cuts
            .filter(|cut| self.is_boundary(cut.place))
            .max_by_key(|cut| (cut.strength, std::cmp::Reverse(cut.place)));
        if let Some(best) = best {
            return Some(best.place);
        }
        let begin = self.boundary_at_or_before(from);
        let text = self.text.get(begin..end)?;
        let found = |place: &usize| (from..=middle).contains(place);
        let line = || text.match_indices('\n').map(|(end, _)| begin + end + 1).find(found);
        let sentence = || sentence_starts(text).map(|place| begin + place).find(found);
        let word = || {
            // What stands at `from` may be the end of a word.
            let whole = |place: usize| place > from || place == from && self.follows_white_space(place);
            let mut words = text
                .split_word_bound_indices()
                .map(|(place, word)| (begin + place, word));
            words
                .find(|(place, word)| whole(*place) && word.contains(char::is_alphanumeric))
                .map(|(place, _)| place)
        };
        let first = if self.structure.prose {
            sentence().or_else(line).or_else(word)
        } else {
            line().or_else(word)
        };
        first.filter(|place| *place < end && self.is_boundary(*place))
    }

    /// Whether white space stands before a place.
    fn follows_white_space(&self, place: usize) -> bool {
        self.text[..place].chars().next_back().is_none_or(char::is_whitespace)
    }

    /// The last place up to here that is between characters as readers see them.
    fn boundary_at_or_before(&self, place: usize) -> usize {
        if self.is_boundary(place) {
            return place;
        }
        let mut cursor = GraphemeCursor::new(place, self.text.len(), true);
        cursor.prev_boundary(self.text, 0).ok().flatten().unwrap_or(0)
    }

    /// Whether a place is between characters as readers see them.
    fn is_boundary(&self, place: usize) -> bool {
        self.text.is_char_boundary(place)
            && GraphemeCursor::new(place, self.text.len(), true)
                .is_boundary(self.text, 0)
                .unwrap_or(false)
    }
}

/// Where sentences begin that stand behind one that ended, not with its line alone.
fn sentence_starts(text: &str) -> impl Iterator<Item = usize> {
    let ended = |before: &str| {
        let before = before.trim_end().trim_end_matches(['"', '\'', ')', ']', '»', '”', '’']);
        before.ends_with(['.', '!', '?', '…', '。', '！', '？', '।', '؟'])
    };
    let starts = text.split_sentence_bound_indices().map(|(place, _)| place);
    starts.filter(move |place| *place > 0 && ended(&text[..*place]))
}

/// The first place from here on that is no white space, or the beginning of its line, as indentation stays; the end when there is none.
fn skip_white_space(text: &str, place: usize) -> usize {
    let rest = &text[place..];
    let Some(first) = rest.find(|character: char| !character.is_whitespace()) else {
        return text.len();
    };
    match rest[..first].rfind('\n') {
        Some(end) => place + end + 1,
        None if place == 0 || text[..place].ends_with('\n') => place,
        None => place + first,
    }
}

#[cfg(test)]
mod tests;
