//! Questions about a passage that is in the prompt.

use super::attributes::{ATTRIBUTES, SUBJECTS, Subject, attribute, subject};
use super::conversation::{Conversation, Message};
use super::example::{Example, Expected, Task};
use super::source::{Source, capitalized, fill};
use super::tools;
use super::words::{ADJECTIVES, NOUNS};

/// What the model says where a value would stand that it was not told.
///
/// The subject and what is asked of it come first, as in every other answer: what was said just before is what attention finds or
/// does not find in the passage. A model of this size cannot tell before it has said that.
pub(super) const UNKNOWN: &str = "... I do not know. The text does not say that.";

/// Something told about a subject.
#[derive(Clone)]
struct Fact {
    kind: Subject,
    subject: String,
    attribute: usize,
    value: String,
    noun: String,
}

impl Fact {
    fn statement(&self, source: &mut Source) -> String {
        self.told(source.pick(ATTRIBUTES[self.attribute].statements), &self.value)
    }

    fn question(&self, source: &mut Source) -> String {
        fill(
            source.pick(ATTRIBUTES[self.attribute].questions),
            &[&self.subject, "", &self.noun],
        )
    }

    /// Whether one question asks for both: they tell the same of the same subject.
    fn is_about(&self, other: &Self) -> bool {
        let named_by_noun = |fact: &Self| ATTRIBUTES[fact.attribute].subject == Subject::Any;
        self.subject == other.subject
            && if named_by_noun(self) {
                named_by_noun(other) && self.noun == other.noun
            } else {
                self.attribute == other.attribute
            }
    }

    fn answer(&self) -> String {
        self.answer_with(&self.value)
    }

    /// The answer when the passage does not tell it: the same words up to the value.
    fn unknown(&self) -> String {
        let answer = self.answer_with(UNKNOWN);
        let end = answer.find(UNKNOWN).map_or(answer.len(), |start| start + UNKNOWN.len());
        answer[..end].to_owned()
    }

    fn answer_with(&self, value: &str) -> String {
        self.told(ATTRIBUTES[self.attribute].statements[0], value)
    }

    fn told(&self, template: &str, value: &str) -> String {
        capitalized(&fill(template, &[&self.subject, value, &self.noun]))
    }
}

fn noun(source: &mut Source) -> String {
    if source.percent(25) {
        source.invented()
    } else {
        source.pick(NOUNS).to_owned()
    }
}

/// Facts about several subjects: some share a subject, others what is told, so that both must be looked at.
fn facts(source: &mut Source, count: usize) -> Vec<Fact> {
    let kind = source.pick(SUBJECTS);
    let mut facts: Vec<Fact> = Vec::new();
    let mut subjects: Vec<(Subject, String)> = Vec::new();
    let same_kind = source.percent(60);
    while facts.len() < count {
        let (kind, name) = if !subjects.is_empty() && source.percent(45) {
            subjects[source.index(subjects.len())].clone()
        } else {
            let kind = if same_kind { kind } else { source.pick(SUBJECTS) };
            let name = subject(source, kind);
            subjects.push((kind, name.clone()));
            (kind, name)
        };
        let attribute = attribute(source, kind);
        let value = (ATTRIBUTES[attribute].value)(source);
        let fact = Fact {
            kind,
            subject: name,
            attribute,
            value,
            noun: noun(source),
        };
        if !facts.iter().any(|other| other.is_about(&fact)) {
            facts.push(fact);
        }
    }
    facts
}

/// A question that the facts do not answer: the subject or what is asked about it is not among them.
fn unanswerable(source: &mut Source, facts: &[Fact]) -> Fact {
    loop {
        let near = facts[source.index(facts.len())].clone();
        let other = if source.percent(50) {
            Fact {
                subject: subject(source, near.kind),
                ..near
            }
        } else {
            Fact {
                attribute: attribute(source, near.kind),
                noun: noun(source),
                ..near
            }
        };
        if !facts.iter().any(|fact| fact.is_about(&other)) {
            return other;
        }
    }
}

/// Sentences that tell nothing that is asked for.
fn filler(source: &mut Source) -> String {
    let (adjective, noun) = (source.pick(ADJECTIVES), source.pick(NOUNS));
    source.fill(
        &[
            "There is a {} {} in the picture.",
            "The weather was {} and nobody saw the {}.",
            "Please note the {} {} near the road.",
            "People like a {} {}.",
            "It is a {} day for a {}.",
        ],
        &[adjective, noun],
    )
}

/// The passage: every fact once, in one of its wordings.
fn passage(source: &mut Source, facts: &[Fact]) -> Vec<String> {
    let mut sentences: Vec<String> = facts.iter().map(|fact| fact.statement(source)).collect();
    for _ in 0..source.number(0, 2) {
        if source.percent(40) {
            let place = source.index(sentences.len() + 1);
            sentences.insert(place, filler(source));
        }
    }
    sentences
}

/// A question about the passage.
struct Turn {
    question: String,
    answer: String,
    /// What the answer has to say, when the passage tells it.
    value: Option<String>,
}

/// Questions about the passage, no fact asked for twice, because the second time the answer stands right before it. So many
/// percent of them are answered nowhere in it.
fn turns(source: &mut Source, facts: &[Fact], count: usize, unknown: u64) -> Vec<Turn> {
    let mut untold = source.sample(facts, facts.len());
    let mut turns = Vec::new();
    while turns.len() < count {
        let (fact, told) = if source.percent(unknown) {
            (unanswerable(source, facts), false)
        } else if let Some(fact) = untold.pop() {
            (fact, true)
        } else {
            break;
        };
        turns.push(Turn {
            question: fact.question(source),
            answer: if told { fact.answer() } else { fact.unknown() },
            value: told.then_some(fact.value),
        });
    }
    turns
}

const INTRODUCTIONS: &[&str] = &[
    "Use the following text to answer.\n\n{}",
    "Answer from this context:\n{}",
    "You are a helpful assistant. Answer with the help of this text:\n\n{}",
    "Context:\n{}",
    "{}",
    "Here is what you know:\n{}\nAnswer the questions of the user.",
];

const PROMPTS: &[&str] = &[
    "Context: {}\n\nQuestion: {}",
    "{}\n\n{}",
    "{} {}",
    "Read this text and answer the question.\n\n{}\n\nQuestion: {}",
    "Context:\n{}\n\nQuestion: {}\nAnswer:",
    "Text: {}\n{}",
    "{1}\n\n{0}",
    "Here is a note: {}\n{}",
];

/// A conversation about a passage with at most this many questions, most of which it answers.
pub(crate) fn answer(source: &mut Source, turns: usize, unknown: u64) -> Example {
    let most = if source.percent(8) { 24 } else { 7 };
    let count = source.number(1, most) as usize;
    answer_from(source, count, turns, unknown)
}

pub(crate) fn answer_from(source: &mut Source, count: usize, most_turns: usize, unknown: u64) -> Example {
    let facts = facts(source, count);
    let sentences = passage(source, &facts);
    let place = source.pick(PLACES);
    let (tool, argument) = tools::search_tool(source);
    let offered = place == Place::ToolResult && source.percent(75);
    // With the tool on offer, the next question would be one more search.
    let most_turns = if offered { 1 } else { most_turns };
    let mut messages = Vec::new();
    let mut value = None;
    for turn in turns(source, &facts, most_turns, unknown) {
        if messages.is_empty() {
            messages = match place {
                Place::Instructions => {
                    let text = layout(source, &sentences);
                    vec![
                        Message::System(source.fill(INTRODUCTIONS, &[&text])),
                        Message::User(turn.question),
                    ]
                }
                Place::Request => {
                    let text = layout(source, &sentences);
                    vec![Message::User(source.fill(PROMPTS, &[&text, &turn.question]))]
                }
                Place::ToolResult => searched(source, &tools::name(&tool), argument, &turn.question, &sentences),
            };
        } else {
            messages.push(Message::User(turn.question));
        }
        messages.push(Message::Assistant(turn.answer));
        value = turn.value;
    }
    let (task, said) = match value {
        Some(value) => (Task::Passage, value),
        None => (Task::NotInPassage, "I do not know".to_owned()),
    };
    Example {
        task,
        conversation: Conversation {
            tools: if offered { vec![tool] } else { Vec::new() },
            messages,
        },
        expected: Expected::Says(said),
    }
}

/// Where the passage stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Instructions,
    Request,
    ToolResult,
}

const PLACES: &[Place] = &[Place::Instructions, Place::Request, Place::Request, Place::ToolResult];

/// A question, the search for it, and what was found.
fn searched(source: &mut Source, tool: &str, argument: &str, question: &str, sentences: &[String]) -> Vec<Message> {
    let mut messages = Vec::new();
    if source.percent(50) {
        messages.push(Message::System("You are a helpful assistant.".to_owned()));
    }
    messages.extend([
        Message::User(question.to_owned()),
        Message::Call {
            name: tool.to_owned(),
            arguments: format!("{{\"{argument}\": {}}}", serde_json::Value::from(question)),
        },
        Message::Tool(found(source, tool, question, sentences)),
    ]);
    messages
}

/// Sentences as one paragraph, as lines, or as numbered pieces.
fn layout(source: &mut Source, sentences: &[String]) -> String {
    match source.number(0, 5) {
        0 => sentences.join("\n"),
        1 => {
            let lines: Vec<String> = sentences.iter().map(|sentence| format!("- {sentence}")).collect();
            lines.join("\n")
        }
        2 => {
            let size = source.number(1, 3) as usize;
            let chunks: Vec<String> = sentences
                .chunks(size)
                .enumerate()
                .map(|(index, chunk)| format!("[{}] {}", index + 1, chunk.join(" ")))
                .collect();
            chunks.join("\n")
        }
        _ => sentences.join(" "),
    }
}

/// What a search tool answers.
fn found(source: &mut Source, name: &str, question: &str, sentences: &[String]) -> String {
    let size = source.number(1, 4) as usize;
    let chunks: Vec<String> = sentences.chunks(size).map(|chunk| chunk.join(" ")).collect();
    match source.number(0, 3) {
        0 => {
            let results: Vec<String> = chunks
                .iter()
                .enumerate()
                .map(|(index, chunk)| format!("Result {}\nContent: {chunk}\n", index + 1))
                .collect();
            let mut text = format!(
                "{name} tool found {} chunks:\nBEGIN of {name} tool results.\n{}END of {name} tool results.",
                chunks.len(),
                results.concat()
            );
            if source.percent(60) {
                text += &format!(
                    "\nThe above results were retrieved to help answer the user's query: \"{question}\". Use them as supporting information only in answering this query."
                );
            }
            text
        }
        1 => {
            let results: Vec<serde_json::Value> =
                chunks.iter().map(|chunk| serde_json::json!({"text": chunk})).collect();
            super::conversation::spaced(&serde_json::json!({"results": results}))
        }
        2 => layout(source, sentences),
        _ => sentences.join(" "),
    }
}
