//! How a trial ends, and the checks that end it.

use std::fmt;

use puna_api::{Error, ErrorKind};
use serde_json::Value;

/// How a trial ends.
pub(super) type Verdict = Result<(), Failure>;

/// Why a trial failed.
#[derive(Debug)]
pub(super) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self(message.to_owned())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(format!("an unexpected error: {error:?}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(format!("the test bench itself failed: {error}"))
    }
}

/// Ends a trial with this message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if $condition {
        } else {
            return Err($crate::conformance::outcome::Failure::from(format!($($message)+)));
        }
    };
}

/// Ends a trial unless both are equal; shows both.
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        // A match keeps temporaries of both sides alive.
        match (&$left, &$right) {
            (left, right) => {
                if left != right {
                    let what = format!($($message)+);
                    return Err($crate::conformance::outcome::Failure::from(format!("{what}: got {left:?}, expected {right:?}")));
                }
            }
        }
    };
}

pub(super) use {ensure, ensure_eq};

/// Checks that something failed with one of these kinds, and with a message.
pub(super) fn expect_error<T>(outcome: Result<T, Error>, kinds: &[ErrorKind], what: &str) -> Result<Error, Failure> {
    let Err(error) = outcome else {
        return Err(format!("{what} was answered; expected an error of the kind {kinds:?}").into());
    };
    ensure!(
        kinds.contains(&error.kind()),
        "{what} gave {error:?}; expected the kind {kinds:?}"
    );
    ensure!(
        !error.message().trim().is_empty(),
        "{what} gave an error without a message: {error:?}"
    );
    Ok(error)
}

/// Checks that something was refused as a mistake of the request, or as unsupported, and that the error names the field.
pub(super) fn expect_named<T>(outcome: Result<T, Error>, kinds: &[ErrorKind], field: &str, what: &str) -> Verdict {
    let error = expect_error(outcome, kinds, what)?;
    let named = error.param().is_some_and(|param| has_word(param, field)) || has_word(error.message(), field);
    ensure!(named, "{what} gave {error:?}, which does not name `{field}`");
    Ok(())
}

/// Whether the word stands in the text, and not as a part of another word.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_part)
            && !text[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// The text of the first choice.
pub(super) fn text(answer: &Value) -> Result<&str, Failure> {
    choice_text(&answer["choices"][0])
}

/// The text of a choice of a chat completion or completion; empty when its content is null.
pub(super) fn choice_text(choice: &Value) -> Result<&str, Failure> {
    let content = choice
        .get("text")
        .or_else(|| choice.get("message").and_then(|message| message.get("content")));
    match content {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Null) => Ok(""),
        _ => Err(format!("a choice without text: {choice}").into()),
    }
}

/// A non-empty array.
pub(super) fn list<'a>(answer: &'a Value, field: &str) -> Result<&'a [Value], Failure> {
    match answer[field].as_array() {
        Some(items) if !items.is_empty() => Ok(items),
        _ => Err(format!("`{field}` is not a filled array in {answer}").into()),
    }
}

/// Checks token counts: all there, and their sum is the total.
pub(super) fn check_usage(usage: &Value) -> Verdict {
    let count = |field: &str| -> Result<u64, Failure> {
        usage[field]
            .as_u64()
            .ok_or_else(|| format!("`{field}` is not a count in the usage {usage}").into())
    };
    let completion = usage.get("completion_tokens").and_then(Value::as_u64).unwrap_or(0);
    ensure_eq!(
        count("total_tokens")?,
        count("prompt_tokens")? + completion,
        "the total of the usage {usage}"
    );
    Ok(())
}
