use std::collections::{BTreeMap, HashSet};

use minijinja::value::Value as JinjaValue;
use minijinja::{Environment, context};
use serde_json::{Value, json};

use super::conversation::{Conversation, Message, Piece, spaced};
use super::source::{Source, fill, is_held_out};
use super::{Example, Expected, Split, Stage, Task, example, lesson};
use crate::TRAINED_LENGTH;
use crate::tokenizer::{CHAT_TEMPLATE, Vocabulary};
use crate::training::Encoder;

fn text(pieces: Vec<Piece>) -> String {
    let pieces = pieces.into_iter().map(|piece| match piece {
        Piece::Given(text) | Piece::Answer(text) => text,
        Piece::EndOfTurn => "<|eot_id|>".to_owned(),
        Piece::EndOfText => "<|end_of_text|>".to_owned(),
        Piece::Header(role) => format!("<|start_header_id|>{role}<|end_header_id|>\n\n"),
    });
    pieces.collect()
}

/// What the chat template makes of the conversation without its answer.
fn rendered(conversation: &Conversation) -> String {
    let mut environment = Environment::new();
    environment.set_lstrip_blocks(true);
    environment.set_trim_blocks(true);
    environment.add_filter("tojson", |value: JinjaValue| {
        JinjaValue::from_safe_string(spaced(&serde_json::to_value(value).unwrap()))
    });
    environment
        .render_str(
            CHAT_TEMPLATE,
            context! {
                bos_token => "<|begin_of_text|>",
                messages => JinjaValue::from_serialize(conversation.request_messages()),
                tools => JinjaValue::from_serialize(&conversation.tools),
                add_generation_prompt => true,
            },
        )
        .unwrap()
}

#[test]
fn conversations_are_laid_out_as_the_chat_template_does() {
    for task in Task::ALL {
        for seed in 0..25 {
            let conversation = example(task, Split::Training, seed).conversation;
            let mut pieces = conversation.without_answer().pieces();
            pieces.push(Piece::Header("assistant"));
            assert_eq!(
                format!("<|begin_of_text|>{}", text(pieces)),
                rendered(&conversation),
                "{task:?} {seed}"
            );
        }
    }
}

#[test]
fn equal_seeds_make_equal_examples() {
    for task in Task::ALL {
        assert_eq!(example(task, Split::HeldOut, 7), example(task, Split::HeldOut, 7));
        let several: HashSet<String> = (0..20)
            .map(|seed| text(example(task, Split::HeldOut, seed).conversation.pieces()))
            .collect();
        assert!(several.len() > 8, "{task:?}: {several:#?}");
    }
    assert_eq!(lesson(Stage::All, 3), lesson(Stage::All, 3));
}

#[test]
fn every_example_accepts_its_own_answer_and_no_other() {
    for task in Task::ALL {
        for seed in 0..100 {
            let Example {
                conversation, expected, ..
            } = example(task, Split::HeldOut, seed);
            let answer = conversation.answer();
            assert!(expected.accepts(&answer), "{expected:?}: {answer}");
            assert!(!expected.accepts(""), "{expected:?}");
            assert!(!expected.accepts("{\"name\": \"nobody\"}"), "{expected:?}");
        }
    }
    assert!(Expected::Says("12".to_owned()).accepts("It is 12."));
    assert!(!Expected::Says("12".to_owned()).accepts("It is 120."));
    assert!(Expected::Json(json!({"a": 1, "b": 2})).accepts("{\"b\": 2, \"a\": 1}"));
}

#[test]
fn made_up_words_belong_to_one_split() {
    for seed in 0..2_000 {
        for (split, held_out) in [(Split::Training, false), (Split::HeldOut, true)] {
            let mut source = Source::new(seed, split);
            for word in [source.invented(), source.code()] {
                assert_eq!(is_held_out(&word), held_out, "{word}");
            }
        }
    }
}

#[test]
fn no_held_out_prompt_is_in_the_training_text() {
    let prompt = |example: &Example| text(example.conversation.without_answer().pieces());
    let trained: HashSet<String> = (0..4_000).map(|seed| prompt(&lesson(Stage::All, seed))).collect();
    for task in [Task::Repeat, Task::Passage, Task::NotInPassage, Task::Json] {
        for seed in 0..200 {
            let held_out = prompt(&example(task, Split::HeldOut, seed));
            assert!(!trained.contains(&held_out), "{held_out}");
        }
    }
}

#[test]
fn what_is_asked_is_in_the_passage() {
    for seed in 0..300 {
        let Example {
            conversation, expected, ..
        } = example(Task::Passage, Split::HeldOut, seed);
        let Expected::Says(value) = expected else {
            panic!("a passage is asked for a value")
        };
        let given = text(conversation.without_answer().pieces());
        assert!(given.contains(&value), "{value}: {given}");
    }
}

#[test]
fn a_call_names_a_tool_on_offer_and_its_parameters() {
    for seed in 0..300 {
        let conversation = example(Task::ToolCall, Split::HeldOut, seed).conversation;
        let Some(Message::Call { name, arguments }) = conversation.messages.last() else {
            panic!("it ends with a call")
        };
        let tool = conversation
            .tools
            .iter()
            .find(|tool| tool["function"]["name"] == name.as_str())
            .unwrap();
        let arguments: BTreeMap<String, Value> = serde_json::from_str(arguments).unwrap();
        for key in arguments.keys() {
            assert!(
                tool["function"]["parameters"]["properties"][key].is_object(),
                "{key}: {tool}"
            );
        }
    }
}

#[test]
fn lessons_fit_into_the_sequences_of_training() {
    let mut encoder = Encoder::new(Vocabulary::load().bpe);
    let long = (0..1_000)
        .filter(|seed| encoder.prompt(&lesson(Stage::All, *seed).conversation).len() > TRAINED_LENGTH)
        .count();
    assert!(long < 20, "{long} of 1,000 are too long");
}

#[test]
fn templates_are_filled_in_order_and_by_number() {
    assert_eq!(fill("{} and {}", &["a", "b"]), "a and b");
    assert_eq!(fill("{1} and {0}", &["a", "b"]), "b and a");
    assert_eq!(fill("none", &["a"]), "none");
}
