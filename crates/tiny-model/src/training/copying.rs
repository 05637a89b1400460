//! Saying again what was said: the root of all that the model can do with a prompt.

use super::conversation::{Conversation, Message};
use super::example::{Example, Expected, Task};
use super::passage::UNKNOWN;
use super::source::{Source, capitalized};
use super::words::{COLOURS, NOUNS};

const REQUESTS: &[&str] = &[
    "Repeat: {}",
    "Repeat after me: {}",
    "Say: {}",
    "Say \"{}\"",
    "Repeat this text: {}",
    "Please repeat: {}",
    "Write this again: {}",
    "Copy this: {}",
    "Echo: {}",
    "Say exactly this: {}",
    "Repeat the following text.\n\n{}",
    "Just say {}",
];

/// One or several requests to say something again.
pub(crate) fn repeat(source: &mut Source, turns: usize) -> Example {
    let mut messages = Vec::new();
    let mut last = String::new();
    for _ in 0..turns {
        let text = match source.number(0, 5) {
            0 => source.code(),
            1 => sentence(source),
            _ => source.tokens(1, 10),
        };
        messages.push(Message::User(source.fill(REQUESTS, &[&text])));
        messages.push(Message::Assistant(text.clone()));
        last = text;
    }
    Example {
        task: Task::Repeat,
        conversation: Conversation::of(messages),
        expected: Expected::Is(last),
    }
}

fn sentence(source: &mut Source) -> String {
    let (name, city, noun) = (source.person(), source.city(), source.pick(NOUNS));
    source.fill(
        &[
            "{} went to {} with a {}.",
            "{} of {} has lost the {}.",
            "Hello {}, welcome to {}! Here is your {}.",
            "{0} saw a {2} in {1}.",
        ],
        &[&name, &city, noun],
    )
}

/// Keys and values, and questions for them: the densest exercise in looking things up. So many percent ask for a key that is not
/// there.
pub(crate) fn lookup(source: &mut Source, turns: usize, unknown: u64) -> Example {
    let count = source.number(2, 8) as usize;
    let mut pairs: Vec<(String, String)> = Vec::new();
    while pairs.len() < count {
        let key = absent(source, &pairs);
        pairs.push((key, source.tokens(1, 2)));
    }
    let (between, after) = source.pick(&[
        (": ", "\n"),
        (" is ", ". "),
        (" = ", ", "),
        (" -> ", "; "),
        (" means ", ".\n"),
    ]);
    let list: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}{between}{value}"))
        .collect();
    let list = list.join(after);
    let mut messages = Vec::new();
    let mut last = String::new();
    let in_system = source.percent(30);
    if in_system {
        messages.push(Message::System(list.clone()));
    }
    for turn in 0..turns {
        let (key, answer);
        (key, answer, last) = if source.percent(unknown) {
            let key = absent(source, &pairs);
            let answer = format!("{key}{between}{UNKNOWN}");
            (key, answer, UNKNOWN.to_owned())
        } else {
            let (key, value) = pairs[source.index(pairs.len())].clone();
            let answer = format!("{key}{between}{value}");
            (key, answer, value)
        };
        let question = source.fill(
            &["What is {}?", "{}?", "Tell me {}.", "What does {} mean?", "Give me {}."],
            &[&key],
        );
        messages.push(Message::User(if turn == 0 && !in_system {
            format!("{list}\n\n{question}")
        } else {
            question
        }));
        messages.push(Message::Assistant(answer));
    }
    Example {
        task: Task::Passage,
        conversation: Conversation::of(messages),
        expected: Expected::Says(last),
    }
}

/// A key of none of the pairs.
fn absent(source: &mut Source, pairs: &[(String, String)]) -> String {
    loop {
        let key = source.token();
        if pairs.iter().all(|(other, _)| *other != key) {
            return key;
        }
    }
}

/// What the user or the operator said earlier, asked for later.
pub(crate) fn memory(source: &mut Source) -> Example {
    let name = source.person();
    let city = source.city();
    let company = source.title();
    let colour = source.pick(COLOURS);
    let number = source.number(1, 999).to_string();
    let hello = source.pick(&["Hello!", "Hi!", "Good morning!", "Hey.", "Hi there."]);
    let mut messages = Vec::new();
    let expected = match source.number(0, 5) {
        0 => {
            messages.push(Message::User(format!(
                "{hello} {} {name}.",
                source.pick(&["My name is", "I am", "I'm", "This is", "Call me"])
            )));
            messages.push(Message::Assistant(format!("Hello, {name}! How can I help you today?")));
            messages.push(Message::User(
                source
                    .pick(&[
                        "What is my name?",
                        "Who am I?",
                        "Do you remember my name?",
                        "What's my name?",
                    ])
                    .to_owned(),
            ));
            messages.push(Message::Assistant(format!("Your name is {name}.")));
            name
        }
        1 => {
            let text = source.fill(
                &[
                    "You are {}, an assistant of {}.",
                    "Your name is {}. You work for {}.",
                    "You are {} of {}. Be friendly.",
                ],
                &[&name, &company],
            );
            messages.push(Message::System(text));
            messages.push(Message::User(
                source
                    .pick(&[
                        "Who are you?",
                        "What is your name?",
                        "Hello, who is there?",
                        "What's your name?",
                    ])
                    .to_owned(),
            ));
            messages.push(Message::Assistant(format!("I am {name}, the assistant of {company}.")));
            name
        }
        2 => {
            messages.push(Message::User(source.fill(
                &["I live in {}.", "I am from {}.", "My home is in {}.", "I moved to {}."],
                &[&city],
            )));
            messages.push(Message::Assistant(format!("{city} sounds like a nice place.")));
            messages.push(Message::User(
                source
                    .pick(&["Where do I live?", "Which city am I from?", "Where is my home?"])
                    .to_owned(),
            ));
            messages.push(Message::Assistant(format!("You live in {city}.")));
            city
        }
        3 => {
            messages.push(Message::User(source.fill(
                &[
                    "My favorite color is {}.",
                    "I like the color {} most.",
                    "I love the color {}.",
                ],
                &[colour],
            )));
            messages.push(Message::Assistant(format!("{} is a fine color.", capitalized(colour))));
            messages.push(Message::User(
                source
                    .pick(&["What is my favorite color?", "Which color do I like?"])
                    .to_owned(),
            ));
            messages.push(Message::Assistant(format!("Your favorite color is {colour}.")));
            colour.to_owned()
        }
        4 => {
            messages.push(Message::User(source.fill(
                &[
                    "Remember the number {}.",
                    "Please remember {}.",
                    "Keep the number {} in mind.",
                ],
                &[&number],
            )));
            messages.push(Message::Assistant(format!("I will remember {number}.")));
            messages.push(Message::User(
                source
                    .pick(&[
                        "Which number was it?",
                        "What was the number?",
                        "What did I ask you to remember?",
                    ])
                    .to_owned(),
            ));
            messages.push(Message::Assistant(format!("The number was {number}.")));
            number
        }
        _ => {
            messages.push(Message::User(format!(
                "{hello} {} {name}.",
                source.pick(&["My name is", "I am", "I'm", "This is"])
            )));
            messages.push(Message::Assistant(format!("Hello, {name}! How can I help you today?")));
            name
        }
    };
    Example {
        task: Task::Memory,
        conversation: Conversation::of(messages),
        expected: Expected::Says(expected),
    }
}
