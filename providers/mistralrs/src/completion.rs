//! Completions: what is asked of the engine, and what its answers look like.

use std::sync::Arc;

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use puna_api::{
    Completion, CompletionChoice, CompletionRequest, CompletionUsage, Error, FinishReason, Json, Result, TextInput,
};

use crate::answer::{AnswerEvent, Finished, Job, Reading, Said};
use crate::chat::Heading;
use crate::engine::Engine;
use crate::engine_loader::EngineLease;
use crate::generation::{GenerationRequest, Held};
use crate::logprobs::{CompletionTokens, Scored};
use crate::reasoning::Thinking;
use crate::request::{self, SamplingFields, refuse, unsupported};
use crate::{forms, logprobs};

/// The most tokens of an answer where the request does not say, as at OpenAI.
const DEFAULT_MAX_TOKENS: u32 = 16;

/// A completion, ready to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The answers to make.
    pub(crate) jobs: Vec<Job>,
    heading: Heading,
    includes_usage: bool,
    tells_tokens: bool,
    prompt_tokens: u64,
}

/// Checks a request and turns it into jobs for the engine. `model` is the id that the client used.
pub(crate) fn plan(request: &CompletionRequest, model: &str, is_stream: bool, engine: &Engine) -> Result<Plan> {
    refuse(
        request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()),
        "suffix",
    )?;
    let n = request::choices(request.n)?;
    if request.best_of.is_some_and(|best_of| best_of != n) {
        return Err(unsupported("best_of", "making other than `n` answers"));
    }
    request::refuse_unknown(&request.extra, &[&["response_format"], &forms::EXTRAS[..]].concat())?;
    request::stream_options(request.stream_options.as_ref(), is_stream)?;
    let sampling = request::sampling(&sampling_fields(request), engine)?;
    let stops = request::stops(request.stop.as_ref())?;

    let prompts = prompts(request.prompt.as_ref(), engine)?;
    let prompt_tokens = prompts.iter().map(|prompt| prompt.tokens.len() as u64).sum();
    let wanted = request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    let top_logprobs = logprobs::of_completion(request.logprobs)?;
    let held = held(request, engine)?;
    let echoes = request.echo == Some(true);
    let mut jobs = Vec::new();
    for prompt in prompts {
        let max_tokens = match wanted {
            // Nothing but the prompt, with how likely it is.
            0 if echoes => 0,
            wanted => request::max_tokens(Some(wanted), "max_tokens", prompt.tokens.len(), engine)?,
        };
        jobs.extend((0..n).map(|choice| Job {
            index: 0,
            generation: GenerationRequest {
                prompt: Arc::clone(&prompt.tokens),
                sight: None,
                choice,
                max_tokens,
                sampling: sampling.clone(),
                held: held.clone(),
                top_logprobs,
                scores_prompt: echoes && top_logprobs.is_some(),
            },
            reading: Reading {
                stops: stops.clone(),
                echo: echoes.then(|| Arc::clone(&prompt.text)),
                ..Reading::default()
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
        tells_tokens: top_logprobs.is_some(),
        prompt_tokens,
    })
}

/// The form that the answers must have; vLLM takes `response_format` here too.
fn held(request: &CompletionRequest, engine: &Engine) -> Result<Held> {
    let format = match request.extra.get("response_format").filter(|format| !format.is_null()) {
        Some(format) => Some(serde_json::from_value(format.clone()).map_err(|cause| {
            Error::invalid_request(format!("`response_format`: {cause}")).with_param("response_format")
        })?),
        None => None,
    };
    match forms::asked(format.as_ref(), &request.extra)? {
        Some(asked) => engine
            .grammar(asked.form, Thinking::Never)
            .map(Held::Whole)
            .map_err(|error| error.with_param(asked.param)),
        None => Ok(Held::Nothing),
    }
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

/// A text to continue.
struct Prompt {
    text: Arc<str>,
    tokens: Arc<[u32]>,
}

fn prompts(prompt: Option<&TextInput>, engine: &Engine) -> Result<Vec<Prompt>> {
    let from_text = |text: &str| {
        Ok(Prompt {
            tokens: beginning(request::encode(text, true, "prompt", engine)?, engine)?,
            text: text.into(),
        })
    };
    let from_tokens = |tokens: &Vec<u32>| {
        let vocabulary = engine.tokenizer().vocabulary_size();
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            let message = format!(
                "`prompt` has the token {token}, but the model has only the tokens from 0 to {}",
                vocabulary - 1
            );
            return Err(Error::invalid_request(message).with_param("prompt"));
        }
        request::check_length(tokens.len(), "prompt", engine)?;
        let bytes: Vec<u8> = tokens
            .iter()
            .flat_map(|token| engine.tokenizer().bytes(*token))
            .copied()
            .collect();
        Ok(Prompt {
            tokens: beginning(tokens.clone(), engine)?,
            text: String::from_utf8_lossy(&bytes).into(),
        })
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
    engine: &Engine,
) -> Result<Completion> {
    let mut answers: Vec<Answer> = plan.jobs.iter().map(|_| Answer::default()).collect();
    let mut completion_tokens = 0;
    while let Some(event) = events.next().await {
        let (index, event) = event?;
        let answer = &mut answers[index as usize];
        match event {
            AnswerEvent::Said(said, tokens) => {
                if let Said::Text(text) = said {
                    answer.text.push_str(&text);
                }
                answer.tokens.extend(tokens);
            }
            AnswerEvent::Finished(finished) => {
                answer.reason = Some(finished.reason);
                answer.tokens.extend(finished.last);
                completion_tokens += finished.tokens;
            }
        }
    }
    let choices = (0..).zip(answers).map(|(index, answer)| {
        let mut choice = CompletionChoice::new(index, answer.text, answer.reason);
        choice.logprobs = plan
            .tells_tokens
            .then(|| CompletionTokens::default().next(&answer.tokens, engine.tokenizer()));
        choice
    });
    let Heading { id, created, model } = plan.heading;
    let mut completion = Completion::new(id, created, model, choices.collect());
    completion.usage = Some(CompletionUsage::new(plan.prompt_tokens, completion_tokens));
    Ok(completion)
}

/// An answer as far as it is there.
#[derive(Default)]
struct Answer {
    text: String,
    tokens: Vec<Scored>,
    reason: Option<FinishReason>,
}

/// The response in pieces.
pub(crate) fn stream(
    plan: Plan,
    mut events: impl Stream<Item = Result<(u32, AnswerEvent)>> + Unpin,
    engine: EngineLease,
) -> impl Stream<Item = Result<Json<Completion>>> {
    try_stream! {
        let Heading { id, created, model } = plan.heading;
        let piece = |choices| Completion::new(id.as_str(), created, model.as_str(), choices);
        let mut told: Vec<CompletionTokens> = plan.jobs.iter().map(|_| CompletionTokens::default()).collect();
        let mut completion_tokens = 0;
        while let Some(event) = events.next().await {
            let (index, event) = event?;
            let (mut choice, tokens) = match event {
                AnswerEvent::Said(Said::Text(text), tokens) => (CompletionChoice::new(index, text, None), tokens),
                AnswerEvent::Said(Said::Reasoning(_) | Said::Call(_), _) => continue,
                AnswerEvent::Finished(Finished { reason, tokens, last, .. }) => {
                    completion_tokens += tokens;
                    (CompletionChoice::new(index, "", Some(reason)), last)
                }
            };
            choice.logprobs = plan
                .tells_tokens
                .then(|| told[index as usize].next(&tokens, engine.tokenizer()));
            yield Json::new(piece(vec![choice]));
        }
        if plan.includes_usage {
            let mut last = piece(Vec::new());
            last.usage = Some(CompletionUsage::new(plan.prompt_tokens, completion_tokens));
            yield Json::new(last);
        }
    }
}
