//! Completions: what is asked of the engine, and what its answers look like.

use std::sync::Arc;

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use puna_api::{
    Completion, CompletionChoice, CompletionRequest, CompletionUsage, Error, FinishReason, Json, Result, TextInput,
};

use crate::answer::{AnswerEvent, Job, Reading};
use crate::chat::Heading;
use crate::engine::Engine;
use crate::generation::GenerationRequest;
use crate::request::{self, SamplingFields, refuse, unsupported};
use crate::tool_calls::Piece;

/// The most tokens of an answer where the request does not say, as at OpenAI.
const DEFAULT_MAX_TOKENS: u32 = 16;

/// A completion, ready to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The answers to make.
    pub(crate) jobs: Vec<Job>,
    heading: Heading,
    includes_usage: bool,
    prompt_tokens: u64,
}

/// Checks a request and turns it into jobs for the engine. `model` is the id that the client used.
pub(crate) fn plan(request: &CompletionRequest, model: &str, is_stream: bool, engine: &Engine) -> Result<Plan> {
    refuse(request.echo == Some(true), "echo")?;
    refuse(request.logprobs.is_some(), "logprobs")?;
    refuse(
        request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()),
        "suffix",
    )?;
    let n = request::choices(request.n)?;
    if request.best_of.is_some_and(|best_of| best_of != n) {
        return Err(unsupported("best_of", "making other than `n` answers"));
    }
    request::refuse_unknown(&request.extra, &[])?;
    request::stream_options(request.stream_options.as_ref(), is_stream)?;
    let sampling = request::sampling(&sampling_fields(request), engine)?;
    let stops = request::stops(request.stop.as_ref())?;

    let prompts = prompts(request.prompt.as_ref(), engine)?;
    let prompt_tokens = prompts.iter().map(|prompt| prompt.len() as u64).sum();
    let wanted = Some(request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS));
    let mut jobs = Vec::new();
    for prompt in prompts {
        let max_tokens = request::max_tokens(wanted, "max_tokens", prompt.len(), engine)?;
        jobs.extend((0..n).map(|choice| Job {
            index: 0,
            generation: GenerationRequest {
                prompt: Arc::clone(&prompt),
                choice,
                max_tokens,
                sampling: sampling.clone(),
                grammar: None,
            },
            reading: Reading {
                stops: stops.clone(),
                tools: None,
                is_message: false,
            },
        }));
    }
    for (index, job) in (0..).zip(&mut jobs) {
        job.index = index;
    }
    let heading = Heading::new("cmpl", model);
    Ok(Plan {
        jobs,
        heading,
        includes_usage: request.includes_usage(),
        prompt_tokens,
    })
}

fn sampling_fields(request: &CompletionRequest) -> SamplingFields<'_> {
    SamplingFields {
        temperature: request.temperature,
        top_p: request.top_p,
        frequency_penalty: request.frequency_penalty,
        presence_penalty: request.presence_penalty,
        seed: request.seed,
        logit_bias: request.logit_bias.as_ref(),
        extra: &request.extra,
    }
}

/// The tokens of each prompt.
fn prompts(prompt: Option<&TextInput>, engine: &Engine) -> Result<Vec<Arc<[u32]>>> {
    let from_text = |text: &str| beginning(request::encode(text, true, "prompt", engine)?, engine);
    let from_tokens = |tokens: &Vec<u32>| {
        let vocabulary = engine.tokenizer().vocabulary_size();
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            let message = format!(
                "`prompt` has the token {token}, but the model has only the tokens from 0 to {}",
                vocabulary - 1
            );
            return Err(Error::invalid_request(message).with_param("prompt"));
        }
        request::check_length(tokens, "prompt", engine)?;
        beginning(tokens.clone(), engine)
    };
    match prompt {
        None => Ok(vec![from_text("")?]),
        Some(TextInput::Text(text)) => Ok(vec![from_text(text)?]),
        Some(TextInput::Tokens(tokens)) => Ok(vec![from_tokens(tokens)?]),
        Some(several) if several.is_empty() => {
            Err(Error::invalid_request("`prompt` must not be an empty array").with_param("prompt"))
        }
        Some(TextInput::Texts(texts)) => texts.iter().map(|text| from_text(text)).collect(),
        Some(TextInput::TokenLists(lists)) => lists.iter().map(from_tokens).collect(),
    }
}

/// An empty prompt is the beginning of a text, for which most models have a token.
fn beginning(mut tokens: Vec<u32>, engine: &Engine) -> Result<Arc<[u32]>> {
    if tokens.is_empty() {
        let begin_token = engine.tokenizer().begin_token().ok_or_else(|| {
            let message = format!("`prompt` must not be empty for the model `{}`", engine.id());
            Error::invalid_request(message).with_param("prompt")
        })?;
        tokens.push(begin_token);
    }
    Ok(tokens.into())
}

/// The whole response.
pub(crate) async fn whole(
    plan: Plan,
    mut events: impl Stream<Item = Result<(u32, AnswerEvent)>> + Unpin,
) -> Result<Completion> {
    let mut texts = vec![String::new(); plan.jobs.len()];
    let mut reasons: Vec<Option<FinishReason>> = vec![None; plan.jobs.len()];
    let mut completion_tokens = 0;
    while let Some(event) = events.next().await {
        let (index, event) = event?;
        match event {
            AnswerEvent::Piece(Piece::Text(text)) => texts[index as usize].push_str(&text),
            AnswerEvent::Piece(Piece::Call(_)) => {}
            AnswerEvent::Finished { reason, tokens } => {
                reasons[index as usize] = Some(reason);
                completion_tokens += tokens;
            }
        }
    }
    let choices = (0..).zip(texts.into_iter().zip(reasons));
    let choices = choices
        .map(|(index, (text, reason))| CompletionChoice::new(index, text, reason))
        .collect();
    let Heading { id, created, model } = plan.heading;
    let mut completion = Completion::new(id, created, model, choices);
    completion.usage = Some(CompletionUsage::new(plan.prompt_tokens, completion_tokens));
    Ok(completion)
}

/// The response in pieces.
pub(crate) fn stream(
    plan: Plan,
    mut events: impl Stream<Item = Result<(u32, AnswerEvent)>> + Unpin,
) -> impl Stream<Item = Result<Json<Completion>>> {
    try_stream! {
        let Heading { id, created, model } = plan.heading;
        let piece = |choices| Completion::new(id.as_str(), created, model.as_str(), choices);
        let mut completion_tokens = 0;
        while let Some(event) = events.next().await {
            let (index, event) = event?;
            let choice = match event {
                AnswerEvent::Piece(Piece::Text(text)) => CompletionChoice::new(index, text, None),
                AnswerEvent::Piece(Piece::Call(_)) => continue,
                AnswerEvent::Finished { reason, tokens } => {
                    completion_tokens += tokens;
                    CompletionChoice::new(index, "", Some(reason))
                }
            };
            yield Json::new(piece(vec![choice]));
        }
        if plan.includes_usage {
            let mut last = piece(Vec::new());
            last.usage = Some(CompletionUsage::new(plan.prompt_tokens, completion_tokens));
            yield Json::new(last);
        }
    }
}
