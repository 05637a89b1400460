//! What a field of a request may hold.

use puna_api::{Error, Result};

/// A field of a request body, and what it may hold. Null stands for absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) rule: Rule,
    pub(crate) required: bool,
}

/// The kinds of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rule {
    /// A string; a required one is not empty.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// A number within these bounds.
    Number(f64, f64),
    /// An array.
    Array,
    /// An array of one element or more.
    NonEmptyArray,
    /// An object.
    Object,
    /// A string or an array; neither is empty.
    TextOrNonEmptyArray,
    /// A string or an object.
    TextOrObject,
    /// A string or an array of strings.
    TextOrTexts,
    /// A string, an object or an array; the string and the array are not empty.
    Content,
}

impl Field {
    pub(crate) const fn required(name: &'static str, rule: Rule) -> Self {
        Self {
            name,
            rule,
            required: true,
        }
    }

    pub(crate) const fn optional(name: &'static str, rule: Rule) -> Self {
        Self {
            name,
            rule,
            required: false,
        }
    }

    /// Checks a value that is known to be JSON.
    pub(super) fn check(&self, value: Option<&str>) -> Result<()> {
        match value {
            None | Some("null") if self.required => Err(self.error(
                "missing_required_parameter",
                format!("`{}` is missing; {}", self.name, self.expected()),
            )),
            None | Some("null") => Ok(()),
            Some(value) => self.check_present(value),
        }
    }

    fn check_present(&self, value: &str) -> Result<()> {
        let kind = Kind::of(value);
        let fits = match self.rule {
            Rule::Text => kind == Kind::Text,
            Rule::Flag => kind == Kind::Flag,
            Rule::Integer(min, max) if kind == Kind::Number => return self.check_integer(value, min, max),
            Rule::Number(min, max) if kind == Kind::Number => return self.check_number(value, min, max),
            Rule::Integer(..) | Rule::Number(..) => false,
            Rule::Array | Rule::NonEmptyArray => kind == Kind::Array,
            Rule::Object => kind == Kind::Object,
            Rule::TextOrNonEmptyArray => matches!(kind, Kind::Text | Kind::Array),
            Rule::TextOrObject => matches!(kind, Kind::Text | Kind::Object),
            Rule::Content => matches!(kind, Kind::Text | Kind::Object | Kind::Array),
            Rule::TextOrTexts => {
                kind == Kind::Text || kind == Kind::Array && serde_json::from_str::<Vec<Text>>(value).is_ok()
            }
        };
        if !fits {
            let message = match (self.rule, kind) {
                (Rule::TextOrTexts, Kind::Array) => "holds something other than strings",
                _ => kind.name(),
            };
            let message = format!("`{}` {message}; {}", self.name, self.expected());
            return Err(self.error("invalid_type", message));
        }
        let empty = match self.rule {
            Rule::Text => self.required && value == "\"\"",
            Rule::NonEmptyArray => is_empty_array(value),
            Rule::TextOrNonEmptyArray | Rule::Content => value == "\"\"" || is_empty_array(value),
            _ => false,
        };
        if empty {
            let code = if kind == Kind::Array {
                "empty_array"
            } else {
                "empty_string"
            };
            return Err(self.error(code, format!("`{}` is empty; {}", self.name, self.expected())));
        }
        Ok(())
    }

    fn check_integer(&self, value: &str, min: i64, max: i64) -> Result<()> {
        let digits = value.strip_prefix('-').unwrap_or(value);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!(
                "`{}` is {}, which is not an integer; {}",
                self.name,
                shown(value),
                self.expected()
            );
            return Err(self.error("invalid_type", message));
        }
        // A number that does not fit is out of every bound.
        let beyond = if value.starts_with('-') { i128::MIN } else { i128::MAX };
        let number = value.parse().unwrap_or(beyond);
        let code = match number {
            _ if number < min.into() => "integer_below_min_value",
            _ if number > max.into() => "integer_above_max_value",
            _ => return Ok(()),
        };
        Err(self.error(
            code,
            format!("`{}` is {}; {}", self.name, shown(value), self.expected()),
        ))
    }

    fn check_number(&self, value: &str, min: f64, max: f64) -> Result<()> {
        let code = match value.parse::<f64>() {
            Ok(number) if number < min => "decimal_below_min_value",
            Ok(number) if number > max => "decimal_above_max_value",
            Ok(_) => return Ok(()),
            Err(_) => "invalid_type",
        };
        Err(self.error(
            code,
            format!("`{}` is {}; {}", self.name, shown(value), self.expected()),
        ))
    }

    /// What would be right.
    fn expected(&self) -> String {
        match self.rule {
            Rule::Text if self.required => "send a non-empty string".to_owned(),
            Rule::Text => "send a string".to_owned(),
            Rule::Flag => "send true or false".to_owned(),
            Rule::Integer(i64::MIN, i64::MAX) => "send an integer of 64 bits".to_owned(),
            Rule::Integer(min, max) => format!("send an integer from {min} to {max}"),
            Rule::Number(min, max) => format!("send a number from {min} to {max}"),
            Rule::Array => "send an array".to_owned(),
            Rule::NonEmptyArray => "send an array of one element or more".to_owned(),
            Rule::Object => "send an object".to_owned(),
            Rule::TextOrNonEmptyArray => "send a string or an array, not an empty one".to_owned(),
            Rule::TextOrObject => "send a string or an object".to_owned(),
            Rule::TextOrTexts => "send a string or an array of strings".to_owned(),
            Rule::Content => "send a string, a content part or an array of those, not an empty one".to_owned(),
        }
    }

    fn error(&self, code: &str, message: String) -> Error {
        Error::invalid_request(message).with_param(self.name).with_code(code)
    }
}

/// A string whose text does not matter.
struct Text;

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer).map(|_| Self)
    }
}

fn is_empty_array(value: &str) -> bool {
    value
        .strip_prefix('[')
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(']'))
}

/// A number as it was sent; a client may send a very long one.
fn shown(value: &str) -> String {
    match value.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Flag,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    /// The kind of a JSON value, told by its first byte.
    fn of(value: &str) -> Self {
        match value.as_bytes().first() {
            Some(b'"') => Self::Text,
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            Some(b't' | b'f') => Self::Flag,
            Some(b'-' | b'0'..=b'9') => Self::Number,
            _ => Self::Null,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "is null",
            Self::Flag => "is true or false",
            Self::Number => "is a number",
            Self::Text => "is a string",
            Self::Array => "is an array",
            Self::Object => "is an object",
        }
    }
}
