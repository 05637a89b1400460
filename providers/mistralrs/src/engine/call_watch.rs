//! Holds an answer that may call tools, or not, to the tools' schemas once it begins to call one.

use std::fmt;
use std::sync::Arc;

use mistralrs::llguidance::api::GrammarWithLexer;
use mistralrs::llguidance::{Matcher, ParserFactory};
use puna_api::Result;
use serde_json::{Map, Value, json};

use super::grammar::{ANSWER, Grammar};
use crate::reasoning::{Part, ReasoningSplitter, Thinking};
use crate::tool_calls::{CLOSE, OPEN};
use crate::utf8::Utf8Decoder;

/// The forms of calls, checked. Cheap enough to clone per answer.
#[derive(Clone)]
pub(crate) struct CallForms {
    /// An answer that is nothing but calls.
    bare: Grammar,
    /// What stands behind the first mark of a call among text.
    marked: Grammar,
    thinking: Thinking,
}

/// Watches one answer.
pub(super) struct CallWatch {
    forms: CallForms,
    parsers: Arc<ParserFactory>,
    decoder: Utf8Decoder,
    splitter: ReasoningSplitter,
    /// What is said, as far as it may be the beginning of a call.
    text: String,
    place: Place,
}

enum Place {
    /// The answer may turn out to be nothing but calls.
    Start,
    /// In text.
    Text,
    /// In a call.
    Call(Box<Matcher>),
}

impl CallForms {
    /// Forms of calls that fit `schema`: one call, or `several`. Fails as an invalid request when the schema cannot be used.
    pub(super) fn new(
        mut schema: Map<String, Value>,
        several: bool,
        thinking: Thinking,
        parsers: &ParserFactory,
    ) -> Result<Self> {
        // Models were taught to write calls with spaces, but weak ones fill optional white space without end.
        schema.insert("x-guidance".to_owned(), json!({"whitespace_pattern": " "}));
        let form = |lark: String| {
            let mut call = GrammarWithLexer::from_json_schema(Value::Object(schema.clone()));
            call.name = Some(ANSWER.to_owned());
            Grammar::of(
                vec![GrammarWithLexer::from_lark(lark), call],
                "the schema of a tool",
                parsers,
            )
        };
        let more = |text: &str| if several { format!("({text})*") } else { String::new() };
        let spaces = "SPACE: /[ \\n]/\n";
        let call = format!("@{ANSWER}");
        let bare = format!(
            "start: {call} {} | \"[\" SPACE? {call} {} SPACE? \"]\"\n{spaces}",
            more(&format!("SPACE? {call}")),
            more(&format!("\",\" SPACE? {call}"))
        );
        let marked = format!(
            "start: call {}\ncall: SPACE? {call} SPACE? \"{CLOSE}\"\n{spaces}",
            more(&format!("SPACE? \"{OPEN}\" call"))
        );
        Ok(Self {
            bare: form(bare)?,
            marked: form(marked)?,
            thinking,
        })
    }

    /// Watches one answer.
    pub(super) fn watch(&self, parsers: Arc<ParserFactory>) -> CallWatch {
        CallWatch {
            forms: self.clone(),
            parsers,
            decoder: Utf8Decoder::default(),
            splitter: ReasoningSplitter::new(self.thinking),
            text: String::new(),
            place: Place::Start,
        }
    }
}

impl CallWatch {
    /// What holds for the next token; nothing while the answer is text.
    pub(super) fn matcher(&mut self) -> Option<&mut Matcher> {
        match &mut self.place {
            Place::Call(matcher) => Some(matcher),
            Place::Start | Place::Text => None,
        }
    }

    /// Takes the next token of the answer while it is no call.
    pub(super) fn push(&mut self, token: u32) -> Result<()> {
        let bytes = self.parsers.tok_env().tok_trie().decode_ext(&[token], false);
        for part in self.splitter.push(&self.decoder.push(&bytes)) {
            if let Part::Text(text) = part {
                self.text.push_str(&text);
            }
        }
        if matches!(self.place, Place::Start) {
            match begins_call(&self.text) {
                Some(true) => self.enter(0)?,
                Some(false) => self.place = Place::Text,
                None => {}
            }
        }
        if matches!(self.place, Place::Text) {
            match self.text.find(OPEN) {
                Some(start) => self.enter(start + OPEN.len())?,
                None => self.forget(),
            }
        }
        Ok(())
    }

    /// Holds the answer to the form of a call from this place of the text on, unless it broke it already, in the same token.
    fn enter(&mut self, start: usize) -> Result<()> {
        let (form, text) = if start == 0 {
            (&self.forms.bare, self.text.trim_start())
        } else {
            (&self.forms.marked, &self.text[start..])
        };
        let mut matcher = form.matcher(&self.parsers)?;
        let tokens = self.parsers.tok_env().tokenize(text);
        if matcher.consume_tokens(&tokens).is_ok() {
            self.place = Place::Call(Box::new(matcher));
        } else {
            self.text.drain(..start);
            self.place = Place::Text;
        }
        Ok(())
    }

    /// Keeps no more of the text than may be the beginning of a mark.
    fn forget(&mut self) {
        let mut end = self.text.len().saturating_sub(OPEN.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.drain(..end);
    }
}

/// Whether a text begins as a call does; none while it may turn out either way.
fn begins_call(text: &str) -> Option<bool> {
    const NAME: &str = "\"name\"";
    let text = text.trim_start();
    let text = text.strip_prefix('[').unwrap_or(text).trim_start();
    if text.is_empty() {
        return None;
    }
    let Some(text) = text.strip_prefix('{') else {
        return Some(false);
    };
    let text = text.trim_start();
    if text.starts_with(NAME) {
        return Some(true);
    }
    if NAME.starts_with(text) { None } else { Some(false) }
}

impl fmt::Debug for CallForms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CallForms")
    }
}

#[cfg(test)]
mod tests {
    use super::begins_call;

    #[test]
    fn calls_are_known_by_how_they_begin() {
        for (text, begins) in [
            ("", None),
            (" [ ", None),
            ("{ \"na", None),
            ("\n[{\"name\"", Some(true)),
            ("{\"name\": \"f\"", Some(true)),
            ("{\"names\"", Some(false)),
            ("{\"answer\"", Some(false)),
            ("Hello", Some(false)),
            ("<tool_call>", Some(false)),
            ("[1", Some(false)),
        ] {
            assert_eq!(begins_call(text), begins, "{text:?}");
        }
    }
}
