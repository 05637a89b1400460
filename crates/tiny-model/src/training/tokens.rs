//! The training text as tokens.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::bpe::{Bpe, Token};
use crate::error::{Error, failed};
use crate::split::pieces;
use crate::tokenizer::{BEGIN_OF_TEXT, END_HEADER, END_OF_TEXT, END_OF_TURN, START_HEADER};

use super::conversation::{Conversation, Piece};
use super::{Stage, lesson};

/// Name of the file that [`write_tokens`] writes for a stage.
pub const TOKENS_FILE: [(Stage, &str); 2] = [(Stage::Copying, "copying.bin"), (Stage::All, "all.bin")];

/// Marks a token that the model is to write.
const WANTED: u16 = 1 << 15;

/// Writes at least so many tokens of training text to a folder: little-endian numbers of 16 bits, one conversation after the
/// other, each from its begin-of-text token on. The highest bit marks what the model is to write. The seeds of conversations
/// follow each other from `seed` on.
///
/// # Errors
/// When the file cannot be written.
pub fn write_tokens(directory: &Path, stage: Stage, seed: u64, count: usize, merges: &Path) -> Result<PathBuf, Error> {
    let text = fs::read_to_string(merges).map_err(failed("read", merges))?;
    let mut encoder = Encoder::new(Bpe::parse(&text));
    let name = TOKENS_FILE
        .iter()
        .find(|(it, _)| *it == stage)
        .map_or("", |(_, name)| name);
    let path = directory.join(name);
    let mut tokens = Vec::with_capacity(count + 1024);
    let mut seed = seed;
    while tokens.len() < count {
        encoder.pieces(lesson(stage, seed).conversation.pieces(), &mut tokens);
        seed += 1;
    }
    let bytes: Vec<u8> = tokens.into_iter().flat_map(u16::to_le_bytes).collect();
    fs::write(&path, bytes).map_err(failed("write", &path))?;
    Ok(path)
}

/// A tokenizer of conversations, which remembers the words that it has seen.
pub(crate) struct Encoder {
    bpe: Bpe,
    bytes: Vec<Vec<u8>>,
    seen: HashMap<String, Vec<Token>>,
}

impl Encoder {
    pub(crate) fn new(bpe: Bpe) -> Self {
        Self {
            bytes: bpe.token_bytes(),
            bpe,
            seen: HashMap::new(),
        }
    }

    /// The prompt for the last message of a conversation.
    pub(crate) fn prompt(&mut self, conversation: &Conversation) -> Vec<Token> {
        let mut pieces = conversation.without_answer().pieces();
        pieces.push(Piece::Header("assistant"));
        let mut tokens = Vec::new();
        self.pieces(pieces, &mut tokens);
        tokens.into_iter().map(|token| Token::from(token & !WANTED)).collect()
    }

    /// The text of tokens, special ones left out.
    pub(crate) fn text_of(&self, tokens: &[Token]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .filter_map(|token| self.bytes.get(*token as usize))
            .flatten()
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn pieces(&mut self, pieces: Vec<Piece>, tokens: &mut Vec<u16>) {
        tokens.push(BEGIN_OF_TEXT.id as u16);
        let mut wanted = 0;
        for piece in pieces {
            match piece {
                Piece::Header(role) => {
                    wanted = 0;
                    tokens.push(START_HEADER.id as u16);
                    self.text(role, 0, tokens);
                    tokens.push(END_HEADER.id as u16);
                    self.text("\n\n", 0, tokens);
                }
                Piece::Given(text) => self.text(&text, 0, tokens),
                Piece::Answer(text) => {
                    wanted = WANTED;
                    self.text(&text, wanted, tokens);
                }
                Piece::EndOfText => tokens.push(END_OF_TEXT.id as u16 | WANTED),
                Piece::EndOfTurn => tokens.push(END_OF_TURN.id as u16 | wanted),
            }
        }
    }

    fn text(&mut self, text: &str, mark: u16, tokens: &mut Vec<u16>) {
        for piece in pieces(text) {
            if !self.seen.contains_key(piece) {
                if self.seen.len() > 200_000 {
                    self.seen.clear();
                }
                self.seen.insert(piece.to_owned(), self.bpe.encode(piece));
            }
            if let Some(found) = self.seen.get(piece) {
                tokens.extend(found.iter().map(|token| *token as u16 | mark));
            }
        }
    }
}
