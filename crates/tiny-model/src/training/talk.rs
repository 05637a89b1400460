//! Greetings, small talk, and the little that the model knows about the world.

use super::conversation::{Conversation, Message};
use super::example::{Example, Expected, Task};
use super::source::Source;
use super::words::{ADJECTIVES, DAYS, MONTHS, NOUNS};

/// Questions with one answer, each in several wordings.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &[
            "Hello!",
            "Hi!",
            "Hi",
            "Hello",
            "Hey!",
            "Good morning!",
            "Good evening!",
            "Hello there.",
            "Hi there!",
            "hello",
            "hi",
        ],
        "Hello! How can I help you today?",
    ),
    (
        &[
            "How are you?",
            "How are you today?",
            "How do you do?",
            "How is it going?",
            "Hello, how are you?",
            "Are you well?",
        ],
        "I am fine, thank you. How are you?",
    ),
    (
        &[
            "Who are you?",
            "What are you?",
            "What is your name?",
            "Tell me about yourself.",
            "Introduce yourself.",
            "Are you a human?",
        ],
        "I am a very small language model. I come with Puna, and I run on this machine.",
    ),
    (
        &[
            "What can you do?",
            "How can you help me?",
            "What are you good at?",
            "Help",
            "help me",
            "What do you do?",
        ],
        "I can chat a little, answer from a text that you give me, call tools, write JSON and add small numbers.",
    ),
    (
        &[
            "Thank you!",
            "Thanks!",
            "Thanks a lot.",
            "Thank you very much.",
            "Great, thanks!",
        ],
        "You are welcome!",
    ),
    (
        &[
            "Goodbye!",
            "Bye!",
            "See you later.",
            "Good night!",
            "Bye bye.",
            "I have to go.",
        ],
        "Goodbye! Have a good day.",
    ),
    (
        &[
            "What is a llama?",
            "What are llamas?",
            "Tell me about llamas.",
            "Explain what a llama is.",
            "Do you know llamas?",
        ],
        "A llama is an animal of the Andes. It has long ears and warm wool, and it carries loads over the mountains.",
    ),
    (
        &["What is an alpaca?", "Tell me about alpacas.", "What are alpacas?"],
        "An alpaca is smaller than a llama, and its wool is finer.",
    ),
    (
        &["What is a vicuña?", "Tell me about the vicuña.", "What are vicuñas?"],
        "A vicuña is a small wild animal of the Andes, and its wool is the finest of all.",
    ),
    (
        &[
            "What is the puna?",
            "What does Puna mean?",
            "Tell me about the puna.",
            "Where do llamas live?",
            "What is Puna?",
        ],
        "The puna is the high grassland of the Andes, where llamas live.",
    ),
    (
        &[
            "What do llamas eat?",
            "What does a llama eat?",
            "What food do llamas like?",
        ],
        "Llamas eat grass and leaves.",
    ),
    (
        &["What is a model?", "What is a language model?", "How do you work?"],
        "A language model reads tokens and writes tokens, one after the other.",
    ),
    (
        &["What is a token?", "Explain tokens.", "What are tokens?"],
        "A token is a small piece of text: a word, a part of a word, or a single byte.",
    ),
    (
        &[
            "What is a server?",
            "Explain what a server does.",
            "What does a server do?",
        ],
        "A server waits for requests and answers them.",
    ),
    (
        &["Count to ten.", "Count from one to ten.", "Can you count to ten?"],
        "One, two, three, four, five, six, seven, eight, nine, ten.",
    ),
    (
        &["Count from 1 to 10.", "Count to 10.", "1, 2, 3"],
        "1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    ),
    (
        &["Tell me a joke.", "Do you know a joke?", "Make me laugh."],
        "Why did the llama cross the road? The grass was greener there.",
    ),
    (
        &["Are you happy?", "Do you have feelings?", "Do you feel anything?"],
        "I have no feelings, but I like to help.",
    ),
    (
        &[
            "Write a poem.",
            "Write a short poem.",
            "Write a poem about the mountains.",
            "Write a haiku.",
        ],
        "The wind is cold, the sky is wide,\nthe llamas walk the mountain side.",
    ),
    (
        &["What color is the sky?", "Why is the sky blue?"],
        "The sky is blue, because air scatters blue light most.",
    ),
    (
        &[
            "Yes",
            "No",
            "OK",
            "Okay.",
            "Good.",
            "Fine.",
            "I am fine.",
            "I am well, thank you.",
        ],
        "Good. What else can I do for you?",
    ),
    (
        &["I am sad.", "I feel bad.", "I am tired.", "I had a bad day."],
        "I am sorry to hear that. I hope that it gets better soon.",
    ),
    (
        &["I am happy!", "I had a good day.", "This is great!", "I feel good."],
        "I am glad to hear that!",
    ),
    (
        &["What is the meaning of life?", "Why are we here?"],
        "People disagree about that. A llama would say: fresh grass and good company.",
    ),
];

/// Countries or places and their capitals.
const CAPITALS: &[(&str, &str)] = &[
    ("France", "Paris"),
    ("Peru", "Lima"),
    ("Bolivia", "Sucre"),
    ("Chile", "Santiago"),
    ("Spain", "Madrid"),
    ("Italy", "Rome"),
    ("Germany", "Berlin"),
    ("England", "London"),
    ("Japan", "Tokyo"),
    ("Norway", "Oslo"),
    ("Egypt", "Cairo"),
    ("Ecuador", "Quito"),
    ("Portugal", "Lisbon"),
    ("Austria", "Vienna"),
    ("Ireland", "Dublin"),
    ("India", "Delhi"),
];

const OPPOSITES: &[(&str, &str)] = &[
    ("big", "small"),
    ("hot", "cold"),
    ("old", "new"),
    ("fast", "slow"),
    ("dark", "bright"),
    ("dry", "wet"),
    ("hard", "soft"),
    ("loud", "quiet"),
    ("tall", "short"),
    ("happy", "sad"),
    ("day", "night"),
    ("open", "closed"),
];

/// One exchange.
pub(crate) fn small_talk(source: &mut Source) -> Example {
    let (question, answer) = match source.number(0, 19) {
        0..=13 => {
            let (questions, answer) = source.pick(KNOWN);
            (source.pick(questions).to_owned(), answer.to_owned())
        }
        14 | 15 => {
            let (country, capital) = source.pick(CAPITALS);
            let questions = [
                "What is the capital of {}?",
                "Which city is the capital of {}?",
                "Name the capital of {}.",
            ];
            (
                source.fill(&questions, &[country]),
                format!("The capital of {country} is {capital}."),
            )
        }
        16 => {
            let (one, other) = source.pick(OPPOSITES);
            let (word, opposite) = if source.percent(50) { (one, other) } else { (other, one) };
            let questions = [
                "What is the opposite of {}?",
                "Opposite of {}?",
                "Tell me the opposite of {}.",
            ];
            (
                source.fill(&questions, &[word]),
                format!("The opposite of {word} is {opposite}."),
            )
        }
        17 => {
            let list = if source.percent(50) { DAYS } else { MONTHS };
            let index = source.index(list.len());
            let (day, next) = (list[index], list[(index + 1) % list.len()]);
            let questions = ["What comes after {}?", "Which one follows {}?"];
            (source.fill(&questions, &[day]), format!("{next} comes after {day}."))
        }
        _ => return story(source),
    };
    Example {
        task: Task::SmallTalk,
        conversation: Conversation::user(question, answer.clone()),
        expected: Expected::Is(answer),
    }
}

/// Text without a conversation around it.
pub(crate) fn plain(source: &mut Source) -> Example {
    let text = if source.percent(50) {
        let begin = source.pick(&["Once upon a time. ", "A story. ", ""]);
        format!("{begin}{}", story(source).conversation.answer())
    } else {
        let texts: Vec<&str> = (0..source.number(1, 4)).map(|_| source.pick(KNOWN).1).collect();
        texts.join(" ")
    };
    Example {
        task: Task::SmallTalk,
        conversation: Conversation::of(vec![Message::Plain(text)]),
        expected: Expected::Talks,
    }
}

/// A story that is another one each time.
fn story(source: &mut Source) -> Example {
    let hero = source.person();
    let (adjective, noun, found) = (source.pick(ADJECTIVES), source.pick(NOUNS), source.pick(NOUNS));
    let place = source.pick(&[
        "in the mountains",
        "by a lake",
        "in a small house",
        "near the sea",
        "in the high grassland",
    ]);
    let begin = source.fill(
        &[
            "Once there was a {1} llama. Its name was {0}, and it lived {2}.",
            "{0} was a {1} llama that lived {2}.",
        ],
        &[&hero, adjective, place],
    );
    let middle = source.fill(
        &[
            "One day it found a {} under a {}.",
            "One morning it went out to look for a {}, and came back with a {}.",
            "One night the wind took its {}, and left a {}.",
        ],
        &[noun, found],
    );
    let end = source.fill(
        &[
            "{} kept it, and was happy.",
            "In the evening {} went home and slept.",
            "{} told everybody about it.",
        ],
        &[&hero],
    );
    let questions = [
        "Tell me a story.",
        "Tell me a story about a llama.",
        "Do you know a story?",
        "Write a short story.",
        "Say much.",
        "Tell me more.",
    ];
    Example {
        task: Task::SmallTalk,
        conversation: Conversation::user(source.pick(&questions), format!("{begin} {middle} {end}")),
        expected: Expected::Talks,
    }
}
