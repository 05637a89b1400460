//! Choices, and the words that texts are made of.

use crate::random::Random;

use super::words::{ADJECTIVES, CITIES, FIRST_NAMES, NOUNS};

/// Which texts are drawn: those that the model is trained on, or those that it never saw.
///
/// Made-up words and codes belong to one of the two for good, by their spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What the model is trained on.
    Training,
    /// What it is judged by.
    HeldOut,
}

/// One in this many made-up words is held out.
const HELD_OUT_SHARE: u64 = 8;

const ONSETS: &[&str] = &[
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kr", "l", "m", "n", "p", "pl", "qu", "r",
    "s", "sh", "st", "t", "th", "tr", "v", "w", "y", "z", "",
];
const VOWELS: &[&str] = &["a", "e", "i", "o", "u", "ai", "ea", "ou", "oo", "y"];
const CODAS: &[&str] = &["", "", "", "n", "r", "l", "s", "m", "k", "t", "x", "nd", "rt", "ck"];
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A seeded source of choices.
pub(crate) struct Source {
    random: Random,
    split: Split,
}

impl Source {
    pub(crate) fn new(seed: u64, split: Split) -> Self {
        // The two splits also differ in everything else that they choose.
        let salt = match split {
            Split::Training => 0,
            Split::HeldOut => 0x6865_6C64_206F_7574,
        };
        Self {
            random: Random::new(seed ^ salt),
            split,
        }
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn number(&mut self, low: u64, high: u64) -> u64 {
        low + self.random.next() % (high - low + 1)
    }

    /// A place in something of this length, which is not 0.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        (self.random.next() % length as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.number(1, 100) <= share
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// So many different ones, in a random order; all when there are fewer.
    pub(crate) fn sample<T: Clone>(&mut self, choices: &[T], count: usize) -> Vec<T> {
        let mut order: Vec<T> = choices.to_vec();
        self.shuffle(&mut order);
        order.truncate(count);
        order
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.index(end + 1);
            items.swap(end, other);
        }
    }

    /// Fills `{}` of a template that the source picks.
    pub(crate) fn fill(&mut self, templates: &[&str], values: &[&str]) -> String {
        fill(self.pick(templates), values)
    }

    /// A made-up word in lower case, of this split alone.
    pub(crate) fn invented(&mut self) -> String {
        loop {
            let mut word = String::new();
            for _ in 0..self.number(2, 3) {
                word += self.pick(ONSETS);
                word += self.pick(VOWELS);
            }
            word += self.pick(CODAS);
            if self.admits(&word) && word.len() > 2 {
                return word;
            }
        }
    }

    /// The name of a person, mostly made up.
    pub(crate) fn person(&mut self) -> String {
        if self.percent(25) {
            self.pick(FIRST_NAMES).to_owned()
        } else {
            capitalized(&self.invented())
        }
    }

    /// The name of a town, mostly made up.
    pub(crate) fn city(&mut self) -> String {
        if self.percent(30) {
            self.pick(CITIES).to_owned()
        } else {
            capitalized(&self.invented())
        }
    }

    /// The name of anything: a project, a company, a ship.
    pub(crate) fn title(&mut self) -> String {
        let name = capitalized(&self.invented());
        match self.number(0, 9) {
            0 => format!(
                "{} {}",
                capitalized(self.pick(ADJECTIVES)),
                capitalized(self.pick(NOUNS))
            ),
            1 => format!("{name} {}", self.number(2, 99)),
            2 => format!("{} {name}", capitalized(self.pick(ADJECTIVES))),
            _ => name,
        }
    }

    /// A code of letters and digits, of this split alone.
    pub(crate) fn code(&mut self) -> String {
        loop {
            let code = match self.number(0, 7) {
                0 => self.digits(4, 6),
                1 => format!("{}-{}", self.letters(1, 3), self.digits(2, 4)),
                2 => format!("{}{}", self.letters(2, 3), self.digits(1, 3)),
                3 => format!("{}{}{}", self.digits(1, 2), self.letters(1, 2), self.digits(1, 2)),
                4 => format!("{}-{}", self.invented(), self.digits(1, 3)),
                5 => format!("{}{}", self.invented(), self.digits(1, 2)),
                6 => self.letters(4, 6),
                _ => format!("{}-{}", self.invented(), self.pick(NOUNS)),
            };
            if self.admits(&code) {
                return code;
            }
        }
    }

    /// A word of any kind: common, made up, or a code.
    pub(crate) fn token(&mut self) -> String {
        match self.number(0, 9) {
            0..=2 => self.pick(NOUNS).to_owned(),
            3 => self.pick(ADJECTIVES).to_owned(),
            4..=6 => self.invented(),
            7 => capitalized(&self.invented()),
            8 => self.number(0, 999).to_string(),
            _ => self.code(),
        }
    }

    /// Several words of any kind.
    pub(crate) fn tokens(&mut self, low: u64, high: u64) -> String {
        let words: Vec<String> = (0..self.number(low, high)).map(|_| self.token()).collect();
        words.join(" ")
    }

    fn digits(&mut self, low: u64, high: u64) -> String {
        (0..self.number(low, high))
            .map(|_| char::from(b'0' + self.number(0, 9) as u8))
            .collect()
    }

    fn letters(&mut self, low: u64, high: u64) -> String {
        (0..self.number(low, high))
            .map(|_| char::from(self.pick(LETTERS)))
            .collect()
    }

    fn admits(&self, word: &str) -> bool {
        is_held_out(word) == (self.split == Split::HeldOut)
    }
}

/// Whether a made-up word is kept from training, by the FNV-1a hash of its letters in lower case.
pub(crate) fn is_held_out(word: &str) -> bool {
    let hash = word.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01B3)
    });
    (hash >> 20) % HELD_OUT_SHARE == 0
}

/// Puts values in the places of a template's `{}`, or of `{0}`, `{1}` and so on.
pub(crate) fn fill(template: &str, values: &[&str]) -> String {
    let mut text = String::new();
    let mut rest = template;
    let mut next = 0;
    while let Some(start) = rest.find('{') {
        text += &rest[..start];
        let Some(length) = rest[start..].find('}') else { break };
        let place = &rest[start + 1..start + length];
        let index = place.parse().unwrap_or(next);
        next += usize::from(place.is_empty());
        text += values.get(index).copied().unwrap_or_default();
        rest = &rest[start + length + 1..];
    }
    text + rest
}

pub(crate) fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}
