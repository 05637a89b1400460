//! Splits text into the pieces that merges never cross.

/// The rule as a regular expression, for `tokenizer.json`. It is the one that GGUF files call `qwen2`, which every
/// engine that loads this model implements, so that all of them see the same tokens.
pub(crate) const PATTERN: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// Applies [`PATTERN`]. The standard library's notions of letter and number are wider than `\p{L}` and `\p{N}` for a
/// few scripts, so this is for the training text, not for arbitrary input.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(piece_length(rest));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// Length in bytes of the first piece of a text that is not empty.
fn piece_length(text: &str) -> usize {
    if let Some(length) = contraction(text) {
        return length;
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    let after_first = &text[first..];
    let starts_with = |test: fn(char) -> bool| text.starts_with(test);

    if starts_with(char::is_alphabetic) {
        return run(text, char::is_alphabetic);
    }
    if !starts_with(is_line_end) && !starts_with(char::is_numeric) && after_first.starts_with(char::is_alphabetic) {
        return first + run(after_first, char::is_alphabetic);
    }
    if starts_with(char::is_numeric) {
        return first;
    }
    let space = usize::from(text.starts_with(' '));
    let symbols = run(&text[space..], is_symbol);
    if symbols > 0 {
        let length = space + symbols;
        return length + run(&text[length..], is_line_end);
    }
    white_space(text)
}

/// White space up to its last line end; else all of it at the end of the text; else all but the character that
/// belongs to the next piece.
fn white_space(text: &str) -> usize {
    let length = run(text, char::is_whitespace);
    let white = &text[..length];
    if let Some(last_line_end) = white.rfind(is_line_end) {
        return last_line_end + 1;
    }
    if length == text.len() {
        return length;
    }
    let last = white.chars().next_back().map_or(0, char::len_utf8);
    if length > last { length - last } else { length }
}

fn contraction(text: &str) -> Option<usize> {
    let letters = text.strip_prefix('\'')?;
    ["s", "t", "re", "ve", "m", "ll", "d"]
        .into_iter()
        .find(|suffix| {
            letters
                .get(..suffix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(suffix))
        })
        .map(|suffix| 1 + suffix.len())
}

/// Length in bytes of the longest start of `text` whose characters all pass.
fn run(text: &str, test: fn(char) -> bool) -> usize {
    text.find(|character| !test(character)).unwrap_or(text.len())
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\r' | '\n')
}

fn is_symbol(character: char) -> bool {
    !character.is_whitespace() && !character.is_alphabetic() && !character.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn splits_words_numbers_symbols_and_white_space() {
        let cases: [(&str, &[&str]); 8] = [
            ("It's a llama", &["It", "'s", " a", " llama"]),
            ("12 and 3", &["1", "2", " and", " ", "3"]),
            ("end.\n\nNext", &["end", ".\n\n", "Next"]),
            ("a  b", &["a", " ", " b"]),
            ("a \n  b", &["a", " \n", " ", " b"]),
            ("tail  ", &["tail", "  "]),
            ("{\"a\": 1}", &["{\"", "a", "\":", " ", "1", "}"]),
            ("vicuña!", &["vicuña", "!"]),
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text), expected, "{text:?}");
        }
    }
}
