//! One answer on its way from the engine.

use std::sync::Arc;

use puna_api::{Error, Result};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::Grammar;
use crate::error;
use crate::sampling::Sampling;

/// What the engine needs to know for one answer.
#[derive(Debug, Clone)]
pub(crate) struct GenerationRequest {
    /// The tokens to continue; at least one.
    pub(crate) prompt: Arc<[u32]>,
    /// Which of the answers to this prompt it is, from 0.
    pub(crate) choice: u32,
    /// The most tokens to generate. Prompt and answer together must fit into the context.
    pub(crate) max_tokens: u32,
    /// How to choose tokens.
    pub(crate) sampling: Sampling,
    /// The form that the answer must have.
    pub(crate) grammar: Option<Grammar>,
}

/// The tokens of an answer as they are made. The engine never waits for the reader, and an answer that is dropped ends with
/// the token that the engine works on.
#[derive(Debug)]
pub(crate) struct Generation {
    events: UnboundedReceiver<Event>,
}

/// What happens to an answer.
#[derive(Debug)]
pub(crate) enum Event {
    /// A token was chosen.
    Token(u32),
    /// The model ended its answer, which took a token too.
    End,
    /// The answer failed.
    Failed(Error),
}

/// A token, or the end of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next token.
    Token(u32),
    /// The model ended its answer, which took a token too.
    End,
}

impl Generation {
    pub(crate) fn new(events: UnboundedReceiver<Event>) -> Self {
        Self { events }
    }

    /// Waits for the next token. After [`Next::End`], and after as many tokens as were asked for, there are no more.
    pub(crate) async fn next(&mut self) -> Result<Next> {
        match self.events.recv().await {
            Some(Event::Token(token)) => Ok(Next::Token(token)),
            Some(Event::End) => Ok(Next::End),
            Some(Event::Failed(error)) => Err(error),
            None => Err(error::stopped()),
        }
    }
}
