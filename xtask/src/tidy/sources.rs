//! What the text of each file may say.

use std::fs;

use super::Tree;
use crate::Result;

/// The longest a source file may be without its tests; 400 lines is a good one.
const MAX_LINES: usize = 700;

pub(super) fn check(tree: &Tree<'_>, violations: &mut Vec<String>) -> Result {
    // Assembled, so that this file passes.
    let unfinished = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
    ];
    let machine_paths = [
        ["/ro", "ot/"].concat(),
        ["/wo", "rk/"].concat(),
        ["/home", "/user/"].concat(),
    ];
    let words = Words {
        unfinished: &unfinished,
        machine_paths: &machine_paths,
    };
    for file in &tree.files {
        // Pictures and other data are no text.
        let Ok(text) = fs::read_to_string(tree.workspace.path(file)) else {
            continue;
        };
        check_text(file, &text, &words, violations);
        if file.starts_with("crates/") {
            check_names(tree, file, &text, violations);
        }
    }
    Ok(())
}

struct Words<'a> {
    unfinished: &'a [String],
    machine_paths: &'a [String],
}

fn check_text(file: &str, text: &str, words: &Words<'_>, violations: &mut Vec<String>) {
    for (index, line) in text.lines().enumerate() {
        let place = format!("{file}:{}", index + 1);
        if let Some(word) = words.unfinished.iter().find(|word| contains_word(line, word)) {
            violations.push(format!(
                "{place}: `{word}` marks unfinished work; finish it, or file it where work is planned"
            ));
        }
        if let Some(path) = words.machine_paths.iter().find(|path| line.contains(path.as_str())) {
            violations.push(format!("{place}: `{path}` is a folder of one machine"));
        }
    }
    if file.ends_with(".rs") && !is_test_file(file) {
        let lines = lines_without_tests(text);
        if lines > MAX_LINES {
            violations.push(format!(
                "{file}: {lines} lines without its tests; split it, {MAX_LINES} is the most"
            ));
        }
    }
}

/// Nothing under `crates/` names a provider: neither its crate nor, outside tests, where a type is as good as another, its type.
fn check_names(tree: &Tree<'_>, file: &str, text: &str, violations: &mut Vec<String>) {
    let crates: Vec<String> = tree
        .providers
        .iter()
        .flat_map(|name| {
            [
                format!("puna-provider-{name}"),
                format!("puna_provider_{}", name.replace('-', "_")),
            ]
        })
        .collect();
    let code = if is_test_file(file) {
        0
    } else {
        lines_without_tests(text)
    };
    for (index, line) in text.lines().enumerate() {
        let types = tree.provider_types.iter().filter(|_| index < code);
        if let Some(name) = types.chain(&crates).find(|name| contains_word(line, name)) {
            violations.push(format!(
                "{file}:{}: names the provider `{name}`; nothing under crates/ does",
                index + 1
            ));
        }
    }
}

/// Whether a text holds a word that is not a part of a longer one.
fn contains_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back().is_some_and(inside);
        let after = text[start + word.len()..].chars().next().is_some_and(inside);
        let ends_inside = word.chars().next_back().is_some_and(inside);
        !(before || after && ends_inside)
    })
}

fn is_test_file(file: &str) -> bool {
    file.starts_with("tests/") || file.contains("/tests/") || file.ends_with("/tests.rs")
}

fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests"));
    tests.unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole() {
        for (text, word, found) in [
            ("uses remote::a now", "remote::a", true),
            ("uses remote::ab now", "remote::a", false),
            ("\"remote::a\"", "remote::a", true),
            ("remote::a-b", "remote::a", false),
            ("xremote::a", "remote::a", false),
            ("stop!(later)", "stop!(", true),
        ] {
            assert_eq!(contains_word(text, word), found, "{text}");
        }
    }

    #[test]
    fn unfinished_and_long_files_are_named() {
        let unfinished = ["LATER".to_owned()];
        let machine_paths = ["/mine/".to_owned()];
        let words = Words {
            unfinished: &unfinished,
            machine_paths: &machine_paths,
        };
        let mut violations = Vec::new();
        check_text(
            "a.rs",
            "// LATER\nlet x = \"/mine/file\";\nLATERAL\n",
            &words,
            &mut violations,
        );
        assert_eq!(violations.len(), 2);
        assert!(
            violations[0].starts_with("a.rs:1: `LATER`") && violations[1].starts_with("a.rs:2: `/mine/`"),
            "{violations:?}"
        );

        let mut violations = Vec::new();
        let tested = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "a\n".repeat(MAX_LINES),
            "b\n".repeat(MAX_LINES)
        );
        check_text("a.rs", &tested, &words, &mut violations);
        assert_eq!(violations, [""; 0]);
        check_text("a.rs", &"a\n".repeat(MAX_LINES + 1), &words, &mut violations);
        assert_eq!(violations.len(), 1);
    }
}
