//! Words as sparse vectors: a number for each word, and how much the word counts there.
//!
//! The product of a text's vector and a query's is BM25 but for how rare a word is, by which Qdrant multiplies itself (the modifier `idf`).

use std::collections::BTreeMap;

use puna_api::{distinct_words, spaced_words};
use qdrant_client::qdrant::SparseVector;

/// How soon more of the same word counts no more.
const SATURATION: f32 = 1.2;

/// How much the length of a text counts.
const LENGTH_WEIGHT: f32 = 0.75;

/// How many words a text has as a rule. What the mean of an index is changes with each chunk, and weights are written once; this is what Qdrant's own
/// BM25 takes.
const USUAL_LENGTH: f32 = 256.0;

/// The words of a text; none if it has no words.
pub(crate) fn of_text(text: &str) -> Option<SparseVector> {
    let mut counts: BTreeMap<u32, f32> = BTreeMap::new();
    let mut length = 0.0;
    for word in spaced_words(text).split_ascii_whitespace() {
        *counts.entry(token(word)).or_default() += 1.0;
        length += 1.0;
    }
    let shrink = SATURATION * (1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * length / USUAL_LENGTH);
    let weight = |count: f32| count * (SATURATION + 1.0) / (count + shrink);
    vector(counts.into_iter().map(|(token, count)| (token, weight(count))))
}

/// The words of a query; none if it has no words.
pub(crate) fn of_query(text: &str) -> Option<SparseVector> {
    let tokens: BTreeMap<u32, f32> = distinct_words(text).iter().map(|word| (token(word), 1.0)).collect();
    vector(tokens)
}

fn vector(weights: impl IntoIterator<Item = (u32, f32)>) -> Option<SparseVector> {
    let (indices, values): (Vec<u32>, Vec<f32>) = weights.into_iter().unzip();
    (!indices.is_empty()).then_some(SparseVector { values, indices })
}

/// The number of a word: FNV-1a of 64 bits, folded to 32. It is stored, and must never be another.
fn token(word: &str) -> u32 {
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_words_stay() {
        // FNV-1a of "", "a" and "foobar" is cbf29ce484222325, af63dc4c8601ec8c and 85944171f73967e8.
        assert_eq!(token(""), 0xcbf2_9ce4 ^ 0x8422_2325);
        assert_eq!(token("a"), 0xaf63_dc4c ^ 0x8601_ec8c);
        assert_eq!(token("foobar"), 0x8594_4171 ^ 0xf739_67e8);
    }

    #[test]
    fn texts_and_queries_have_the_same_words() {
        let text = of_text("It's a LLAMA, a llama! 羊驼").unwrap();
        let query = of_query("羊 a llama's IT, 驼").unwrap();
        assert_eq!(text.indices, query.indices);
        assert_eq!(text.indices.len(), 6);
        assert!(text.indices.is_sorted());
        assert!(query.values.iter().all(|value| *value == 1.0));
        assert_eq!(of_text("!!! 🦙"), None);
        assert_eq!(of_query(""), None);
    }

    #[test]
    fn more_of_a_word_counts_more_and_ever_less_so() {
        let weight = |text: &str| {
            let vector = of_text(text).unwrap();
            let place = vector.indices.iter().position(|index| *index == token("a")).unwrap();
            vector.values[place]
        };
        let [once, twice, often] = ["a b c d", "a a c d", "a a a d"].map(weight);
        assert!(once < twice && twice < often && often - twice < twice - once);
        assert!(weight("a") > weight(&"b ".repeat(500).replacen('b', "a", 1)));
        // A text of the usual length, by the formula.
        let usual = format!("a a {}", "b ".repeat(254));
        assert!((weight(&usual) - 2.0 * 2.2 / (2.0 + 1.2)).abs() < 1e-6);
    }
}
