//! Changing a few members of a JSON object, and leaving the rest as it came.

use std::ops::Range;

use bytes::Bytes;
use puna_api::scan::{self, ScanError};

/// The object with the values of these members replaced, wherever they stand; a member that is not there is added at the front. Values are
/// JSON texts.
pub(crate) fn with_members(json: &[u8], members: &[(&str, &str)]) -> Result<Bytes, ScanError> {
    edit(json, members, true)
}

/// The object with the values of those of these members replaced that are there.
pub(crate) fn with_members_replaced(json: &[u8], members: &[(&str, &str)]) -> Result<Bytes, ScanError> {
    edit(json, members, false)
}

fn edit(json: &[u8], members: &[(&str, &str)], adds: bool) -> Result<Bytes, ScanError> {
    let mut places: Vec<(Range<usize>, usize)> = Vec::new();
    let mut is_empty = true;
    scan::members(json, |member| {
        is_empty = false;
        let found = members.iter().position(|(name, _)| name.as_bytes() == &*member.name);
        places.extend(found.map(|found| (member.value, found)));
    })?;
    let mut edited = Vec::with_capacity(json.len() + 64);
    let mut done = 0;
    let absent = (0..members.len()).filter(|member| adds && !places.iter().any(|(_, found)| found == member));
    for (count, member) in absent.enumerate() {
        if count == 0 {
            // What was scanned is an object, so there is a brace.
            done = json.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
            edited.extend_from_slice(&json[..done]);
        } else {
            edited.push(b',');
        }
        let (name, value) = members[member];
        edited.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
    }
    if done > 0 && !is_empty {
        edited.push(b',');
    }
    for (place, found) in places {
        edited.extend_from_slice(&json[done..place.start]);
        edited.extend_from_slice(members[found].1.as_bytes());
        done = place.end;
    }
    edited.extend_from_slice(&json[done..]);
    Ok(edited.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(edited: Result<Bytes, ScanError>) -> String {
        String::from_utf8(edited.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn what_is_not_named_stays_as_it_came() {
        for (json, expected) in [
            (
                r#" { "a" : 1e2, "id":"x" , "b":[{"id":"y"}]}"#,
                r#" { "a" : 1e2, "id":"new" , "b":[{"id":"y"}]}"#,
            ),
            (r#"{"a":1}"#, r#"{"id":"new","a":1}"#),
            ("{ }", r#"{"id":"new" }"#),
            (r#"{"\u0069d":null,"id":2}"#, r#"{"\u0069d":"new","id":"new"}"#),
        ] {
            assert_eq!(text(with_members(json.as_bytes(), &[("id", "\"new\"")])), expected);
        }
        let members = [("store", "false"), ("metadata", "null")];
        let sent = br#"{"metadata":{"a":"b"},"model":"m","store":true}"#;
        assert_eq!(
            text(with_members_replaced(sent, &members)),
            r#"{"metadata":null,"model":"m","store":false}"#
        );
        assert_eq!(text(with_members_replaced(b"{}", &members)), "{}");
        assert_eq!(
            text(with_members(b"{}", &members)),
            r#"{"store":false,"metadata":null}"#
        );
        assert!(with_members(b"[1]", &members).is_err());
    }
}
