//! Grammars in the notation of llama.cpp, which vLLM takes too, rewritten in the syntax of Lark that the engine reads.
//!
//! `name ::= …` with texts in quotes, `[a-z]`, `.`, names, groups, `|`, and `*`, `+`, `?` or `{m,n}` behind an item; `#` begins a
//! comment. The rule `root` is the whole. <https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md>

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::Value;

const ROOT: &str = "root";

/// Whether a grammar is in this notation.
pub(super) fn is_gbnf(text: &str) -> bool {
    text.contains("::=")
}

/// The same grammar for the engine. The error says what is wrong.
pub(super) fn to_lark(text: &str) -> Result<String, String> {
    let tokens = tokens(text)?;
    let begins_rule = |at: usize| {
        matches!(
            (tokens.get(at), tokens.get(at + 1)),
            (Some(Token::Name(_)), Some(Token::Define))
        )
    };
    let mut names = HashMap::new();
    for (at, token) in tokens.iter().enumerate() {
        if let Token::Name(name) = token
            && begins_rule(at)
        {
            let number = names.len();
            let rule = if *name == ROOT {
                "start".to_owned()
            } else {
                format!("rule{number}")
            };
            if names.insert(*name, rule).is_some() {
                return Err(format!("the rule `{name}` is there twice"));
            }
        }
    }
    if !names.contains_key(ROOT) {
        return Err(format!("there is no rule `{ROOT}`"));
    }
    let mut lark = String::new();
    let mut may_be_empty = false;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if begins_rule(at) {
            if may_be_empty {
                lark.push_str(" \"\"");
            }
            let Token::Name(name) = token else { break };
            let _ = write!(lark, "\n{}:", names[name]);
            may_be_empty = true;
            at += 2;
            continue;
        }
        at += 1;
        if lark.is_empty() {
            return Err("it must begin with a rule, such as `root ::= …`".to_owned());
        }
        let piece = match token {
            Token::Name(name) => names
                .get(name)
                .ok_or_else(|| format!("there is no rule `{name}`"))?
                .clone(),
            Token::Define => return Err("`::=` must stand behind a name".to_owned()),
            Token::Text(text) if text.is_empty() => "\"\"".to_owned(),
            Token::Text(text) => Value::from(text.as_str()).to_string(),
            Token::Class(class) => format!("/{}/", class.replace('/', "\\/")),
            Token::Any => "/(.|\\n)/".to_owned(),
            Token::Repeat(repeat) => {
                lark.push_str(repeat);
                continue;
            }
            Token::Open => "(".to_owned(),
            Token::Close | Token::Or => {
                // Lark has nothing for nothing.
                if may_be_empty {
                    lark.push_str(" \"\"");
                }
                if *token == Token::Or { "|" } else { ")" }.to_owned()
            }
        };
        may_be_empty = matches!(token, Token::Open | Token::Or);
        let _ = write!(lark, " {piece}");
    }
    if may_be_empty {
        lark.push_str(" \"\"");
    }
    lark.push('\n');
    Ok(lark)
}

#[derive(Debug, PartialEq)]
enum Token<'a> {
    Name(&'a str),
    Define,
    Text(String),
    /// With its brackets.
    Class(&'a str),
    Any,
    Repeat(&'a str),
    Open,
    Close,
    Or,
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => {
                let length = quoted(rest, '"').ok_or("a text in quotes has no end")?;
                tokens.push(Token::Text(unescaped(&rest[1..length - 1])?));
                length
            }
            '[' => {
                let length = quoted(rest, ']').ok_or("a class of characters has no end")?;
                tokens.push(Token::Class(&rest[..length]));
                length
            }
            '{' => {
                let length = rest.find('}').ok_or("a repetition has no end")? + 1;
                tokens.push(Token::Repeat(&rest[..length]));
                length
            }
            '*' | '+' | '?' => {
                tokens.push(Token::Repeat(&rest[..1]));
                1
            }
            '.' => {
                tokens.push(Token::Any);
                1
            }
            '(' => {
                tokens.push(Token::Open);
                1
            }
            ')' => {
                tokens.push(Token::Close);
                1
            }
            '|' => {
                tokens.push(Token::Or);
                1
            }
            ':' if rest.starts_with("::=") => {
                tokens.push(Token::Define);
                3
            }
            _ => {
                let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
                let length = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
                if length == 0 {
                    return Err(format!("`{first}` has no meaning"));
                }
                tokens.push(Token::Name(&rest[..length]));
                length
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Length of what stands between two marks, with them; the first one is at the beginning.
fn quoted(text: &str, end: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == end => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        let escaped = characters.next().unwrap_or('\\');
        let digits = match escaped {
            'n' => "\n",
            'r' => "\r",
            't' => "\t",
            'x' => &characters.as_str().chars().take(2).collect::<String>(),
            'u' => &characters.as_str().chars().take(4).collect::<String>(),
            'U' => &characters.as_str().chars().take(8).collect::<String>(),
            _ => {
                plain.push(escaped);
                continue;
            }
        };
        if matches!(escaped, 'x' | 'u' | 'U') {
            let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
            plain.push(code.ok_or_else(|| format!("`\\{escaped}{digits}` is no character"))?);
            characters.nth(digits.len() - 1);
        } else {
            plain.push_str(digits);
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_rewritten() {
        let grammar = r#"
            # What vLLM has as its example, and more.
            root ::= select-statement ("; " | ) end?
            select-statement ::= "SELECT " column
                " from \"t\"\n"
            column ::= [a-z_/]+ | "\x41\u00e9" | .{1,2}
            end ::= | "."
        "#;
        let expected = concat!(
            "\nstart: rule1 ( \"; \" | \"\" ) rule3?",
            "\nrule1: \"SELECT \" rule2 \" from \\\"t\\\"\\n\"",
            "\nrule2: /[a-z_\\/]/+ | \"Aé\" | /(.|\\n)/{1,2}",
            "\nrule3: \"\" | \".\"\n",
        );
        assert_eq!(to_lark(grammar).unwrap(), expected);
        assert!(is_gbnf(grammar) && !is_gbnf("start: \"a\""));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (grammar, cause) in [
            ("main ::= \"a\"", "there is no rule `root`"),
            ("root ::= other", "there is no rule `other`"),
            ("root ::= \"a\" root ::= \"b\"", "the rule `root` is there twice"),
            ("\"a\" root ::= \"b\"", "it must begin with a rule"),
            ("root ::= ::= \"b\"", "`::=` must stand behind a name"),
            ("root ::= \"a", "has no end"),
            ("root ::= [a", "has no end"),
            ("root ::= \"\\xzz\"", "`\\xzz` is no character"),
            ("root ::= \"a\" & \"b\"", "`&` has no meaning"),
        ] {
            let error = to_lark(grammar).unwrap_err();
            assert!(error.contains(cause), "{error}");
        }
    }
}
