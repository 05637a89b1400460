//! The structure of texts without marks: paragraphs, and the parts of programs.

use super::{Cut, Strength};

/// A paragraph begins behind an empty line.
pub(super) fn paragraphs(text: &str) -> Vec<Cut> {
    behind_empty_lines(text, |_| Strength::BLOCK)
}

/// A part of a program begins behind an empty line, without indentation; a block of it with some.
pub(super) fn parts(text: &str) -> Vec<Cut> {
    behind_empty_lines(text, |line| {
        if line.starts_with(|first: char| first.is_whitespace() || "})]".contains(first)) {
            Strength::BLOCK
        } else {
            Strength::PART
        }
    })
}

fn behind_empty_lines(text: &str, strength: impl Fn(&str) -> Strength) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut place = 0;
    let mut empty_before = false;
    for line in text.split_inclusive('\n') {
        let empty = line.trim().is_empty();
        if empty_before && !empty {
            cuts.push(Cut {
                place,
                strength: strength(line),
            });
        }
        empty_before = empty;
        place += line.len();
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_program_begin_at_the_margin() {
        let text = "use a;\n\nfn b() {\n    c();\n\n    d();\n\n}\n\n/// e\nfn f() {}\n";
        let found: Vec<(&str, Strength)> = parts(text)
            .iter()
            .map(|cut| (text[cut.place..].lines().next().unwrap(), cut.strength))
            .collect();
        assert_eq!(
            found,
            [
                ("fn b() {", Strength::PART),
                ("    d();", Strength::BLOCK),
                ("}", Strength::BLOCK),
                ("/// e", Strength::PART)
            ]
        );
        assert!(paragraphs(text).iter().all(|cut| cut.strength == Strength::BLOCK));
    }
}
