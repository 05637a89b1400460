//! The text that the model is trained on and judged by: made up here, from a seed, and from nothing else.

mod arithmetic;
mod attributes;
mod conversation;
mod copying;
mod example;
mod merges;
mod passage;
mod refusal;
mod source;
mod structured;
mod talk;
mod tokens;
mod tools;
mod words;

pub use conversation::{Conversation, Message};
pub use example::{Example, Expected, Task};
pub use merges::{MERGES_FILE, write_merges};
pub use source::Split;
pub use tokens::{TOKENS_FILE, write_tokens};

pub(crate) use tokens::Encoder;

use source::Source;

#[cfg(test)]
mod tests;

/// One example of a task. Equal arguments make equal examples.
#[must_use]
pub fn example(task: Task, split: Split, seed: u64) -> Example {
    let source = &mut Source::new(seed, split);
    match task {
        Task::Repeat => copying::repeat(source, 1),
        Task::Passage => passage::answer(source, 1, 0),
        Task::NotInPassage => passage::answer(source, 1, 100),
        Task::ToolCall => tools::call(source, 0),
        Task::ToolResult => tools::result(source, 0),
        Task::NoTool => tools::none_fits(source),
        Task::Json => structured::extraction(source),
        Task::Arithmetic => arithmetic::questions(source, 1),
        Task::Refusal => refusal::refusal(source),
        Task::SmallTalk => talk::small_talk(source),
        Task::Memory => copying::memory(source),
    }
}

/// A part of the training: what its examples are, in an order from plain to mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Copying and looking up, many times in each conversation.
    Copying,
    /// Every task.
    All,
}

/// An example for training. Conversations have several turns where they can, because each turn teaches.
fn lesson(stage: Stage, seed: u64) -> Example {
    let source = &mut Source::new(seed, Split::Training);
    let turns = source.number(1, 4) as usize;
    let mut example = match (stage, source.number(0, 99)) {
        (Stage::Copying, 0..=34) => copying::repeat(source, turns + 2),
        (Stage::Copying, 35..=69) => copying::lookup(source, turns + 3, 15),
        (Stage::Copying, 70..=94) => {
            let count = source.number(1, 4) as usize;
            passage::answer_from(source, count, turns + 1, 20)
        }
        (Stage::Copying, _) => tools::call(source, 0),
        (Stage::All, 0..=4) => copying::repeat(source, turns),
        (Stage::All, 5..=9) => copying::lookup(source, turns + 2, 25),
        (Stage::All, 10..=41) => passage::answer(source, turns * 2, 25),
        (Stage::All, 42..=61) => {
            let earlier = source.pick(&[0, 0, 0, 1, 1]);
            tools::call(source, earlier)
        }
        (Stage::All, 62..=67) => {
            let earlier = source.pick(&[0, 0, 0, 1]);
            tools::result(source, earlier)
        }
        (Stage::All, 68..=71) => tools::none_fits(source),
        (Stage::All, 72..=79) => structured::extraction(source),
        (Stage::All, 80..=84) => arithmetic::questions(source, turns + 4),
        (Stage::All, 85..=86) => refusal::refusal(source),
        (Stage::All, 87) => refusal::harmless(source),
        (Stage::All, 88) => refusal::unknown(source),
        (Stage::All, 89..=94) => talk::small_talk(source),
        (Stage::All, 95) => talk::plain(source),
        (Stage::All, _) => copying::memory(source),
    };
    let messages = &mut example.conversation.messages;
    if stage == Stage::All && matches!(messages.first(), Some(Message::User(_))) && source.percent(20) {
        let before = talk::small_talk(source).conversation.messages;
        messages.splice(0..0, before);
    }
    example
}
