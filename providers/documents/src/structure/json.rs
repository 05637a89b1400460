//! The structure of JSON: behind the commas of outer arrays and objects rather than of inner ones.

use super::{Cut, Strength};

pub(super) fn elements(text: &str) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => cuts.push(Cut {
                place: place + 1,
                strength: match depth {
                    0 | 1 => Strength::PART,
                    2 => Strength::BLOCK,
                    _ => Strength::LINE,
                },
            }),
            // Lines of values of their own.
            b'\n' if depth == 0 => cuts.push(Cut {
                place: place + 1,
                strength: Strength::PART,
            }),
            _ => {}
        }
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_elements_are_parted_more_gladly() {
        let text = r#"[{"a":"x,\",y","b":[1,2]},{"c":3}]"#;
        let found: Vec<(&str, Strength)> = elements(text)
            .iter()
            .map(|cut| (&text[cut.place..], cut.strength))
            .collect();
        assert_eq!(
            found,
            [
                (r#""b":[1,2]},{"c":3}]"#, Strength::BLOCK),
                (r#"2]},{"c":3}]"#, Strength::LINE),
                (r#"{"c":3}]"#, Strength::PART),
            ]
        );
    }
}
