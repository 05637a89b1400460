//! Ranks texts by words: BM25.

use std::collections::{BTreeMap, HashSet};

use puna_api::spaced_words;

/// How soon more of the same word counts no more.
const SATURATION: f32 = 1.2;

/// How much the length of a text counts.
const LENGTH_WEIGHT: f32 = 0.75;

/// How many words a text has as a rule; what the mean of an index is nobody keeps.
const USUAL_LENGTH: f32 = 256.0;

/// The different words of a query, in their order.
pub(crate) fn of_query(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let spaced = spaced_words(text);
    let words = spaced.split_ascii_whitespace().filter(|word| seen.insert(*word));
    words.map(str::to_owned).collect()
}

/// How much a word counts that so many of all chunks have: above 0.
pub(crate) fn weight(with: usize, all: usize) -> f32 {
    let (with, all) = (with as f64, all.max(with) as f64);
    (1.0 + (all - with + 0.5) / (with + 0.5)).ln() as f32
}

/// The score of a text; 0 if it has none of the words.
pub(crate) fn score(text: &str, weights: &BTreeMap<String, f32>) -> f32 {
    let mut counts: BTreeMap<&str, f32> = BTreeMap::new();
    let mut length = 0.0;
    let spaced = spaced_words(text);
    for word in spaced.split_ascii_whitespace() {
        if weights.contains_key(word) {
            *counts.entry(word).or_default() += 1.0;
        }
        length += 1.0;
    }
    let shrink = SATURATION * (1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * length / USUAL_LENGTH);
    let scores = counts.into_iter().map(|(word, count)| {
        let weight = weights.get(word).copied().unwrap_or_default();
        weight * count * (SATURATION + 1.0) / (count + shrink)
    });
    scores.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(words: &[(&str, f32)]) -> BTreeMap<String, f32> {
        words
            .iter()
            .map(|(word, weight)| ((*word).to_owned(), *weight))
            .collect()
    }

    #[test]
    fn queries_have_each_word_once_in_their_order() {
        assert_eq!(of_query("Llama, b: LLAMA 羊驼 a"), ["llama", "b", "羊", "驼", "a"]);
        assert_eq!(of_query("!? 🦙"), [""; 0]);
    }

    #[test]
    fn rarer_words_count_more() {
        assert!(weight(1, 100) > weight(2, 100) && weight(2, 100) > weight(100, 100));
        assert!(weight(100, 100) > 0.0 && weight(5_000_000, 1) > 0.0);
    }

    #[test]
    fn more_of_a_word_counts_more_and_ever_less_so() {
        let weights = weights(&[("a", 2.0), ("rare", 5.0)]);
        let [none, once, twice, often] = ["b b c d", "a b c d", "a A c d", "a a a d"].map(|text| score(text, &weights));
        assert_eq!(none, 0.0);
        assert!(once > 0.0 && once < twice && twice < often && often - twice < twice - once);
        assert!(score("rare b c d", &weights) > often && score("rare a c d", &weights) > score("rare b c d", &weights));
        assert!(once > score(&"b ".repeat(500).replacen('b', "a", 1), &weights));
        // A text of the usual length, by the formula.
        let usual = format!("a a {}", "b ".repeat(254));
        assert!((score(&usual, &weights) - 2.0 * 2.0 * 2.2 / (2.0 + 1.2)).abs() < 1e-6);
    }
}
