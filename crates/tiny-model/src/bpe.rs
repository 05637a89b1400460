//! Byte-level byte pair encoding: learns merges from a text, and applies them.

use std::collections::{BTreeMap, HashMap};

use crate::split::pieces;

pub(crate) type Token = u32;

/// A tokenizer without its special tokens. Tokens 0 to 255 are the bytes, and token 256 + n is what merge n makes.
pub(crate) struct Bpe {
    /// The two tokens that each merge joins, in the order in which merges apply.
    pub(crate) merges: Vec<(Token, Token)>,
    ranks: HashMap<(Token, Token), Token>,
}

impl Bpe {
    /// Learns `merge_count` merges, or fewer when there are no more pairs, from pieces of text and how often each occurs. The most
    /// frequent pair is joined first; among equals the one with the smallest tokens.
    pub(crate) fn learn(counts: &BTreeMap<String, u32>, merge_count: usize) -> Self {
        let mut words = words(counts);
        let mut counts: HashMap<(Token, Token), u32> = HashMap::new();
        for word in &words {
            for pair in word.pairs() {
                *counts.entry(pair).or_default() += word.count;
            }
        }
        let mut merges = Vec::with_capacity(merge_count);
        while merges.len() < merge_count {
            let most_frequent = counts
                .iter()
                .filter(|(_, count)| **count > 0)
                .max_by_key(|(pair, count)| (**count, std::cmp::Reverse(**pair)));
            let Some((&pair, _)) = most_frequent else { break };
            let token = merged_token(merges.len());
            for word in words.iter_mut().filter(|word| word.contains(pair)) {
                for pair in word.pairs() {
                    counts.entry(pair).and_modify(|count| *count -= word.count);
                }
                join(&mut word.tokens, pair, token);
                for pair in word.pairs() {
                    *counts.entry(pair).or_default() += word.count;
                }
            }
            merges.push(pair);
        }
        Self::from_merges(merges)
    }

    /// The tokenizer that a list of merges makes.
    pub(crate) fn from_merges(merges: Vec<(Token, Token)>) -> Self {
        let ranks = merges
            .iter()
            .enumerate()
            .map(|(rank, pair)| (*pair, merged_token(rank)))
            .collect();
        Self { merges, ranks }
    }

    /// Reads a list of merges, the two tokens of each on a line. What is no pair of numbers is left out.
    pub(crate) fn parse(text: &str) -> Self {
        let merges = text.lines().filter_map(|line| {
            let (left, right) = line.split_once(' ')?;
            Some((left.parse().ok()?, right.parse().ok()?))
        });
        Self::from_merges(merges.collect())
    }

    /// The tokens of a text, special tokens not recognized.
    pub(crate) fn encode(&self, text: &str) -> Vec<Token> {
        pieces(text)
            .into_iter()
            .flat_map(|piece| self.encode_piece(piece))
            .collect()
    }

    /// The bytes of every token, in the order of the tokens.
    pub(crate) fn token_bytes(&self) -> Vec<Vec<u8>> {
        let mut tokens: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
        for &(left, right) in &self.merges {
            let joined = [tokens[left as usize].as_slice(), tokens[right as usize].as_slice()].concat();
            tokens.push(joined);
        }
        tokens
    }

    fn encode_piece(&self, piece: &str) -> Vec<Token> {
        let mut tokens: Vec<Token> = piece.bytes().map(Token::from).collect();
        loop {
            let next = pairs(&tokens)
                .filter_map(|pair| Some((*self.ranks.get(&pair)?, pair)))
                .min();
            let Some((token, pair)) = next else { return tokens };
            join(&mut tokens, pair, token);
        }
    }
}

/// A distinct piece of the training text and how often it occurs.
struct Word {
    tokens: Vec<Token>,
    count: u32,
}

impl Word {
    fn pairs(&self) -> impl Iterator<Item = (Token, Token)> + '_ {
        pairs(&self.tokens)
    }

    fn contains(&self, pair: (Token, Token)) -> bool {
        self.pairs().any(|candidate| candidate == pair)
    }
}

fn words(counts: &BTreeMap<String, u32>) -> Vec<Word> {
    let words = counts.iter().map(|(piece, count)| Word {
        tokens: piece.bytes().map(Token::from).collect(),
        count: *count,
    });
    words.collect()
}

fn pairs(tokens: &[Token]) -> impl Iterator<Item = (Token, Token)> + '_ {
    tokens.windows(2).map(|window| (window[0], window[1]))
}

/// Replaces each occurrence of a pair, from left to right.
fn join(tokens: &mut Vec<Token>, (left, right): (Token, Token), joined: Token) {
    let mut kept = 0;
    let mut read = 0;
    while read < tokens.len() {
        if tokens[read] == left && tokens.get(read + 1) == Some(&right) {
            tokens[kept] = joined;
            read += 2;
        } else {
            tokens[kept] = tokens[read];
            read += 1;
        }
        kept += 1;
    }
    tokens.truncate(kept);
}

fn merged_token(rank: usize) -> Token {
    256 + rank as Token
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Bpe;
    use crate::split::pieces;

    fn train(text: &str, merge_count: usize) -> Bpe {
        let mut counts = BTreeMap::new();
        for piece in pieces(text) {
            *counts.entry(piece.to_owned()).or_default() += 1;
        }
        Bpe::learn(&counts, merge_count)
    }

    #[test]
    fn joins_the_most_frequent_pair_first() {
        let bpe = train("abab abab xy", 2);
        let [a, b] = [u32::from(b'a'), u32::from(b'b')];
        assert_eq!(bpe.merges, [(a, b), (256, 256)]);
        assert_eq!(bpe.encode("ababab"), [257, 256]);
    }

    #[test]
    fn stops_when_no_pair_is_left() {
        let bpe = train("ab", 10);
        assert_eq!(bpe.merges.len(), 1);
    }

    #[test]
    fn a_list_of_merges_is_read_back() {
        let bpe = Bpe::parse("97 98\n256 256\n");
        assert_eq!(bpe.merges, [(97, 98), (256, 256)]);
        assert_eq!(bpe.encode("ababab"), [257, 256]);
    }

    #[test]
    fn tokens_give_back_the_text() {
        let bpe = train("the llama and the alpaca and the vicuña", 20);
        let bytes = bpe.token_bytes();
        for text in ["", "the", "a \u{1F999} of the puna\r\n\t", "vicuña"] {
            let joined: Vec<u8> = bpe
                .encode(text)
                .into_iter()
                .flat_map(|token| bytes[token as usize].iter().copied())
                .collect();
            assert_eq!(joined, text.as_bytes());
        }
    }
}
