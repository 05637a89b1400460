//! Finds stop sequences in text that comes in pieces.

/// Watches for texts at which an answer ends. What might be the beginning of one is held back, so that no part of it is ever
/// handed on.
///
/// The answer ends where the first stop sequence is complete. That does not depend on how the text is cut into pieces.
#[derive(Debug, Default)]
pub(crate) struct StopMatcher {
    stops: Vec<String>,
    held: String,
}

/// What comes of a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Text that is surely part of the answer.
    pub(crate) text: String,
    /// Whether a stop sequence was found behind it.
    pub(crate) stopped: bool,
}

impl StopMatcher {
    /// A matcher for these texts, none of which is empty.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self {
            stops,
            held: String::new(),
        }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &str) -> Passed {
        if self.stops.is_empty() {
            return Passed {
                text: piece.to_owned(),
                stopped: false,
            };
        }
        let mut text = String::new();
        for character in piece.chars() {
            self.held.push(character);
            if let Some(stop) = self.longest_match() {
                self.held.truncate(self.held.len() - stop);
                text.push_str(&std::mem::take(&mut self.held));
                return Passed { text, stopped: true };
            }
            let safe = self.held.len() - self.longest_beginning();
            text.extend(self.held.drain(..safe));
        }
        Passed { text, stopped: false }
    }

    /// Takes back what was held, at the end of the answer.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Length of the longest stop sequence that the held text ends with.
    fn longest_match(&self) -> Option<usize> {
        self.stops
            .iter()
            .filter(|stop| self.held.ends_with(stop.as_str()))
            .map(String::len)
            .max()
    }

    /// Length of the longest end of the held text that a stop sequence begins with.
    fn longest_beginning(&self) -> usize {
        let starts = self.held.char_indices().map(|(start, _)| start);
        starts
            .map(|start| &self.held[start..])
            .find(|end| self.stops.iter().any(|stop| stop.starts_with(end)))
            .map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text that passes, piece by piece, and whether it was stopped.
    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut matcher = StopMatcher::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut passed = Vec::new();
        for piece in pieces {
            let Passed { text, stopped } = matcher.push(piece);
            passed.push(text);
            if stopped {
                return (passed, true);
            }
        }
        passed.push(matcher.finish());
        (passed, false)
    }

    #[test]
    fn nothing_of_a_stop_sequence_leaks() {
        type Case = (
            &'static [&'static str],
            &'static [&'static str],
            &'static [&'static str],
            bool,
        );
        let cases: [Case; 10] = [
            (&[], &["a", "b"], &["a", "b", ""], false),
            (&["END"], &["text END more"], &["text "], true),
            (&["END"], &["text E", "N", "D"], &["text ", "", ""], true),
            (
                &["END"],
                &["text E", "N", "E", "x"],
                &["text ", "", "EN", "Ex", ""],
                false,
            ),
            (&["END"], &["EN"], &["", "EN"], false),
            (&["aab"], &["aaa", "b"], &["a", ""], true),
            (
                &["\u{1F999}!"],
                &["ll\u{1F999}", "?", "\u{1F999}", "!"],
                &["ll", "\u{1F999}?", "", ""],
                true,
            ),
            (&["bc", "abcd"], &["ab", "cd"], &["", "a"], true),
            (&["b", "ab"], &["ab"], &[""], true),
            (&["\n\n"], &["one\n", "two\n", "\n"], &["one", "\ntwo", ""], true),
        ];
        for (stops, pieces, passed, stopped) in cases {
            let passed: Vec<String> = passed.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(run(stops, pieces), (passed, stopped), "{stops:?} {pieces:?}");
        }
    }

    #[test]
    fn cutting_the_text_differently_changes_nothing() {
        let text = "abcabdabcdéabcé\u{1F999}dabc";
        let characters: Vec<String> = text.chars().map(String::from).collect();
        for stops in [
            &["abcd"][..],
            &["éabcé", "zz"],
            &["cd", "bcdé"],
            &["\u{1F999}d"],
            &["nothing"],
        ] {
            let whole = run(stops, &[text]);
            for size in 1..5 {
                let pieces: Vec<String> = characters.chunks(size).map(<[String]>::concat).collect();
                let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
                let (passed, stopped) = run(stops, &pieces);
                assert_eq!(
                    (passed.concat(), stopped),
                    (whole.0.concat(), whole.1),
                    "{stops:?} in pieces of {size}"
                );
            }
        }
    }
}
