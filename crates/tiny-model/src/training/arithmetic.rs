//! Sums, differences and products of small numbers.

use super::conversation::{Conversation, Message};
use super::example::{Example, Expected, Task};
use super::source::Source;

/// Several questions in one conversation.
pub(crate) fn questions(source: &mut Source, turns: usize) -> Example {
    let mut messages = Vec::new();
    let mut expected = String::new();
    for _ in 0..turns {
        let (question, answer, result) = question(source);
        messages.push(Message::User(question));
        messages.push(Message::Assistant(answer));
        expected = result;
    }
    Example {
        task: Task::Arithmetic,
        conversation: Conversation::of(messages),
        expected: Expected::Says(expected),
    }
}

fn question(source: &mut Source) -> (String, String, String) {
    let (a, b, sign, word, result) = match source.number(0, 9) {
        0..=4 => {
            let (a, b) = (source.number(0, 12), source.number(0, 12));
            (a, b, "+", "plus", a + b)
        }
        5..=7 => {
            let (b, difference) = (source.number(0, 10), source.number(0, 10));
            (b + difference, b, "-", "minus", difference)
        }
        _ => {
            let (a, b) = (source.number(0, 10), source.number(0, 10));
            (a, b, "*", "times", a * b)
        }
    };
    let (a, b, result) = (a.to_string(), b.to_string(), result.to_string());
    let question = source.fill(
        &[
            "What is {0} {1} {2}?",
            "What is {0} {3} {2}?",
            "{0} {1} {2}",
            "{0} {1} {2} = ?",
            "{0} {1} {2} =",
            "Calculate {0} {1} {2}.",
            "How much is {0} {3} {2}?",
            "Tell me what {0} {3} {2} is.",
        ],
        &[&a, sign, &b, word],
    );
    (question, format!("{a} {sign} {b} = {result}"), result)
}
