//! Completions.

use std::sync::Arc;

use puna_api::{BoxStream, Completion, CompletionChoice, CompletionRequest, CompletionUsage, Json, Result, TextInput};

use crate::check::{absent, answer_size, choices, invalid, nothing_unknown, penalties, sampling, stop, unsupported};
use crate::generation::{Generated, Limits, with_length};
use crate::pace::{Beat, paced};
use crate::provider::Call as Asked;
use crate::words::{SharedPieces, count};

/// As many tokens as the OpenAI API generates when a request sets no limit.
const DEFAULT_MAX_TOKENS: u32 = 16;

/// What the prompts are continued with.
struct Reply {
    /// The choices of each prompt together, prompts in their order.
    choices: Vec<Choice>,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// The tokens of the longest choice, which is how long it takes.
    longest: u64,
}

#[derive(Clone)]
struct Choice {
    /// The prompt, where `echo` wants it before the text.
    prompt: Option<Arc<str>>,
    generated: Generated,
}

/// Answers in one piece.
pub(crate) async fn whole(asked: Asked, request: &CompletionRequest) -> Result<Completion> {
    let reply = Reply::to(request, &asked)?;
    asked.pace.tokens(reply.longest).await?;
    let usage = reply.usage();
    let choices = (0..)
        .zip(reply.choices)
        .map(|(index, Choice { prompt, generated })| {
            let text = format!("{}{}", prompt.as_deref().unwrap_or_default(), generated.text);
            CompletionChoice::new(index, text, Some(generated.finish_reason))
        })
        .collect();
    let mut answer = Completion::new(id(&asked), asked.created, &*asked.model, choices);
    answer.usage = Some(usage);
    Ok(answer)
}

/// Answers piece by piece, one choice after the other.
pub(crate) fn stream(asked: Asked, request: &CompletionRequest) -> Result<BoxStream<Result<Json<Completion>>>> {
    let reply = Reply::to(request, &asked)?;
    let usage = request.includes_usage().then(|| reply.usage());
    let pace = asked.pace.clone();
    let asked = Arc::new(asked);

    let choices = (0..)
        .zip(reply.choices)
        .flat_map(|(index, Choice { prompt, generated })| {
            let prompt = prompt.map(|prompt| (Beat::Rest, CompletionChoice::new(index, &*prompt, None)));
            let pieces = SharedPieces::new(Arc::clone(&generated.text))
                .enumerate()
                .map(move |(place, piece)| (Beat::Token(place as u64), CompletionChoice::new(index, piece, None)));
            let finish = (
                Beat::Rest,
                CompletionChoice::new(index, "", Some(generated.finish_reason)),
            );
            prompt.into_iter().chain(pieces).chain([finish])
        });
    let with_choice = Arc::clone(&asked);
    let chunks = choices.map(move |(beat, choice)| {
        (
            beat,
            Completion::new(id(&with_choice), with_choice.created, &*with_choice.model, vec![choice]),
        )
    });
    let last = usage.map(|usage| {
        let mut last = Completion::new(id(&asked), asked.created, &*asked.model, Vec::new());
        last.usage = Some(usage);
        (Beat::Rest, last)
    });
    Ok(paced(chunks.chain(last), pace))
}

impl Reply {
    /// Reads a request and decides on the answer. Fails for every field that would change it and is not honoured.
    fn to(request: &CompletionRequest, asked: &Asked) -> Result<Self> {
        let limits = check(request)?;
        let n = choices(request.n)?;
        if let Some(best_of) = request.best_of.filter(|best_of| *best_of < n) {
            return Err(invalid("best_of", format!("{best_of} is below `n` of {n}")));
        }
        let prompts = prompts(request.prompt.as_ref())?;
        let mut reply = Self {
            choices: Vec::new(),
            prompt_tokens: 0,
            completion_tokens: 0,
            longest: 0,
        };
        let mut size = 0_usize;
        for prompt in prompts {
            let text = match asked.answer_tokens {
                Some(tokens) => &with_length(prompt, tokens.get()),
                None => prompt,
            };
            let generated = limits.apply(text);
            let tokens = generated.tokens();
            reply.prompt_tokens += count(prompt);
            reply.completion_tokens += tokens * u64::from(n);
            reply.longest = reply.longest.max(tokens);
            let choice = Choice {
                prompt: (request.echo == Some(true)).then(|| prompt.as_str().into()),
                generated,
            };
            size = size.saturating_add(choice.size());
            answer_size(n, size)?;
            reply
                .choices
                .extend(std::iter::repeat_n(choice, usize::try_from(n).unwrap_or(usize::MAX)));
        }
        Ok(reply)
    }

    fn usage(&self) -> CompletionUsage {
        CompletionUsage::new(self.prompt_tokens, self.completion_tokens)
    }
}

impl Choice {
    fn size(&self) -> usize {
        self.prompt.as_ref().map_or(0, |prompt| prompt.len()) + self.generated.text.len()
    }
}

/// Checks all fields but the prompt and the number of choices.
fn check(request: &CompletionRequest) -> Result<Limits> {
    nothing_unknown(&request.extra)?;
    sampling(request.temperature, request.top_p)?;
    penalties(request.frequency_penalty, request.presence_penalty)?;
    absent([
        (
            "logit_bias",
            request.logit_bias.as_ref().is_some_and(|bias| !bias.is_empty()),
        ),
        ("logprobs", request.logprobs.is_some()),
        (
            "suffix",
            request.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()),
        ),
    ])?;
    Ok(Limits {
        tokens: Some(request.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS)),
        stop: stop(request.stop.as_ref())?,
    })
}

fn prompts(prompt: Option<&TextInput>) -> Result<&[String]> {
    let prompts = match prompt {
        None => return Err(invalid("prompt", "is missing; a text to repeat is right")),
        Some(TextInput::Text(prompt)) => std::slice::from_ref(prompt),
        Some(TextInput::Texts(prompts)) => prompts,
        // The words are the tokens, and there are more of them than numbers.
        Some(TextInput::Tokens(_) | TextInput::TokenLists(_)) => return Err(unsupported("prompt")),
    };
    if prompts.is_empty() {
        return Err(invalid("prompt", "no prompts; one or more is right"));
    }
    Ok(prompts)
}

fn id(asked: &Asked) -> String {
    format!("cmpl-{}", asked.request_id)
}
