//! Tells what a model thinks from what it says.

/// Stands before what a model thinks.
pub(crate) const OPEN: &str = "<think>";
/// Stands behind it.
pub(crate) const CLOSE: &str = "</think>";

/// Whether and where an answer begins with thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Thinking {
    /// The model does not think aloud.
    #[default]
    Never,
    /// The answer may begin with [`OPEN`].
    MayBegin,
    /// The prompt ends with [`OPEN`], so that the answer begins in the midst of it.
    Begun,
}

impl Thinking {
    /// What to expect after this prompt of a model whose template speaks of thinking.
    pub(crate) fn after(prompt: &str) -> Self {
        let prompt = prompt.trim_end();
        if prompt.ends_with(OPEN) {
            Self::Begun
        } else if prompt.ends_with(CLOSE) {
            Self::Never
        } else {
            Self::MayBegin
        }
    }
}

/// Splits an answer while it is made. White space around what is thought belongs to neither part.
#[derive(Debug)]
pub(crate) struct ReasoningSplitter {
    place: Place,
    waiting: String,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// What the model thinks.
    Reasoning(String),
    /// What it says.
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space, or the beginning of the mark, came yet.
    Start,
    /// Behind the opening mark, where white space only separates.
    Opened,
    /// In what is thought.
    Reasoning,
    /// Behind the closing mark, where white space only separates.
    Closed,
    /// In what is said.
    Text,
}

impl ReasoningSplitter {
    /// A splitter for an answer that begins so.
    pub(crate) fn new(thinking: Thinking) -> Self {
        Self {
            place: match thinking {
                Thinking::Never => Place::Text,
                Thinking::MayBegin => Place::Start,
                Thinking::Begun => Place::Opened,
            },
            waiting: String::new(),
        }
    }

    /// Whether the model thinks at this point of its answer.
    pub(crate) fn is_reasoning(&self) -> bool {
        matches!(self.place, Place::Opened | Place::Reasoning)
    }

    /// Takes more of the answer.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Part> {
        if self.place == Place::Text && self.waiting.is_empty() {
            return part(Part::Text, text.to_owned()).into_iter().collect();
        }
        self.waiting.push_str(text);
        let mut parts = Vec::new();
        while self.step(&mut parts) {}
        parts
    }

    /// Ends the answer.
    pub(crate) fn finish(&mut self) -> Vec<Part> {
        let rest = std::mem::take(&mut self.waiting);
        let part = match self.place {
            Place::Start | Place::Text => part(Part::Text, rest),
            // White space at the end separates nothing that would follow.
            Place::Reasoning => part(Part::Reasoning, rest.trim_end().to_owned()),
            Place::Opened | Place::Closed => None,
        };
        part.into_iter().collect()
    }

    /// Uses some of what is waiting; false when more of the answer is needed to go on.
    fn step(&mut self, parts: &mut Vec<Part>) -> bool {
        match self.place {
            Place::Start => {
                let begun = self.waiting.trim_start();
                if let Some(rest) = begun.strip_prefix(OPEN) {
                    self.waiting = rest.to_owned();
                    self.place = Place::Opened;
                    return true;
                }
                if OPEN.starts_with(begun) {
                    return false;
                }
                self.place = Place::Text;
                true
            }
            Place::Opened | Place::Closed => {
                self.waiting = self.waiting.trim_start().to_owned();
                if self.waiting.is_empty() {
                    return false;
                }
                self.place = if self.place == Place::Opened {
                    Place::Reasoning
                } else {
                    Place::Text
                };
                true
            }
            Place::Reasoning => {
                if let Some(end) = self.waiting.find(CLOSE) {
                    parts.extend(part(Part::Reasoning, self.waiting[..end].trim_end().to_owned()));
                    self.waiting.drain(..end + CLOSE.len());
                    self.place = Place::Closed;
                    return true;
                }
                let kept = beginning_of_end(&self.waiting);
                let safe = self.waiting.len() - kept;
                parts.extend(part(Part::Reasoning, self.waiting.drain(..safe).collect()));
                false
            }
            Place::Text => {
                parts.extend(part(Part::Text, std::mem::take(&mut self.waiting)));
                false
            }
        }
    }
}

fn part(kind: fn(String) -> Part, text: String) -> Option<Part> {
    (!text.is_empty()).then(|| kind(text))
}

/// Length of the end of a text that may turn out to stand before, or in, the closing mark.
fn beginning_of_end(text: &str) -> usize {
    let mark = (1..CLOSE.len())
        .rev()
        .find(|length| text.ends_with(&CLOSE[..*length]))
        .unwrap_or(0);
    text.len() - text[..text.len() - mark].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is thought and what is said, each joined.
    fn split(thinking: Thinking, pieces: &[String]) -> (String, String) {
        let mut splitter = ReasoningSplitter::new(thinking);
        let mut parts: Vec<Part> = pieces.iter().flat_map(|piece| splitter.push(piece)).collect();
        parts.extend(splitter.finish());
        let (mut reasoning, mut text) = (String::new(), String::new());
        for part in parts {
            match part {
                Part::Reasoning(more) => {
                    assert!(text.is_empty(), "thinking after {text:?}");
                    reasoning.push_str(&more);
                }
                Part::Text(more) => text.push_str(&more),
            }
        }
        (reasoning, text)
    }

    #[test]
    fn thinking_is_told_from_saying_however_the_answer_is_cut() {
        use Thinking::{Begun, MayBegin, Never};
        let cases = [
            (Never, "<think>a</think>b", "", "<think>a</think>b"),
            (MayBegin, "just text", "", "just text"),
            (MayBegin, "", "", ""),
            (MayBegin, " <thi", "", " <thi"),
            (MayBegin, "  said", "", "  said"),
            (
                MayBegin,
                "<think>\nhm, a < b\n\n</think>\n\nsaid\n",
                "hm, a < b",
                "said\n",
            ),
            (MayBegin, "<think>\n\n</think>\n\nsaid", "", "said"),
            (MayBegin, "<think>cut off </thi", "cut off </thi", ""),
            (MayBegin, "<think>cut off \n", "cut off", ""),
            (MayBegin, "say <think>x</think>", "", "say <think>x</think>"),
            (Begun, "\nhm\n</think>said </think>", "hm", "said </think>"),
            (Begun, "hm, vicuña \u{1F999} </ </think>", "hm, vicuña \u{1F999} </", ""),
            (Begun, "hm", "hm", ""),
        ];
        for (thinking, answer, reasoning, text) in cases {
            let characters: Vec<String> = answer.chars().map(String::from).collect();
            for size in [1, 2, 3, 7, 1000] {
                let pieces: Vec<String> = characters.chunks(size).map(<[String]>::concat).collect();
                let expected = (reasoning.to_owned(), text.to_owned());
                assert_eq!(split(thinking, &pieces), expected, "{answer:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn the_prompt_tells_what_to_expect() {
        for (prompt, thinking) in [
            ("<|assistant|>\n", Thinking::MayBegin),
            ("<|assistant|>\n<think>\n", Thinking::Begun),
            ("<|assistant|>\n<think>\n\n</think>\n\n", Thinking::Never),
        ] {
            assert_eq!(Thinking::after(prompt), thinking);
        }
    }

    #[test]
    fn where_the_model_thinks_is_known() {
        let mut splitter = ReasoningSplitter::new(Thinking::MayBegin);
        let mut seen = Vec::new();
        for piece in ["<th", "ink>", "hm", "</think>", "said"] {
            splitter.push(piece);
            seen.push(splitter.is_reasoning());
        }
        assert_eq!(seen, [false, true, true, false, false]);
    }
}
