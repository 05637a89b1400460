//! Searches by words.

use puna_api::{ChunkQuery, SearchChunks, SearchMode};

use super::found::{ids, in_order, scores};
use super::material::chunk;
use super::subject::{Subject, search};
use super::trial::{Need, Trial, trial};
use crate::conformance::outcome::{Verdict, ensure, ensure_eq};

pub(super) fn trials() -> Vec<Trial> {
    const KEYWORD: Need = Need::Mode(SearchMode::Keyword);
    vec![
        trial!("keyword", finds_chunks_with_the_words, KEYWORD),
        trial!("keyword", more_and_rarer_words_count_more, KEYWORD),
        trial!("keyword", words_of_every_language_are_found, KEYWORD),
        trial!("keyword", no_character_is_an_operator, KEYWORD),
        trial!("keyword", without_words_nothing_is_found, KEYWORD),
        trial!("keyword", words_that_all_chunks_have_are_found, KEYWORD),
        trial!("keyword", equal_scores_come_by_their_ids, KEYWORD),
        trial!("keyword", a_threshold_keeps_lower_scores_out, KEYWORD),
        trial!("keyword", a_long_text_is_words_too, KEYWORD),
    ]
}

async fn filled(subject: &Subject, texts: &[(&str, &str)]) -> Verdict {
    let chunks: Vec<_> = texts.iter().map(|(id, text)| chunk(id, &[1.0, 2.0], text)).collect();
    subject.filled(subject.any_metric()?, &chunks).await
}

fn keyword(text: &str) -> ChunkQuery {
    ChunkQuery::Keyword(text.to_owned())
}

async fn finds_chunks_with_the_words(subject: Subject) -> Verdict {
    filled(
        &subject,
        &[
            ("llamas", "Llamas live in the high grassland."),
            ("vicunas", "Vicunas, wild relatives, live there too."),
            ("ships", "Ships sail the sea"),
        ],
    )
    .await?;
    for (text, expected) in [
        ("grassland", ["llamas"].as_slice()),
        ("GRASSLAND", &["llamas"]),
        ("llamas", &["llamas"]),
        ("live", &["llamas", "vicunas"]),
        ("wild ships", &["ships", "vicunas"]),
        ("aircraft", &[]),
        ("grass", &[]),
    ] {
        let found = subject.find(keyword(text), 10).await?;
        in_order(&found)?;
        let mut found_ids = ids(&found);
        found_ids.sort_unstable();
        ensure_eq!(found_ids, expected, "what `{text}` finds");
        ensure!(
            found.iter().all(|found| found.score > 0.0),
            "scores: {:?}",
            scores(&found)
        );
    }
    let best = subject.find(keyword("live in the high grassland"), 1).await?;
    ensure_eq!(ids(&best), ["llamas"], "the best");
    Ok(())
}

async fn more_and_rarer_words_count_more(subject: Subject) -> Verdict {
    filled(
        &subject,
        &[
            ("both", "common rare filler"),
            ("rare", "other rare filler"),
            ("common", "common other filler"),
            ("x1", "common a b"),
            ("x2", "common c d"),
            ("x3", "common e f"),
            ("twice", "common common f"),
        ],
    )
    .await?;
    let found = subject.find(keyword("common rare"), 10).await?;
    ensure_eq!(ids(&found)[..2], ["both", "rare"], "the order");
    let found = subject.find(keyword("common"), 1).await?;
    ensure_eq!(ids(&found), ["twice"], "the chunk with more of it");
    Ok(())
}

async fn words_of_every_language_are_found(subject: Subject) -> Verdict {
    filled(
        &subject,
        &[
            ("de", "Die Größe der Übung"),
            ("ru", "высокогорная степь"),
            ("el", "Η στέπα είναι ψηλή"),
            ("zh", "羊驼生活在高原上"),
            ("ja", "リャマは高地に住んでいる"),
            ("ko", "라마는 고원에 산다"),
            ("ar", "تعيش اللاما في المرتفعات"),
            ("hi", "लामा पठार में रहते हैं"),
            ("th", "ลามาอาศัยอยู่บนที่ราบสูง"),
            ("code", "fn main() { let snake_case = 0x1F; }"),
            ("numbers", "42 of 3.14 in 2024-07-05"),
        ],
    )
    .await?;
    for (text, expected) in [
        ("größe", "de"),
        ("ÜBUNG", "de"),
        ("Степь", "ru"),
        ("ψηλή", "el"),
        ("羊驼", "zh"),
        ("高原", "zh"),
        ("リャマ", "ja"),
        ("고원에", "ko"),
        ("اللاما", "ar"),
        ("पठार", "hi"),
        ("ราบสูง", "th"),
        ("snake_case", "code"),
        ("0x1f", "code"),
        ("42", "numbers"),
        ("2024", "numbers"),
        ("3.14", "numbers"),
    ] {
        let found = subject.find(keyword(text), 1).await?;
        ensure_eq!(ids(&found), [expected], "what `{text}` finds");
    }
    Ok(())
}

async fn no_character_is_an_operator(subject: Subject) -> Verdict {
    let odd = "NEAR AND OR NOT near and or not";
    filled(&subject, &[("words", "needle in a haystack"), ("odd", odd)]).await?;
    for text in [
        "\"needle",
        "needle\"",
        "\"needle\" \"",
        "needle*",
        "*needle",
        "needle AND",
        "needle OR",
        "NOT needle",
        "needle NEAR/2 nothing",
        "NEAR(needle nothing)",
        "text:needle",
        "{text}: needle",
        "-needle",
        "+needle",
        "^needle",
        "(needle",
        "needle)))",
        "needle'; DROP TABLE words; --",
        "needle\\",
        "needle~2",
        "needle^4",
        "needle && nothing || !",
        "[needle TO z]",
        "needle\0nothing",
        "\u{feff}needle\u{202e}",
        "/needle/",
        "%needle%",
        "$needle @needle #needle",
        "needle:* & nothing | !x <-> y",
    ] {
        let found = subject.find(keyword(text), 10).await?;
        ensure!(ids(&found).contains(&"words"), "{text:?} finds {:?}", ids(&found));
    }
    for word in ["and", "OR", "not", "near"] {
        let found = subject.find(keyword(word), 10).await?;
        ensure_eq!(ids(&found), ["odd"], "what the word `{word}` finds");
    }
    Ok(())
}

async fn without_words_nothing_is_found(subject: Subject) -> Verdict {
    filled(&subject, &[("a", "words"), ("b", ""), ("c", "!!! ???")]).await?;
    for text in ["", "   ", "\n", "!!!", "\"\"", "*", "()", "🦙", "\0"] {
        let found = subject.find(keyword(text), 10).await?;
        ensure_eq!(ids(&found), Vec::<&str>::new(), "what {text:?} finds");
    }
    Ok(())
}

async fn words_that_all_chunks_have_are_found(subject: Subject) -> Verdict {
    let chunks: Vec<_> = (0..40)
        .map(|number| chunk(&format!("n{number:02}"), &[1.0, 2.0], "the same for all"))
        .collect();
    subject.filled(subject.any_metric()?, &chunks).await?;
    let found = subject.find(keyword("the"), 100).await?;
    ensure_eq!(found.len(), 40, "the number of chunks");
    ensure!(
        found.iter().all(|found| found.score > 0.0),
        "scores: {:?}",
        scores(&found)
    );
    Ok(())
}

async fn equal_scores_come_by_their_ids(subject: Subject) -> Verdict {
    let mut names: Vec<String> = (0..200).map(|number| format!("n{number:03}")).collect();
    fastrand::Rng::with_seed(11).shuffle(&mut names);
    let chunks: Vec<_> = names
        .iter()
        .map(|name| chunk(name, &[1.0, 2.0], "same words"))
        .collect();
    subject.filled(subject.any_metric()?, &chunks).await?;
    names.sort_unstable();
    for limit in [1, 10, 150, 200] {
        let found = subject.find(keyword("same"), limit).await?;
        ensure_eq!(ids(&found), names[..limit], "the best {limit}");
    }
    Ok(())
}

async fn a_threshold_keeps_lower_scores_out(subject: Subject) -> Verdict {
    let texts = [
        ("a", "one two three"),
        ("b", "one two"),
        ("c", "one"),
        ("d", "none"),
        ("e", "nothing"),
    ];
    filled(&subject, &texts).await?;
    let all = scores(&subject.find(keyword("one two three"), 10).await?);
    ensure_eq!(all.len(), 3, "the number of chunks");
    let request = SearchChunks {
        score_threshold: Some(all[1].1),
        ..search(keyword("one two three"), 10)
    };
    ensure_eq!(
        scores(&subject.search(request).await?),
        all[..2],
        "what is at least the second"
    );
    Ok(())
}

async fn a_long_text_is_words_too(subject: Subject) -> Verdict {
    filled(&subject, &[("a", "needle"), ("b", "hay")]).await?;
    let mut text: String = (0..5_000).map(|number| format!("unknown{number} ")).collect();
    text.push_str("needle");
    let found = subject.find(keyword(&text), 10).await?;
    ensure_eq!(ids(&found), ["a"], "what it finds");
    Ok(())
}
