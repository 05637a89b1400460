//! Finding the members of a JSON object without building values.
//!
//! A body that passes through is looked at for a handful of top-level members and is otherwise only copied. Decoding it, even into ignored values,
//! costs several times what this does: strings, which is what prompts are, are skipped as fast as memory can be searched.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use memchr::{memchr_iter, memchr2, memrchr};

/// How deep arrays and objects may nest where nobody says otherwise: as deep as serde_json takes them.
pub const MAX_DEPTH: usize = 128;

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    /// The name, escapes resolved.
    pub name: Cow<'a, [u8]>,
    /// Where the value is in the document.
    pub value: Range<usize>,
}

/// Where and why a document is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanError {
    /// The offset of the first byte that does not fit; the length of the document where it ends too early.
    pub offset: usize,
    /// What would have been right there.
    pub expected: &'static str,
    /// Whether arrays and objects nest too deeply there, in what may well be JSON.
    pub is_too_deep: bool,
    /// Where the name of the member is in whose value this is, without its quotes; none outside of them.
    pub member: Option<Range<usize>>,
}

impl ScanError {
    /// The line and the column of the first byte that does not fit, each from 1; the column counts bytes.
    #[must_use]
    pub fn position(&self, json: &[u8]) -> (usize, usize) {
        let before = &json[..self.offset.min(json.len())];
        let line_start = memrchr(b'\n', before).map_or(0, |at| at + 1);
        (1 + memchr_iter(b'\n', before).count(), 1 + before.len() - line_start)
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.offset)
    }
}

impl std::error::Error for ScanError {}

/// Calls `visit` with every member of the object that `json` is, in their order, duplicates included.
///
/// The whole document is checked against the grammar of RFC 8259, and arrays and objects may nest [`MAX_DEPTH`] deep. Whether it is UTF-8 is left
/// to the caller.
pub fn members<'a>(json: &'a [u8], visit: impl FnMut(Member<'a>)) -> Result<(), ScanError> {
    members_within(json, MAX_DEPTH, visit)
}

/// [`members`] of a document whose arrays and objects may nest `max_depth` deep, itself included.
pub fn members_within<'a>(
    json: &'a [u8],
    max_depth: usize,
    mut visit: impl FnMut(Member<'a>),
) -> Result<(), ScanError> {
    let mut scanner = Scanner::new(json);
    scanner.space();
    if scanner.peek() != Some(b'{') {
        return Err(scanner.expected("an object"));
    }
    scanner.object(max_depth, Some(&mut visit))?;
    scanner.member = None;
    scanner.space();
    if scanner.at < json.len() {
        Err(scanner.expected("the end"))
    } else {
        Ok(())
    }
}

/// Calls `visit` with the place of every item of the array that `json` is. The array must have been scanned before, as part of a document.
pub fn items(json: &[u8], mut visit: impl FnMut(Range<usize>)) -> Result<(), ScanError> {
    let mut scanner = Scanner::new(json);
    scanner.space();
    if scanner.peek() != Some(b'[') {
        return Err(scanner.expected("an array"));
    }
    scanner.array(MAX_DEPTH, Some(&mut visit))
}

/// Checks that `json` is one array whose arrays and objects nest `max_depth` deep at most, itself included, as [`members_within`] checks an object.
pub fn check_array_within(json: &[u8], max_depth: usize) -> Result<(), ScanError> {
    let mut scanner = Scanner::new(json);
    scanner.space();
    if scanner.peek() != Some(b'[') {
        return Err(scanner.expected("an array"));
    }
    scanner.array(max_depth, None)?;
    scanner.space();
    if scanner.at < json.len() {
        Err(scanner.expected("the end"))
    } else {
        Ok(())
    }
}

struct Scanner<'a> {
    json: &'a [u8],
    at: usize,
    /// The name of the outermost object's member that is read.
    member: Option<Range<usize>>,
}

impl<'a> Scanner<'a> {
    fn new(json: &'a [u8]) -> Self {
        Self {
            json,
            at: 0,
            member: None,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn expected(&self, expected: &'static str) -> ScanError {
        ScanError {
            offset: self.at,
            expected,
            is_too_deep: false,
            member: self.member.clone(),
        }
    }

    /// The depth that is left inside one more array or object.
    fn deeper(&self, depth: usize) -> Result<usize, ScanError> {
        depth.checked_sub(1).ok_or_else(|| ScanError {
            is_too_deep: true,
            ..self.expected("less nesting")
        })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth, None),
            Some(b'[') => self.array(depth, None),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.expected("a value")),
        }
    }

    /// An object, from its opening brace.
    fn object(&mut self, depth: usize, mut visit: Option<&mut dyn FnMut(Member<'a>)>) -> Result<(), ScanError> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected("a member name in quotes"));
            }
            let name = self.string()?;
            if visit.is_some() {
                self.member = Some(name.0.clone());
            }
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.expected("`:`"));
            }
            self.at += 1;
            self.space();
            let start = self.at;
            self.value(depth)?;
            if let Some(visit) = &mut visit {
                visit(Member {
                    name: self.name(name),
                    value: start..self.at,
                });
                self.member = None;
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
            self.space();
        }
    }

    /// An array, from its opening bracket.
    fn array(&mut self, depth: usize, mut visit: Option<&mut dyn FnMut(Range<usize>)>) -> Result<(), ScanError> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let start = self.at;
            self.value(depth)?;
            if let Some(visit) = &mut visit {
                visit(start..self.at);
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `]`")),
            }
            self.space();
        }
    }

    /// A string, from its opening quote. Answers what is between the quotes, and whether it has escapes.
    fn string(&mut self) -> Result<(Range<usize>, bool), ScanError> {
        let start = self.at + 1;
        let mut has_escapes = false;
        self.at = start;
        loop {
            let rest = &self.json[self.at..];
            let plain = memchr2(b'"', b'\\', rest);
            if let Some(control) = first_control_character(&rest[..plain.unwrap_or(rest.len())]) {
                self.at += control;
                return Err(self.expected("no control character in a string, but its escape"));
            }
            match plain {
                None => {
                    self.at = self.json.len();
                    return Err(self.expected("the end of a string"));
                }
                Some(offset) => self.at += offset,
            }
            if self.json[self.at] == b'"' {
                self.at += 1;
                return Ok((start..self.at - 1, has_escapes));
            }
            has_escapes = true;
            self.at += 1;
            match self.peek() {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u') => {
                    self.at += 1;
                    for _ in 0..4 {
                        if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                            return Err(self.expected("four hexadecimal digits"));
                        }
                        self.at += 1;
                    }
                }
                _ => return Err(self.expected("an escape")),
            }
        }
    }

    /// The text of a name that was scanned. One whose escapes make no characters stays as it is, and equals no name that anybody asks for.
    fn name(&self, (range, has_escapes): (Range<usize>, bool)) -> Cow<'a, [u8]> {
        let raw = &self.json[range.clone()];
        if has_escapes && let Ok(name) = serde_json::from_slice::<String>(&self.json[range.start - 1..=range.end]) {
            return Cow::Owned(name.into_bytes());
        }
        Cow::Borrowed(raw)
    }

    fn number(&mut self) -> Result<(), ScanError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            Err(self.expected("a digit"))
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), ScanError> {
        if self.json[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.expected("a value"))
        }
    }
}

/// The place of the first byte below 0x20.
fn first_control_character(text: &[u8]) -> Option<usize> {
    // Without a way out of the inner loop, the compiler looks at many bytes at a time.
    let mut from = 0;
    for piece in text.chunks(128) {
        if piece.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
            return piece.iter().position(|byte| *byte < 0x20).map(|at| from + at);
        }
        from += piece.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn found(json: &str) -> Result<Vec<(String, String)>, ScanError> {
        let mut found = Vec::new();
        members(json.as_bytes(), |member| {
            found.push((
                String::from_utf8(member.name.into_owned()).unwrap(),
                json[member.value].to_owned(),
            ));
        })?;
        Ok(found)
    }

    #[test]
    fn members_are_found_where_they_are() {
        let json = r#" { "model" : "a\"}" ,"n":-1.5e+3, "messages":[{"model":"x"}, null],"mod\u0065l":true,"":{} } "#;
        let expected = [
            ("model", r#""a\"}""#),
            ("n", "-1.5e+3"),
            ("messages", r#"[{"model":"x"}, null]"#),
            ("model", "true"),
            ("", "{}"),
        ];
        assert_eq!(
            found(json).unwrap(),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn what_is_not_an_object_is_refused_with_its_place() {
        for (json, offset) in [
            ("", 0),
            ("[]", 0),
            ("{", 1),
            ("{}x", 2),
            (r#"{"a"}"#, 4),
            (r#"{"a":}"#, 5),
            (r#"{"a":1,}"#, 7),
            (r#"{"a":01}"#, 6),
            (r#"{"a":1.}"#, 7),
            (r#"{"a":-}"#, 6),
            (r#"{"a":tru}"#, 5),
            (r#"{"a":"x}"#, 8),
            ("{\"a\":\"x\ny\"}", 7),
            ("{\"a\u{1}\":0}", 3),
            (r#"{"a":"\x"}"#, 7),
            (r#"{"a":"\u12g4"}"#, 10),
            (r#"{"a":[1 2]}"#, 8),
            (r#"{"a":[1}"#, 7),
            (r#"{"a":{]}"#, 6),
            ("{a:1}", 1),
            ("<html>", 0),
        ] {
            assert_eq!(found(json).unwrap_err().offset, offset, "{json}");
            assert!(
                serde_json::from_str::<Value>(json).map_or(true, |value| !value.is_object()),
                "{json}"
            );
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(found(&nested(127)).is_ok());
        assert!(found(&nested(128)).unwrap_err().is_too_deep);
        assert!(found(&nested(1_000_000)).unwrap_err().is_too_deep);
        assert!(members_within(nested(3).as_bytes(), 4, |_| {}).is_ok());
        assert!(members_within(nested(4).as_bytes(), 4, |_| {}).unwrap_err().is_too_deep);
        assert!(!found("{").unwrap_err().is_too_deep);
    }

    #[test]
    fn a_mistake_is_told_with_its_member_line_and_column() {
        let json = "{\"a\":1,\n \"b\": [tru]}";
        let error = found(json).unwrap_err();
        assert_eq!(error.position(json.as_bytes()), (2, 8));
        assert_eq!(&json[error.member.unwrap()], "b");
        assert_eq!(found("{\"a\":1} x").unwrap_err().member, None);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_members_are_those_that_serde_finds(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            // Not every number is read as it was before it was written.
            match serde_json::from_str(&text).unwrap() {
                Value::Object(expected) => {
                    let found = found(&text).unwrap();
                    prop_assert_eq!(found.len(), expected.len());
                    for (name, raw) in found {
                        prop_assert_eq!(&serde_json::from_str::<Value>(&raw).unwrap(), &expected[&name]);
                    }
                }
                _ => prop_assert!(found(&text).is_err()),
            }
        }

        #[test]
        fn damaged_documents_are_judged_as_serde_judges_them(value in json(), cut in any::<prop::sample::Index>(), byte: u8) {
            let mut text = serde_json::to_vec(&value).unwrap();
            let at = cut.index(text.len());
            text[at] = byte;
            let ours = members(&text, |_| {}).is_ok();
            let theirs = serde_json::from_slice::<serde_json::Map<String, Value>>(&text);
            match theirs {
                Ok(_) => prop_assert!(ours),
                // UTF-8 is not looked at, numbers are not computed, and a lone surrogate is left alone.
                Err(error) => {
                    let reason = error.to_string();
                    let known = ["invalid unicode", "out of range", "surrogate", "hex escape"];
                    prop_assert!(!ours || known.iter().any(|known| reason.contains(known)), "{reason}");
                }
            }
        }

        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = members(&bytes, |_| {});
            let _ = items(&bytes, |_| {});
        }
    }
}
