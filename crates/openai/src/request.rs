//! What is looked at and changed in a request on its way to the upstream.

use std::ops::Range;

use bytes::Bytes;
use puna_api::{Capabilities, Capability, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::edit::{Edits, json_string};
use crate::settings::Quirk;
use puna_api::scan::members;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Chat,
    Completion,
    Embeddings,
}

/// What holds for all requests to an upstream.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    capabilities: Capabilities,
    default_max_tokens: Option<Bytes>,
    max_tokens_only: bool,
    tool_choice_ignored: bool,
    ignored: Vec<(&'static str, &'static [&'static str])>,
}

/// A request, ready to send.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) body: Vec<Bytes>,
    /// `stream_options.include_usage` is set.
    pub(crate) include_usage: bool,
}

/// The members that are looked at.
const NAMES: [&[u8]; 15] = [
    b"model",
    b"stream",
    b"stream_options",
    b"max_tokens",
    b"max_completion_tokens",
    b"tools",
    b"tool_choice",
    b"n",
    b"logprobs",
    b"top_logprobs",
    b"seed",
    b"stop",
    b"response_format",
    b"dimensions",
    b"messages",
];
const MODEL: usize = 0;
const STREAM: usize = 1;
const STREAM_OPTIONS: usize = 2;
const MAX_TOKENS: usize = 3;
const MAX_COMPLETION_TOKENS: usize = 4;
const TOOLS: usize = 5;
const TOOL_CHOICE: usize = 6;
const N: usize = 7;
const LOGPROBS: usize = 8;
const TOP_LOGPROBS: usize = 9;
const SEED: usize = 10;
const STOP: usize = 11;
const RESPONSE_FORMAT: usize = 12;
const DIMENSIONS: usize = 13;
const MESSAGES: usize = 14;

/// Where the members of a request are.
struct Found<'a> {
    document: &'a Bytes,
    places: [Option<Range<usize>>; NAMES.len()],
    count: usize,
}

impl Rules {
    pub(crate) fn new(capabilities: Capabilities, quirks: &[Quirk]) -> Self {
        let mut rules = Self {
            capabilities,
            default_max_tokens: None,
            max_tokens_only: false,
            tool_choice_ignored: false,
            ignored: Vec::new(),
        };
        for quirk in quirks {
            match quirk {
                Quirk::DefaultMaxTokens(limit) => rules.default_max_tokens = Some(limit.to_string().into()),
                Quirk::MaxTokensOnly => rules.max_tokens_only = true,
                Quirk::ToolChoiceIgnored => rules.tool_choice_ignored = true,
                Quirk::Ignores { member, harmless } => rules.ignored.push((member, harmless)),
                Quirk::ImagesAsData | Quirk::Rerank { .. } => {}
            }
        }
        rules
    }

    /// Puts the upstream's model id in place, and whatever else differs; everything that does not is left as it came, byte for byte.
    /// Fails as an invalid request when the document is no JSON object, and as unsupported when it asks for what the upstream cannot do.
    pub(crate) fn prepare(&self, task: Task, document: &Bytes, model: &str, stream: bool) -> Result<Prepared> {
        let found = self.find(document)?;
        self.refuse(task, &found)?;

        let mut edits = Edits::default();
        match &found.places[MODEL] {
            Some(place) => edits.replace(place.clone(), json_string(model)),
            None => edits.add("model", &json_string(model)),
        }
        if task == Task::Embeddings {
            return Ok(Prepared {
                body: edits.into_segments(document, found.count > 0),
                include_usage: false,
            });
        }
        match (found.get(STREAM), stream) {
            (Some(b"true"), true) | (None | Some(b"false" | b"null"), false) => {}
            (None, true) => edits.add("stream", b"true"),
            _ => {
                if let Some(place) = &found.places[STREAM] {
                    edits.replace(place.clone(), if stream { &b"true"[..] } else { b"false" });
                }
            }
        }
        if task == Task::Chat {
            if found.set(MAX_TOKENS).is_none()
                && let Some(limit) = self.limit(&found)?
            {
                match &found.places[MAX_TOKENS] {
                    Some(null) => edits.replace(null.clone(), limit),
                    None => edits.add("max_tokens", &limit),
                }
            }
            if self.tool_choice_ignored && found.get(TOOL_CHOICE) == Some(b"\"none\"") {
                for member in [TOOLS, TOOL_CHOICE] {
                    if let Some(place) = &found.places[member] {
                        edits.replace(place.clone(), &b"null"[..]);
                    }
                }
            }
        }
        let include_usage = stream && found.set(STREAM_OPTIONS).is_some_and(asks_for_usage);
        Ok(Prepared {
            body: edits.into_segments(document, found.count > 0),
            include_usage,
        })
    }

    /// What `max_tokens` must be where the client left it out.
    fn limit(&self, found: &Found<'_>) -> Result<Option<Bytes>> {
        match found.set(MAX_COMPLETION_TOKENS) {
            None => Ok(self.default_max_tokens.clone()),
            Some(_) if !self.max_tokens_only => Ok(None),
            Some(limit) => positive("max_completion_tokens", limit).map(|limit| Some(limit.to_string().into())),
        }
    }

    fn find<'a>(&self, document: &'a Bytes) -> Result<Found<'a>> {
        let mut found = Found {
            document,
            places: [const { None }; NAMES.len()],
            count: 0,
        };
        let mut problem = None;
        members(document, |member| {
            found.count += 1;
            if let Some(slot) = NAMES.iter().position(|name| *name == &*member.name) {
                // The upstream might heed the other one of two.
                if found.places[slot].replace(member.value).is_some() {
                    problem.get_or_insert_with(|| twice(&member.name));
                }
            } else if let Some((name, harmless)) =
                self.ignored.iter().find(|(name, _)| name.as_bytes() == &*member.name)
            {
                let value = &document[member.value];
                if value != b"null" && !harmless.iter().any(|harmless| harmless.as_bytes() == value) {
                    problem.get_or_insert_with(|| unsupported(name, "this provider's upstream does not heed it"));
                }
            }
        })
        .map_err(|error| Error::invalid_request(format!("the body is not a JSON object: {error}")))?;
        match problem {
            Some(problem) => Err(problem),
            None => Ok(found),
        }
    }

    /// Refuses what the upstream cannot do.
    fn refuse(&self, task: Task, found: &Found<'_>) -> Result<()> {
        let can = |capability| self.capabilities.has(capability);
        let needed = match task {
            Task::Chat => (Capability::Chat, "chat completions"),
            Task::Completion => (Capability::Completion, "completions"),
            Task::Embeddings => (Capability::Embeddings, "embeddings"),
        };
        if !can(needed.0) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("this provider has no {}", needed.1),
            ));
        }
        if task == Task::Embeddings {
            return match found.set(DIMENSIONS) {
                Some(dimensions) if !can(Capability::EmbeddingDimensions) => {
                    positive("dimensions", dimensions)?;
                    Err(unsupported(
                        "dimensions",
                        "this provider's embeddings have the length that the model gives them",
                    ))
                }
                _ => Ok(()),
            };
        }
        if !can(Capability::MultipleChoices)
            && let Some(n) = found.set(N)
            && positive("n", n)? > 1
        {
            return Err(unsupported("n", "this provider gives one choice"));
        }
        if !can(Capability::Seed) && found.set(SEED).is_some() {
            return Err(unsupported("seed", "this provider cannot repeat its choices"));
        }
        if !can(Capability::Stop) && found.set(STOP).is_some_and(|stop| stop != b"[]") {
            return Err(unsupported("stop", "this provider has no stop sequences"));
        }
        if !can(Capability::Logprobs) {
            for (member, name) in [(LOGPROBS, "logprobs"), (TOP_LOGPROBS, "top_logprobs")] {
                if found.set(member).is_some_and(|value| value != b"false") {
                    return Err(unsupported(name, "this provider tells no log probabilities"));
                }
            }
        }
        if task == Task::Completion {
            return Ok(());
        }
        if !can(Capability::Tools) && found.set(TOOLS).is_some_and(|tools| !is_empty_array(tools)) {
            return Err(unsupported("tools", "this provider has no tools"));
        }
        if !can(Capability::ForcedToolChoice)
            && found
                .set(TOOL_CHOICE)
                .is_some_and(|choice| choice == b"\"required\"" || choice.starts_with(b"{"))
        {
            return Err(unsupported(
                "tool_choice",
                "this provider cannot force a call; `auto` and `none` are possible",
            ));
        }
        if !can(Capability::StructuredOutput)
            && found.set(RESPONSE_FORMAT).is_some_and(|format| !is_text_format(format))
        {
            return Err(unsupported("response_format", "this provider answers in plain text"));
        }
        if !can(Capability::ImageInput)
            && let Some(messages) = found.set(MESSAGES)
            && let Some(place) = crate::image::first_image(messages)
        {
            return Err(unsupported(&place, "this provider does not look at images"));
        }
        Ok(())
    }
}

impl<'a> Found<'a> {
    /// The member's value as it was written.
    fn get(&self, member: usize) -> Option<&'a [u8]> {
        self.places[member].clone().map(|place| &self.document[place])
    }

    /// The member's value unless it is null.
    fn set(&self, member: usize) -> Option<&'a [u8]> {
        self.get(member).filter(|value| *value != b"null")
    }
}

fn unsupported(param: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("`{param}` is not supported: {why}")).with_param(param)
}

/// A value as the whole number above 0 that it must be, where the upstream would not say so.
fn positive(name: &str, value: &[u8]) -> Result<u64> {
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .filter(|number| *number > 0);
    number.ok_or_else(|| {
        let shown = String::from_utf8_lossy(&value[..value.len().min(40)]);
        Error::invalid_request(format!("`{name}` is {shown}; a whole number of 1 or more is right")).with_param(name)
    })
}

fn twice(name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(name).into_owned();
    Error::invalid_request(format!("`{name}` is given twice")).with_param(name)
}

fn asks_for_usage(stream_options: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Options {
        #[serde(default)]
        include_usage: Option<bool>,
    }
    // What is not as it should be is the upstream's to refuse.
    serde_json::from_slice::<Options>(stream_options).is_ok_and(|options| options.include_usage == Some(true))
}

fn is_empty_array(value: &[u8]) -> bool {
    value
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"))
        .is_some_and(|inner| inner.trim_ascii().is_empty())
}

fn is_text_format(value: &[u8]) -> bool {
    let mut is_text = false;
    let scanned = members(value, |member| {
        is_text |= &*member.name == b"type" && &value[member.value] == b"\"text\"";
    });
    scanned.is_ok() && is_text
}

#[cfg(test)]
mod tests;
