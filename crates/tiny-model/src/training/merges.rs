//! Learns the tokenizer's merges from the training text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bpe::{Bpe, Token};
use crate::error::{Error, failed};
use crate::split::pieces;
use crate::tokenizer::FIRST_SPECIAL;

use super::conversation::Piece;
use super::{Stage, lesson};

/// Name of the file that [`write_merges`] writes.
pub const MERGES_FILE: &str = "merges.txt";

const EXAMPLES: u64 = 10_000;

/// How many merges join a word with the space before it.
const WORDS_WITH_SPACE: usize = 200;

/// Learns merges from the training text, and writes them to [`MERGES_FILE`] in a folder: the two tokens of each on a line.
///
/// A name is then the same tokens wherever it stands, behind a space or a quotation mark, because no merge joins a letter with a
/// mark, and only common words have a space merged to them. That makes copying a name as easy as copying its tokens.
///
/// # Errors
/// When the file cannot be written.
pub fn write_merges(directory: &Path) -> Result<PathBuf, Error> {
    let path = directory.join(MERGES_FILE);
    let mut text = String::new();
    for (left, right) in learn() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{left} {right}");
    }
    fs::write(&path, text).map_err(failed("write", &path))?;
    Ok(path)
}

fn learn() -> Vec<(Token, Token)> {
    let mut plain: BTreeMap<String, u32> = BTreeMap::new();
    let mut spaced: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..EXAMPLES {
        for piece in lesson(Stage::All, seed).conversation.pieces() {
            let (Piece::Given(text) | Piece::Answer(text)) = piece else {
                continue;
            };
            for piece in pieces(&text) {
                let word = piece.trim_start_matches(|character: char| !character.is_alphabetic());
                if word.is_empty() {
                    *plain.entry(piece.to_owned()).or_default() += 1;
                    continue;
                }
                *plain.entry(word.to_owned()).or_default() += 1;
                if piece.len() == word.len() + 1 && piece.starts_with(' ') {
                    *spaced.entry(word.to_owned()).or_default() += 1;
                }
            }
        }
    }
    // What is said twice is worth a token; a made-up name is not.
    plain.retain(|_, count| *count > 1);
    let bpe = Bpe::learn(&plain, FIRST_SPECIAL - 256 - WORDS_WITH_SPACE);
    let mut words: Vec<(u32, Token)> = spaced
        .iter()
        .filter_map(|(word, count)| match bpe.encode(word).as_slice() {
            [token] if word.len() > 1 => Some((*count, *token)),
            _ => None,
        })
        .collect();
    words.sort_by_key(|&(count, token)| (std::cmp::Reverse(count), token));
    let mut merges = bpe.merges;
    merges.extend(
        words
            .into_iter()
            .take(WORDS_WITH_SPACE)
            .map(|(_, token)| (Token::from(b' '), token)),
    );
    // Bytes that no text has fill what is left, so that the vocabulary has its size.
    let unused = (0..8).flat_map(|left| (0..8).map(move |right| (0xF8 + left, 0xF8 + right)));
    let missing = (FIRST_SPECIAL - 256).saturating_sub(merges.len());
    merges.extend(unused.take(missing));
    merges
}
