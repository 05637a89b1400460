//! One answer on its way from the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use puna_api::{Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::{CallForms, Grammar, Sight};
use crate::error;
use crate::logprobs::Scored;
use crate::sampling::Sampling;

/// What the engine needs to know for one answer.
#[derive(Debug, Clone)]
pub(crate) struct GenerationRequest {
    /// The tokens to continue; at least one.
    pub(crate) prompt: Arc<[u32]>,
    /// The images that the prompt has marks for.
    pub(crate) sight: Option<Sight>,
    /// Which of the answers to this prompt it is, from 0.
    pub(crate) choice: u32,
    /// The most tokens to generate. Prompt and answer together must fit into the context.
    pub(crate) max_tokens: u32,
    /// How to choose tokens.
    pub(crate) sampling: Sampling,
    /// What the answer is held to.
    pub(crate) held: Held,
    /// How many of the likeliest tokens to tell of each place. None tells nothing of how likely tokens are.
    pub(crate) top_logprobs: Option<usize>,
    /// Whether to tell how likely the tokens of the prompt are as well, which takes as long as generating them.
    pub(crate) scores_prompt: bool,
}

/// What an answer is held to.
#[derive(Debug, Clone, Default)]
pub(crate) enum Held {
    /// It is free.
    #[default]
    Nothing,
    /// A form of the whole answer.
    Whole(Grammar),
    /// Forms of the calls that it makes, if it makes any.
    Calls(CallForms),
}

impl GenerationRequest {
    /// Whether there is anything to do for the engine.
    pub(crate) fn needs_engine(&self) -> bool {
        self.max_tokens > 0 || (self.scores_prompt && self.prompt.len() > 1)
    }
}

/// The tokens of an answer as they are made. The engine never waits for the reader, and an answer that is dropped ends with
/// the token that the engine works on.
#[derive(Debug)]
pub(crate) struct Generation {
    events: UnboundedReceiver<Event>,
    read_to_end: Arc<AtomicBool>,
    prompt_tokens: Option<u64>,
}

/// What happens to an answer.
#[derive(Debug)]
pub(crate) enum Event {
    /// The prompt was read, and took so many tokens with its images.
    Read(u64),
    /// The next token of the prompt was looked at.
    Prompt(Scored),
    /// A token was chosen.
    Token(Scored),
    /// The model ended its answer, which took a token too.
    End,
    /// The answer failed.
    Failed(Error),
}

/// A token, or the end of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// The next token of the prompt, where they are to be scored; from the second one on.
    Prompt(Scored),
    /// The next token.
    Token(Scored),
    /// The model ended its answer, which took a token too.
    End,
}

impl Generation {
    pub(crate) fn new(events: UnboundedReceiver<Event>, read_to_end: Arc<AtomicBool>) -> Self {
        Self {
            events,
            read_to_end,
            prompt_tokens: None,
        }
    }

    /// Ends the answer here: it is whole, and who waits for it has not gone away.
    pub(crate) fn finish(self) {
        self.read_to_end.store(true, Ordering::Relaxed);
    }

    /// Waits for the next token. After [`Next::End`], and after as many tokens as were asked for, there are no more.
    pub(crate) async fn next(&mut self) -> Result<Next> {
        loop {
            return match self.events.recv().await {
                Some(Event::Read(tokens)) => {
                    self.prompt_tokens = Some(tokens);
                    continue;
                }
                Some(Event::Prompt(token)) => Ok(Next::Prompt(token)),
                Some(Event::Token(token)) => Ok(Next::Token(token)),
                Some(Event::End) => Ok(Next::End),
                Some(Event::Failed(error)) => Err(error),
                None => Err(error::stopped()),
            };
        }
    }

    /// How many tokens the prompt took with its images, once it was read; none for a prompt without images.
    pub(crate) fn prompt_tokens(&self) -> Option<u64> {
        self.prompt_tokens
    }
}
