//! What counts as a word, in texts and in queries alike, for providers that split texts themselves.

use std::collections::BTreeSet;

/// The words of a text with spaces between them, all in lower case, for a tokenizer that splits at spaces alone. Words are runs of letters and
/// digits, whatever their case; in scripts without spaces each character is a word.
pub fn spaced_words(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        if !character.is_alphanumeric() {
            spaced.push(' ');
        } else if is_word_alone(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            // The sigma at the end of a word is the one in its middle.
            let lower = character.to_lowercase();
            spaced.extend(lower.map(|character| if character == 'ς' { 'σ' } else { character }));
        }
    }
    spaced
}

/// The different words of a text, as [`spaced_words`] has them.
pub fn distinct_words(text: &str) -> BTreeSet<String> {
    spaced_words(text).split_ascii_whitespace().map(str::to_owned).collect()
}

/// Whether the script has no spaces between words, so that each character has to stand for itself.
fn is_word_alone(character: char) -> bool {
    matches!(u32::from(character),
        // Thai, Lao; Myanmar; Khmer
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff
        // Kana, bopomofo, ideographs
        | 0x3040..=0x312f | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split() {
        for (text, words) in [
            ("Hello, world!", "hello world"),
            ("snake_case 3.14 it's", "snake case 3 14 it s"),
            ("ΟΔΟΣ οδός", "οδοσ οδόσ"),
            ("Größe", "größe"),
            ("羊驼 live 在高原", "羊 驼 live 在 高 原"),
            ("a\0b\"c*(d)", "a b c d"),
            ("🦙 !?", ""),
        ] {
            let split: Vec<String> = spaced_words(text).split_ascii_whitespace().map(str::to_owned).collect();
            assert_eq!(split.join(" "), words);
        }
        assert_eq!(distinct_words("b a B").len(), 2);
    }
}
