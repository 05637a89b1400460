//! The forms that answers can be made to have.

use std::fmt;
use std::sync::Arc;

use mistralrs::llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use mistralrs::llguidance::{Matcher, ParserFactory};
use puna_api::{Error, Result};
use serde_json::{Map, Value, json};

use crate::error;
use crate::reasoning::{CLOSE, OPEN, Thinking};

/// A form that answers must have, checked. Cheap enough to clone per answer.
#[derive(Clone)]
pub(crate) struct Grammar(Arc<TopLevelGrammar>);

/// A form of answers as a request gives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Form {
    /// JSON that fits a JSON Schema, without optional white space.
    Json(Map<String, Value>),
    /// A text that matches a regular expression as a whole.
    Regex(String),
    /// One of several texts.
    Choice(Vec<String>),
    /// A text of a context-free grammar in the syntax of Lark, as llguidance reads it.
    Lark(String),
}

/// The name that grammars which stand around the answer's own know it by.
pub(super) const ANSWER: &str = "answer";

impl Grammar {
    /// Checks a form, and lets the model think before its answer has it. Fails as an invalid request when the form makes no
    /// sense or asks for too much.
    pub(super) fn new(form: Form, thinking: Thinking, parsers: &ParserFactory) -> Result<Self> {
        let what = form.name();
        let mut answer = form.grammar();
        answer.name = Some(ANSWER.to_owned());
        let grammars = match before(thinking) {
            Some(before) => vec![GrammarWithLexer::from_lark(before), answer],
            None => vec![answer],
        };
        Self::of(grammars, what, parsers)
    }

    /// Checks grammars, of which the first one is that of the whole.
    pub(super) fn of(grammars: Vec<GrammarWithLexer>, what: &str, parsers: &ParserFactory) -> Result<Self> {
        let grammar = Self(Arc::new(TopLevelGrammar {
            grammars,
            max_tokens: None,
        }));
        let cause = match grammar.parser(parsers) {
            Ok(mut matcher) => matcher.compute_mask().err().map(|cause| cause.to_string()),
            Err(cause) => Some(cause),
        };
        match cause {
            None => Ok(grammar),
            Some(cause) => {
                let cause = cause.lines().next().unwrap_or_default();
                Err(Error::invalid_request(format!("{what} cannot be used: {cause}")))
            }
        }
    }

    /// Watches over the tokens of one answer.
    pub(super) fn matcher(&self, parsers: &ParserFactory) -> Result<Matcher> {
        self.parser(parsers).map_err(|cause| error::failed(&cause))
    }

    fn parser(&self, parsers: &ParserFactory) -> Result<Matcher, String> {
        let parser = parsers
            .create_parser(TopLevelGrammar::clone(&self.0))
            .map_err(|cause| cause.to_string())?;
        Ok(Matcher::new(Ok(parser)))
    }
}

impl Form {
    fn name(&self) -> &'static str {
        match self {
            Self::Json(_) => "the JSON schema",
            Self::Regex(_) => "the regular expression",
            Self::Choice(_) => "the choice",
            Self::Lark(_) => "the grammar",
        }
    }

    fn grammar(self) -> GrammarWithLexer {
        match self {
            Self::Json(mut schema) => {
                // Weak models fill optional white space without end.
                schema.insert("x-guidance".to_owned(), json!({"whitespace_flexible": false}));
                GrammarWithLexer::from_json_schema(Value::Object(schema))
            }
            Self::Regex(regex) => GrammarWithLexer::from_regex(&regex),
            Self::Choice(texts) => {
                let texts: Vec<String> = texts
                    .iter()
                    .map(|text| Value::from(text.as_str()).to_string())
                    .collect();
                GrammarWithLexer::from_lark(format!("start: {}", texts.join(" | ")))
            }
            Self::Lark(grammar) => GrammarWithLexer::from_lark(grammar),
        }
    }
}

/// What may, or must, stand before the answer.
fn before(thinking: Thinking) -> Option<String> {
    let start = match thinking {
        Thinking::Never => return None,
        Thinking::MayBegin => format!("start: (\"{OPEN}\" thought SPACE?)? @{ANSWER}"),
        Thinking::Begun => format!("start: thought SPACE? @{ANSWER}"),
    };
    // The shortest match, so that the first mark ends it.
    let thought = format!("thought[suffix=\"{CLOSE}\"]: /(.|\\n)*/");
    Some(format!("{start}\n{thought}\nSPACE: /\\n{{1,2}}/\n"))
}

impl fmt::Debug for Grammar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Grammar")
    }
}
