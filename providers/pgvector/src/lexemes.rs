//! Words as PostgreSQL's text search takes them, without its own parser: what a word is does not depend on the database's locale.

use std::collections::BTreeMap;

use puna_api::{distinct_words, spaced_words};

/// The most bytes of a lexeme; of longer words the rest does not count.
const MAX_LEXEME: usize = 2046;

/// The most bytes of a vector of lexemes.
const MAX_VECTOR: usize = (1 << 20) - 1;

/// How often a word counts at most in a text; the score of more is hardly another.
const MAX_PLACES: usize = 16;

/// A text's words, as a literal of a `tsvector`.
pub(crate) struct TextWords {
    pub(crate) vector: String,
    /// How many there are, the same ones counted each time.
    pub(crate) length: i32,
}

impl TextWords {
    /// None if there are more different words than PostgreSQL can hold of one text.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let spaced = spaced_words(text);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut length = 0;
        for word in spaced.split_ascii_whitespace() {
            *counts.entry(cut(word)).or_default() += 1;
            length += 1;
        }
        let mut vector = String::with_capacity(spaced.len() * 2);
        let mut bytes = 0;
        for (word, count) in counts {
            let places = count.min(MAX_PLACES);
            // Each lexeme is aligned, and followed by its places of two bytes and their number.
            bytes += word.len().next_multiple_of(2) + 2 + 2 * places;
            vector.push_str(&quoted(word));
            for place in 1..=places {
                vector.push(if place == 1 { ':' } else { ',' });
                vector.push_str(&place.to_string());
            }
            vector.push(' ');
        }
        (bytes <= MAX_VECTOR).then_some(Self { vector, length })
    }
}

/// The different words of a query, each as a literal of a `tsquery`.
pub(crate) fn asked(text: &str) -> Vec<String> {
    let mut words: Vec<String> = distinct_words(text).iter().map(|word| quoted(cut(word))).collect();
    words.dedup();
    words
}

/// Words hold letters and digits alone, so that nothing in the quotes ends them.
fn quoted(word: &str) -> String {
    format!("'{word}'")
}

fn cut(word: &str) -> &str {
    &word[..word.floor_char_boundary(MAX_LEXEME)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted() {
        let words = TextWords::of("It's a llama, a LLAMA! 羊驼").unwrap();
        assert_eq!(words.vector, "'a':1,2 'it':1 'llama':1,2 's':1 '羊':1 '驼':1 ");
        assert_eq!(words.length, 8);
        let often = TextWords::of(&"a ".repeat(1000)).unwrap();
        assert!(often.vector.ends_with(",15,16 "), "{}", often.vector);
        assert_eq!(often.length, 1000);
        assert_eq!(asked("'b' & a | !B"), ["'a'", "'b'"]);
    }

    #[test]
    fn what_is_too_long_is_cut_or_refused() {
        let long = "ä".repeat(2000);
        assert_eq!(asked(&long), [format!("'{}'", "ä".repeat(1023))]);
        assert_eq!(
            TextWords::of(&long).unwrap().vector,
            format!("'{}':1 ", "ä".repeat(1023))
        );
        let many: String = (0..200_000).map(|number| format!("{number} ")).collect();
        assert!(TextWords::of(&many).is_none());
    }
}
