//! `${env.NAME}`, `${env.NAME:=default}` and `${env.NAME:+value}`.

use serde_json::Value;

use crate::Environment;
use crate::yaml::resolve_plain;

/// A reference to an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    pub(crate) name: &'a str,
    pub(crate) operator: Operator<'a>,
}

/// What a reference does when its variable is unset or empty, and when it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator<'a> {
    /// `${env.NAME}`: its value; an error when unset or empty.
    Required,
    /// `${env.NAME:=default}`: its value, else the default.
    Default(&'a str),
    /// `${env.NAME:+value}`: the given value when it is set and not empty, else nothing.
    IfSet(&'a str),
}

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Literal(&'a str),
    Reference(Reference<'a>),
}

const OPENING: &str = "${env.";

/// Takes a text apart. Fails at what opens like a reference and is none.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Fault> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(OPENING) {
        if start > 0 {
            pieces.push(Piece::Literal(&rest[..start]));
        }
        let (reference, tail) = reference(&rest[start..])?;
        pieces.push(Piece::Reference(reference));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// Reads the reference that a text starts with, and returns what follows it.
fn reference(text: &str) -> Result<(Reference<'_>, &str), Fault> {
    let fault = |message: String| Fault {
        message,
        hint: "write `${env.NAME}`, `${env.NAME:=default}` or `${env.NAME:+value}`".to_owned(),
    };
    let body = &text[OPENING.len()..];
    let Some(end) = body.find('}') else {
        let start: String = text.chars().take(40).collect();
        return Err(fault(format!("`{start}` has no closing `}}`")));
    };
    let (body, tail) = (&body[..end], &body[end + 1..]);
    let name_length = body
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(body.len());
    let (name, suffix) = body.split_at(name_length);
    let operator = match (suffix, suffix.strip_prefix(":="), suffix.strip_prefix(":+")) {
        ("", ..) => Operator::Required,
        (_, Some(default), _) => Operator::Default(default),
        (_, _, Some(value)) => Operator::IfSet(value),
        _ => {
            return Err(fault(format!(
                "`{OPENING}{body}}}` is not a reference to an environment variable"
            )));
        }
    };
    if name.is_empty() {
        return Err(fault(format!("`{OPENING}{body}}}` names no environment variable")));
    }
    Ok((Reference { name, operator }, tail))
}

/// Replaces every reference in a text. `None`: there is none. All variables that are needed and not set are reported.
pub(crate) fn expand(text: &str, environment: &Environment) -> Result<Option<String>, Vec<Fault>> {
    let pieces = pieces(text).map_err(|fault| vec![fault])?;
    if !pieces.iter().any(|piece| matches!(piece, Piece::Reference(_))) {
        return Ok(None);
    }
    let mut expanded = String::with_capacity(text.len());
    let mut faults = Vec::new();
    for piece in pieces {
        let Reference { name, operator } = match piece {
            Piece::Literal(literal) => {
                expanded.push_str(literal);
                continue;
            }
            Piece::Reference(reference) => reference,
        };
        let set = environment.get_non_empty(name);
        let value = match (operator, set) {
            (Operator::Required | Operator::Default(_), Some(value)) => value,
            (Operator::Default(default), None) => default,
            (Operator::IfSet(value), Some(_)) => value,
            (Operator::IfSet(_), None) => "",
            (Operator::Required, None) => {
                faults.push(unset(name));
                continue;
            }
        };
        push_with_home(&mut expanded, value, environment);
    }
    if faults.is_empty() {
        Ok(Some(expanded))
    } else {
        Err(faults)
    }
}

fn unset(name: &str) -> Fault {
    Fault {
        message: format!("the environment variable `{name}` is not set, or empty"),
        hint: format!("set it, or give a default: `${{env.{name}:=default}}`"),
    }
}

/// Adds a value whose leading `~` stands for the home folder.
fn push_with_home(out: &mut String, value: &str, environment: &Environment) {
    let below_home = value
        .strip_prefix('~')
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match (below_home, environment.get_non_empty("HOME")) {
        (Some(rest), Some(home)) => {
            out.push_str(home.trim_end_matches('/'));
            out.push_str(rest);
        }
        _ => out.push_str(value),
    }
}

/// The value of an expanded text: nothing for the empty one, a boolean, a number, else a string.
pub(crate) fn convert(text: &str) -> Value {
    let string = || Value::String(text.to_owned());
    match text.trim() {
        "" if text.is_empty() => Value::Null,
        trimmed if trimmed.eq_ignore_ascii_case("true") => Value::Bool(true),
        trimmed if trimmed.eq_ignore_ascii_case("false") => Value::Bool(false),
        trimmed if trimmed.starts_with("0x") || trimmed.starts_with("0o") => string(),
        trimmed => Some(resolve_plain(trimmed))
            .filter(Value::is_number)
            .unwrap_or_else(string),
    }
}

#[cfg(test)]
mod tests;
