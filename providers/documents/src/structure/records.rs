//! The structure of tables in text: a record may span lines where a field is quoted.

use super::{Cut, Strength};

pub(super) fn records(text: &str) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut quoted = false;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            // A doubled quote within quotes ends and begins them.
            b'"' => quoted = !quoted,
            b'\n' if !quoted => cuts.push(Cut {
                place: place + 1,
                strength: Strength::BLOCK,
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
    fn a_record_is_not_cut_within_quotes() {
        let text = "a,b\n\"one\ntwo \"\"2\"\"\n\",c\nd,e";
        let places: Vec<&str> = records(text).iter().map(|cut| &text[cut.place..]).collect();
        assert_eq!(places, ["\"one\ntwo \"\"2\"\"\n\",c\nd,e", "d,e"]);
    }
}
