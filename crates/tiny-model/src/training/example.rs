//! One conversation, what it exercises, and how an answer to it is judged.

use serde_json::Value;

use super::conversation::Conversation;

/// What an example exercises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// To say again what was said.
    Repeat,
    /// To answer from a passage.
    Passage,
    /// To say that a passage does not tell what is asked.
    NotInPassage,
    /// To call the right one of several tools with the right arguments.
    ToolCall,
    /// To answer with what a tool said.
    ToolResult,
    /// To answer without a tool where none fits.
    NoTool,
    /// To write JSON by a schema.
    Json,
    /// To add, subtract and multiply small numbers.
    Arithmetic,
    /// To refuse what does harm.
    Refusal,
    /// Greetings, small talk and a few facts.
    SmallTalk,
    /// To remember what was said earlier in the conversation.
    Memory,
}

impl Task {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 11] = [
        Self::Repeat,
        Self::Passage,
        Self::NotInPassage,
        Self::ToolCall,
        Self::ToolResult,
        Self::NoTool,
        Self::Json,
        Self::Arithmetic,
        Self::Refusal,
        Self::SmallTalk,
        Self::Memory,
    ];

    /// The task in words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Repeat => "repeat words and codes",
            Self::Passage => "answer from a passage",
            Self::NotInPassage => "say that a passage does not tell",
            Self::ToolCall => "call the right tool with the right arguments",
            Self::ToolResult => "answer with a tool's result",
            Self::NoTool => "answer without a tool where none fits",
            Self::Json => "JSON by a schema",
            Self::Arithmetic => "arithmetic on small numbers",
            Self::Refusal => "refuse what does harm",
            Self::SmallTalk => "small talk",
            Self::Memory => "remember what was said before",
        }
    }
}

/// A conversation whose last message is the answer that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What it exercises.
    pub task: Task,
    /// The conversation.
    pub conversation: Conversation,
    /// What an answer must be.
    pub expected: Expected,
}

/// How an answer is judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// It is this text, but for white space around it.
    Is(String),
    /// It has this text in it, and no letter or digit beside it.
    Says(String),
    /// It is JSON of this value, whatever the order of keys.
    Json(Value),
    /// It is not empty and calls no tool.
    Talks,
}

impl Expected {
    /// Whether an answer is right.
    #[must_use]
    pub fn accepts(&self, answer: &str) -> bool {
        let answer = answer.trim();
        match self {
            Self::Is(text) => answer == text.trim(),
            Self::Says(text) => says(answer, text),
            Self::Json(value) => serde_json::from_str::<Value>(answer).is_ok_and(|given| given == *value),
            Self::Talks => !answer.is_empty() && !answer.starts_with('{'),
        }
    }
}

/// Whether a text has another in it as whole words.
fn says(answer: &str, text: &str) -> bool {
    answer.match_indices(text).any(|(start, _)| {
        let before = answer[..start].chars().next_back();
        let after = answer[start + text.len()..].chars().next();
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}
