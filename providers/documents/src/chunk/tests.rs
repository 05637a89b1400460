use proptest::prelude::{Strategy, prop, prop_oneof, proptest};
use proptest::{prop_assert, prop_assert_eq};

use super::*;
use crate::document::Form;
use crate::structure::Strength;

fn cut(text: &str, form: Form, most: usize, overlap: usize) -> Vec<Span> {
    let structure = Structure::of(text, form, &[], Strength::PAGE);
    split(text, &structure, Bounds { most, overlap })
}

fn texts<'a>(text: &'a str, spans: &[Span]) -> Vec<&'a str> {
    spans.iter().map(|span| &text[span.place.clone()]).collect()
}

#[test]
fn a_section_is_kept_together_where_it_fits() {
    let section = |name: &str| format!("# {name}\n\n{}\n\n", "Some words of it. ".repeat(14).trim_end());
    let text = ["one", "two", "three"].map(section).concat();
    let chunks = cut(&text, Form::Markdown, 100, 0);
    let found: Vec<&str> = texts(&text, &chunks)
        .iter()
        .map(|chunk| chunk.lines().next().unwrap())
        .collect();
    assert_eq!(found, ["# one", "# two", "# three"]);
}

#[test]
fn paragraphs_then_sentences_then_words_are_kept() {
    let paragraph = "One sentence of some words. ".repeat(12);
    let text = format!("{p}\n\n{p}\n\n{p}", p = paragraph.trim_end());
    for chunk in texts(&text, &cut(&text, Form::Plain, 110, 0)) {
        assert_eq!(chunk, paragraph.trim_end());
    }
    let text = "One sentence of some words. ".repeat(100);
    for chunk in texts(&text, &cut(&text, Form::Plain, 100, 0)) {
        assert!(chunk.starts_with("One") && chunk.ends_with("words."), "{chunk}");
    }
    let text = "llama ".repeat(1000);
    for chunk in texts(&text, &cut(&text, Form::Plain, 100, 0)) {
        assert!(chunk.split(' ').all(|word| word == "llama"), "{chunk}");
    }
}

#[test]
fn an_overlap_begins_with_a_sentence() {
    let text: String = (0..200)
        .map(|number| format!("Sentence {number} has some words. "))
        .collect();
    let chunks = cut(&text, Form::Plain, 100, 40);
    assert!(chunks.len() > 10);
    for pair in chunks.windows(2) {
        assert!(pair[1].place.start < pair[0].place.end, "{pair:?}");
        assert!(text[pair[1].place.clone()].starts_with("Sentence "), "{pair:?}");
    }
}

#[test]
fn what_is_no_longer_than_a_chunk_is_one() {
    assert_eq!(
        texts("\n\n  one\n\ntwo \n", &cut("\n\n  one\n\ntwo \n", Form::Plain, 100, 50)),
        ["  one\n\ntwo"]
    );
    assert!(cut(" \n ", Form::Plain, 100, 50).is_empty());
    assert!(cut("", Form::Plain, 100, 50).is_empty());
}

/// Texts with what is hard to cut: characters of several code points, runs without a space, white space, lines, headings.
fn hard_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z]{1,12} ",
        2 => "[a-zA-Z]{1,8}[.!?] ",
        1 => prop_oneof!["\n", "\n\n", "\r\n", "   ", "\t", "\u{a0}", "\u{2028}"],
        1 => prop_oneof!["# [a-z]{1,9}\n\n", "- [a-z]{1,9}\n", "```\n", "| a | b |\n"],
        1 => prop_oneof![
            "(👩‍👩‍👧‍👦){1,9}",
            "(🇵🇪){1,20}",
            "(e\u{301}\u{323}){1,30}",
            "[\u{4e00}-\u{4fff}]{1,60}",
            "(한국){1,20}",
            "a(\u{301}){100,200}",
        ],
        1 => "[a-z0-9/+]{100,900}",
        1 => "[{}\\[\\],:\"\\\\]{1,40}",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn forms() -> impl Strategy<Value = Form> {
    prop_oneof![
        proptest::strategy::Just(Form::Plain),
        proptest::strategy::Just(Form::Markdown),
        proptest::strategy::Just(Form::Code),
        proptest::strategy::Just(Form::Json),
        proptest::strategy::Just(Form::Records),
    ]
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn chunks_hold_to_their_bounds_whatever_the_text(
        text in hard_text(),
        form in forms(),
        most in 100_usize..300,
        share in 0_usize..100,
    ) {
        let overlap = (most - 1) * share / 99;
        let chunks = cut(&text, form, most, overlap);
        let mut covered = 0;
        let mut last_start = None;
        for chunk in &chunks {
            let place = chunk.place.clone();
            let words = &text[place.clone()];
            prop_assert!(chunk.tokens <= most && chunk.tokens > 0);
            prop_assert_eq!(chunk.tokens, tokens::count(words));
            prop_assert!(place.end > covered, "nothing new in {:?}", chunk);
            prop_assert!(last_start.is_none_or(|last| place.start > last));
            prop_assert!(text[covered.min(place.start)..place.start].trim().is_empty());
            prop_assert!(!words.trim_end().is_empty() && words.trim_end().len() == words.len());
            if place.start < covered {
                prop_assert!(tokens::count(&text[place.start..covered]) <= overlap);
            }
            last_start = Some(place.start);
            covered = place.end;
        }
        prop_assert!(text[covered..].trim().is_empty(), "left out: {:?}", &text[covered..]);
    }

    #[test]
    fn characters_as_readers_see_them_stay_whole(
        words in prop::collection::vec(prop_oneof!["(👩‍👩‍👧‍👦){1,30}", "(🇵🇪){1,60}", "(e\u{301}\u{323}){1,90}", "(각){1,60}"], 1..30),
        overlap in 0_usize..50,
    ) {
        let text = words.concat();
        let boundaries: Vec<usize> = text.grapheme_indices(true).map(|(place, _)| place).chain([text.len()]).collect();
        for chunk in cut(&text, Form::Plain, 100, overlap) {
            prop_assert!(boundaries.binary_search(&chunk.place.start).is_ok(), "{:?}", chunk);
            prop_assert!(boundaries.binary_search(&chunk.place.end).is_ok(), "{:?}", chunk);
        }
    }
}

#[test]
fn a_text_without_a_space_is_cut_in_little_time() {
    for text in ["x".repeat(1 << 20), " ".repeat(1 << 20) + "x", "🇵🇪".repeat(1 << 14)] {
        let chunks = cut(&text, Form::Plain, 800, 400);
        assert_eq!(chunks.last().map(|chunk| chunk.place.end), Some(text.len()));
    }
}
