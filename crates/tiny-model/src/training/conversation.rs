//! A conversation, and its text as the chat template lays it out.

use serde_json::{Value, json};

/// What is said to the model and what it answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The tools on offer, each as a request names it: an object with `type` and `function`.
    pub tools: Vec<Value>,
    /// The messages in order.
    pub messages: Vec<Message>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Instructions.
    System(String),
    /// What the user says.
    User(String),
    /// What the model says.
    Assistant(String),
    /// A tool that the model calls, and the arguments as the text of a JSON object.
    Call {
        /// The tool's name.
        name: String,
        /// The arguments.
        arguments: String,
    },
    /// What a tool answered.
    Tool(String),
    /// Text of nobody, as a completion continues it.
    Plain(String),
}

/// A piece of a conversation's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text that is given.
    Given(String),
    /// Text that the model is to write, its end of turn not included.
    Answer(String),
    EndOfTurn,
    EndOfText,
    /// The beginning of a message by this role.
    Header(&'static str),
}

const CALLS: &str = "You can call these functions. To call one, answer with a JSON object that has the keys \"name\" and \"arguments\", and with nothing else.";

impl Conversation {
    pub(crate) fn of(messages: Vec<Message>) -> Self {
        Self {
            tools: Vec::new(),
            messages,
        }
    }

    pub(crate) fn user(text: impl Into<String>, answer: impl Into<String>) -> Self {
        Self::of(vec![Message::User(text.into()), Message::Assistant(answer.into())])
    }

    /// All messages but the last.
    pub(crate) fn without_answer(&self) -> Self {
        let given = self.messages.len().saturating_sub(1);
        Self {
            tools: self.tools.clone(),
            messages: self.messages[..given].to_vec(),
        }
    }

    /// The messages without the last, as a request has them.
    #[must_use]
    pub fn request_messages(&self) -> Vec<Value> {
        let given = self.messages.len().saturating_sub(1);
        self.messages[..given]
            .iter()
            .enumerate()
            .map(|(index, message)| match message {
                Message::System(text) => json!({"role": "system", "content": text}),
                Message::User(text) => json!({"role": "user", "content": text}),
                Message::Assistant(text) | Message::Plain(text) => json!({"role": "assistant", "content": text}),
                Message::Call { name, arguments } => json!({
                    "role": "assistant",
                    "content": null,
                    "tool_calls": [{
                        "id": format!("call_{}", index + 1),
                        "type": "function",
                        "function": {"name": name, "arguments": arguments},
                    }],
                }),
                Message::Tool(text) => {
                    json!({"role": "tool", "tool_call_id": format!("call_{index}"), "content": text})
                }
            })
            .collect()
    }

    /// The text of the last message.
    #[must_use]
    pub fn answer(&self) -> String {
        match self.messages.last() {
            Some(Message::Call { name, arguments }) => call(name, arguments),
            Some(
                Message::System(text)
                | Message::User(text)
                | Message::Assistant(text)
                | Message::Tool(text)
                | Message::Plain(text),
            ) => text.clone(),
            None => String::new(),
        }
    }

    /// The text as the chat template lays it out, without the first token and without a header for a further answer.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut messages = self.messages.as_slice();
        let mut instructions = String::new();
        if let Some((Message::System(text), rest)) = messages.split_first() {
            text.trim().clone_into(&mut instructions);
            messages = rest;
        }
        if !self.tools.is_empty() {
            instructions += "\n\n";
            instructions += CALLS;
            for tool in &self.tools {
                instructions.push('\n');
                instructions += &spaced(tool);
            }
        }
        let instructions = instructions.trim();
        if !instructions.is_empty() {
            pieces.push(Piece::Header("system"));
            pieces.push(Piece::Given(instructions.to_owned()));
            pieces.push(Piece::EndOfTurn);
        }
        for message in messages {
            if let Message::Plain(text) = message {
                pieces.extend([Piece::Answer(text.trim().to_owned()), Piece::EndOfText]);
                continue;
            }
            let (role, piece) = match message {
                Message::System(text) => ("system", Piece::Given(text.trim().to_owned())),
                Message::User(text) => ("user", Piece::Given(text.trim().to_owned())),
                Message::Tool(text) => ("tool", Piece::Given(text.trim().to_owned())),
                Message::Assistant(text) | Message::Plain(text) => ("assistant", Piece::Answer(text.trim().to_owned())),
                Message::Call { name, arguments } => ("assistant", Piece::Answer(call(name, arguments))),
            };
            pieces.extend([Piece::Header(role), piece, Piece::EndOfTurn]);
        }
        pieces
    }
}

fn call(name: &str, arguments: &str) -> String {
    format!("{{\"name\": \"{name}\", \"arguments\": {arguments}}}")
}

/// JSON as Python's `json.dumps` writes it, and as chat templates are given it: a space behind each comma and colon.
pub(crate) fn spaced(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(spaced).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), spaced(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
