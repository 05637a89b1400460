//! What a request asks for, checked.

use puna_api::{ChatCompletionRequest, ChatMessage, ContentPart, Error, MessageContent, ResponseFormat, Result};

/// The text to answer with, and how much of it.
pub(crate) struct Question {
    pub(crate) text: String,
    pub(crate) prompt_words: u64,
    pub(crate) max_words: usize,
    pub(crate) includes_usage: bool,
}

impl Question {
    pub(crate) fn read(request: &ChatCompletionRequest) -> Result<Self> {
        check_support(request)?;
        check_ranges(request)?;
        let mut text = String::new();
        let mut prompt_words = 0;
        for (index, message) in request.messages.iter().enumerate() {
            if let ChatMessage::Other(other) = message {
                let error = Error::invalid_request(format!("the role `{}` is unknown", other.role));
                return Err(error.with_param(format!("messages[{index}].role")));
            }
            let content = message.content().map(|content| read_text(content, index)).transpose()?;
            text = content.unwrap_or_default();
            prompt_words += 1 + words(&text).count() as u64;
        }
        Ok(Self {
            text,
            prompt_words,
            max_words: request.token_limit().map_or(usize::MAX, |limit| limit as usize),
            includes_usage: request.includes_usage(),
        })
    }
}

/// The words of a text, each with the space after it.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(char::is_whitespace)
}

fn read_text(content: &MessageContent, message: usize) -> Result<String> {
    if let MessageContent::Parts(parts) = content {
        let other = parts.iter().position(|part| !matches!(part, ContentPart::Text(_)));
        if let Some(part) = other {
            return Err(Error::unsupported("the model reads text only")
                .with_param(format!("messages[{message}].content[{part}]")));
        }
    }
    Ok(content.as_text().unwrap_or_default().into_owned())
}

/// Refuses what would change the answer and is not known here. Sampling is known: there is one word to choose from.
fn check_support(request: &ChatCompletionRequest) -> Result<()> {
    for (name, is_asked) in [
        ("tools", request.tools.as_ref().is_some_and(|tools| !tools.is_empty())),
        (
            "functions",
            request
                .functions
                .as_ref()
                .is_some_and(|functions| !functions.is_empty()),
        ),
        (
            "response_format",
            request
                .response_format
                .as_ref()
                .is_some_and(|format| !matches!(format, ResponseFormat::Text(_))),
        ),
        ("logprobs", request.logprobs == Some(true)),
        ("seed", request.seed.is_some()),
        ("stop", request.stop.is_some()),
        ("audio", request.audio.is_some()),
        ("n", request.n.is_some_and(|n| n > 1)),
    ] {
        if is_asked {
            return Err(unsupported(name));
        }
    }
    // Nobody can tell what an unknown field would change.
    request
        .extra
        .keys()
        .next()
        .map_or(Ok(()), |name| Err(unsupported(name)))
}

fn unsupported(name: &str) -> Error {
    Error::unsupported(format!("the model does not support `{name}`")).with_param(name)
}

fn check_ranges(request: &ChatCompletionRequest) -> Result<()> {
    let outside = |value: Option<f64>, most: f64| value.is_some_and(|value| !(0.0..=most).contains(&value));
    for (name, is_wrong, right) in [
        ("messages", request.messages.is_empty(), "hold at least one message"),
        ("max_tokens", request.max_tokens == Some(0), "be at least 1"),
        (
            "max_completion_tokens",
            request.max_completion_tokens == Some(0),
            "be at least 1",
        ),
        ("n", request.n == Some(0), "be at least 1"),
        ("temperature", outside(request.temperature, 2.0), "be between 0 and 2"),
        ("top_p", outside(request.top_p, 1.0), "be between 0 and 1"),
    ] {
        if is_wrong {
            return Err(Error::invalid_request(format!("`{name}` must {right}")).with_param(name));
        }
    }
    Ok(())
}
