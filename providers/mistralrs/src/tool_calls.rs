//! Finds calls to tools in what a model writes.

use serde_json::{Map, Value};

/// Stands before a call among text.
pub(crate) const OPEN: &str = "<tool_call>";
/// Stands behind it.
pub(crate) const CLOSE: &str = "</tool_call>";

/// Tells calls from text while a model writes.
///
/// A call is a JSON object with `name` and `arguments` (or `parameters`), where the name is that of a tool that the request
/// offers. Two layouts are known, which the chat templates of Llama, Qwen, Hermes, Mistral and others ask for: the whole answer
/// is one such object, several, or an array of them; or each stands between `<tool_call>` and `</tool_call>`, with text around.
/// What turns out to be no call is text.
#[derive(Debug)]
pub(crate) struct ToolCallDetector {
    tools: Vec<String>,
    name_first: bool,
    place: Place,
    waiting: String,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text.
    Text(String),
    /// A whole call.
    Call(Call),
}

/// A call to a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The name of the tool.
    pub(crate) name: String,
    /// The arguments as the text of a JSON object.
    pub(crate) arguments: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing but white space came yet.
    Start,
    /// The answer began as JSON does.
    Json,
    /// In text that is surely text, but may have blocks in it.
    Text,
    /// Between the marks of a block.
    Block,
    /// Behind a block, where white space only separates.
    AfterBlock,
}

impl ToolCallDetector {
    /// A detector for an answer that may call the tools of these names.
    ///
    /// With `name_first`, only what begins with the name is a call, as it does where calls are held to their schemas.
    pub(crate) fn new(tools: Vec<String>, name_first: bool) -> Self {
        Self {
            tools,
            name_first,
            place: Place::Start,
            waiting: String::new(),
        }
    }

    /// Takes more of the answer.
    pub(crate) fn push(&mut self, text: &str) -> Vec<Piece> {
        self.waiting.push_str(text);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// Ends the answer.
    pub(crate) fn finish(&mut self) -> Vec<Piece> {
        let rest = std::mem::take(&mut self.waiting);
        match self.place {
            Place::Json => match self.calls(&rest) {
                Some(calls) => calls.into_iter().map(Piece::Call).collect(),
                None => vec![Piece::Text(rest)],
            },
            // Models leave the last mark out when generation ends right behind the call.
            Place::Block => match self.calls(&rest) {
                Some(calls) => calls.into_iter().map(Piece::Call).collect(),
                None => vec![Piece::Text(format!("{OPEN}{rest}"))],
            },
            Place::AfterBlock => Vec::new(),
            Place::Start | Place::Text if rest.is_empty() => Vec::new(),
            Place::Start | Place::Text => vec![Piece::Text(rest)],
        }
    }

    /// Uses some of what is waiting; false when more of the answer is needed to go on.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        match self.place {
            Place::Start | Place::AfterBlock => {
                let Some(first) = self.waiting.trim_start().chars().next() else {
                    return false;
                };
                let opens_json = self.place == Place::Start && matches!(first, '{' | '[');
                if self.place == Place::AfterBlock {
                    self.waiting = self.waiting.trim_start().to_owned();
                }
                self.place = if opens_json { Place::Json } else { Place::Text };
                true
            }
            Place::Json => false,
            Place::Text => {
                let mark = self.waiting.find(OPEN);
                let safe = mark.unwrap_or_else(|| self.waiting.len() - beginning_of_mark(&self.waiting));
                let text: String = self.waiting.drain(..safe).collect();
                if !text.is_empty() {
                    pieces.push(Piece::Text(text));
                }
                if mark.is_some() {
                    self.waiting.drain(..OPEN.len());
                    self.place = Place::Block;
                }
                mark.is_some()
            }
            Place::Block => {
                let Some(mark) = self.waiting.find(CLOSE) else {
                    return false;
                };
                let block: String = self.waiting.drain(..mark + CLOSE.len()).collect();
                let (calls, place) = match self.calls(&block[..mark]) {
                    Some(calls) => (calls.into_iter().map(Piece::Call).collect(), Place::AfterBlock),
                    None => (vec![Piece::Text(format!("{OPEN}{block}"))], Place::Text),
                };
                pieces.extend(calls);
                self.place = place;
                true
            }
        }
    }

    /// The calls that a text consists of; none when any of it is something else.
    fn calls(&self, text: &str) -> Option<Vec<Call>> {
        let mut calls = Vec::new();
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match value.ok()? {
                Value::Array(values) => {
                    for value in values {
                        calls.push(self.call(value)?);
                    }
                }
                value => calls.push(self.call(value)?),
            }
        }
        (!calls.is_empty()).then_some(calls)
    }

    fn call(&self, value: Value) -> Option<Call> {
        let Value::Object(mut fields) = value else { return None };
        if self.name_first && fields.keys().next().is_none_or(|first| first != "name") {
            return None;
        }
        if let Some(Value::Object(function)) = fields.get_mut("function") {
            fields = std::mem::take(function);
        }
        let Some(Value::String(name)) = fields.remove("name") else {
            return None;
        };
        if !self.tools.contains(&name) {
            return None;
        }
        let arguments = match fields.remove("arguments").or_else(|| fields.remove("parameters")) {
            Some(Value::Object(arguments)) => Value::Object(arguments).to_string(),
            Some(Value::String(text)) if serde_json::from_str::<Map<String, Value>>(&text).is_ok() => text,
            None | Some(Value::Null) => "{}".to_owned(),
            Some(_) => return None,
        };
        Some(Call { name, arguments })
    }
}

/// Length of the longest end of a text that the opening mark begins with.
fn beginning_of_mark(text: &str) -> usize {
    (1..OPEN.len())
        .rev()
        .find(|length| text.ends_with(&OPEN[..*length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn call(name: &str, arguments: &str) -> Piece {
        Piece::Call(Call {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        })
    }

    /// The pieces of an answer, texts that stand beside each other joined.
    fn read(pieces: &[String]) -> Vec<Piece> {
        let mut detector = ToolCallDetector::new(vec!["look_up".to_owned(), "add".to_owned()], false);
        let mut all: Vec<Piece> = Vec::new();
        let mut found: Vec<Piece> = pieces.iter().flat_map(|piece| detector.push(piece)).collect();
        found.extend(detector.finish());
        for piece in found {
            match (all.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(more)) => before.push_str(&more),
                (_, piece) => all.push(piece),
            }
        }
        all
    }

    #[test]
    fn calls_are_told_from_text_however_it_is_cut() {
        let look_up = r#"{"name": "look_up", "arguments": {"word": "puna", "n": 1}}"#;
        let cases = [
            (String::new(), vec![]),
            ("just text".to_owned(), vec![text("just text")]),
            ("  \n".to_owned(), vec![text("  \n")]),
            (look_up.to_owned(), vec![call("look_up", r#"{"word":"puna","n":1}"#)]),
            (
                format!("\n{look_up}\n{{\"type\":\"function\",\"name\":\"add\",\"parameters\":{{}}}}"),
                vec![call("look_up", r#"{"word":"puna","n":1}"#), call("add", "{}")],
            ),
            (
                format!("[{look_up}]"),
                vec![call("look_up", r#"{"word":"puna","n":1}"#)],
            ),
            (r#"{"name": "add"}"#.to_owned(), vec![call("add", "{}")]),
            (
                r#"{"name": "add", "arguments": "{\"a\": 1}"}"#.to_owned(),
                vec![call("add", r#"{"a": 1}"#)],
            ),
            (
                r#"{"function": {"name": "add", "arguments": {"a": 1}}}"#.to_owned(),
                vec![call("add", r#"{"a":1}"#)],
            ),
            (
                format!(
                    "One moment. <tool_call>\n{look_up}\n</tool_call>\n<tool_call>{{\"name\": \"add\"}}</tool_call>\n"
                ),
                vec![
                    text("One moment. "),
                    call("look_up", r#"{"word":"puna","n":1}"#),
                    call("add", "{}"),
                ],
            ),
            (
                format!("<tool_call>{look_up}"),
                vec![call("look_up", r#"{"word":"puna","n":1}"#)],
            ),
            (
                format!("<tool_call>{look_up}</tool_call> done"),
                vec![call("look_up", r#"{"word":"puna","n":1}"#), text("done")],
            ),
        ];
        for (answer, expected) in cases {
            let characters: Vec<String> = answer.chars().map(String::from).collect();
            for size in [1, 2, 3, 7, 1000] {
                let pieces: Vec<String> = characters.chunks(size).map(<[String]>::concat).collect();
                assert_eq!(read(&pieces), expected, "{answer:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_call_can_be_asked_to_begin_with_its_name() {
        for (answer, is_call) in [
            (r#"{"name": "add", "arguments": {}}"#, true),
            (r#"{"arguments": {}, "name": "add"}"#, false),
            (r#"{"function": {"name": "add"}}"#, false),
        ] {
            let mut detector = ToolCallDetector::new(vec!["add".to_owned()], true);
            let mut pieces = detector.push(answer);
            pieces.extend(detector.finish());
            assert_eq!(matches!(pieces.as_slice(), [Piece::Call(_)]), is_call, "{answer}");
        }
    }

    #[test]
    fn what_is_no_call_stays_as_it_is() {
        for answer in [
            r#"{"name": "unknown", "arguments": {}}"#,
            r#"{"name": "add", "arguments": 3}"#,
            r#"{"answer": 42}"#,
            r#"{"name": "add"} and more"#,
            "[1, 2",
            "{",
            "<tool_call>nonsense</tool_call>",
            "<tool_call>{\"name\": \"add\"",
            "a < b and <tool",
            "1 <tool_call",
        ] {
            assert_eq!(read(&[answer.to_owned()]), [text(answer)]);
        }
    }
}
