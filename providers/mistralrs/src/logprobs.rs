//! How likely tokens were.

use std::collections::BTreeMap;

use puna_api::{ChatLogprobs, CompletionLogprobs, Error, Result, TokenLogprob, TopLogprob};
use serde_json::Map;

use crate::engine::Tokenizer;

/// What stands for the logarithm of nothing, which JSON has no number for; as at OpenAI.
const NEXT_TO_NONE: f64 = -9999.0;

/// The most tokens that are told of each place, as at OpenAI.
const MOST: u32 = 20;

/// How likely a token was, and which others were likeliest in its place, by what the model gave: before biases, penalties,
/// temperature and grammars. Natural logarithms.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Likelihood {
    /// That of the token itself.
    pub(crate) logprob: f64,
    /// The likeliest tokens, likeliest first.
    pub(crate) top: Vec<(u32, f64)>,
}

/// A token of an answer, or of its prompt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scored {
    /// The token.
    pub(crate) token: u32,
    /// How likely it was. None for the first token of a prompt, which follows nothing, and where nobody asked.
    pub(crate) likelihood: Option<Likelihood>,
}

impl Likelihood {
    /// How likely `token` is by these logits, and the `top` likeliest ones.
    pub(crate) fn of(token: u32, logits: &[f32], top: usize) -> Self {
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = logits.iter().map(|logit| f64::from(logit - highest).exp()).sum();
        let logprob = |logit: f32| (f64::from(logit - highest) - total.ln()).max(NEXT_TO_NONE);
        Self {
            logprob: logits.get(token as usize).map_or(NEXT_TO_NONE, |logit| logprob(*logit)),
            top: likeliest(logits, top)
                .into_iter()
                .map(|(token, logit)| (token, logprob(logit)))
                .collect(),
        }
    }
}

/// The tokens with the highest logits, highest first; of equal ones the one with the smaller number.
fn likeliest(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let higher = |left: &(u32, f32), right: &(u32, f32)| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0));
    let count = count.min(logits.len());
    let mut tokens: Vec<(u32, f32)> = (0..).zip(logits.iter().copied()).collect();
    if count < tokens.len() {
        tokens.select_nth_unstable_by(count, higher);
        tokens.truncate(count);
    }
    tokens.sort_unstable_by(higher);
    tokens
}

/// How many tokens to tell of each place, by `logprobs` and `top_logprobs` of a chat completion; none when nothing was asked.
pub(crate) fn of_chat(logprobs: Option<bool>, top_logprobs: Option<u32>) -> Result<Option<usize>> {
    let top = top_logprobs.unwrap_or_default();
    if logprobs != Some(true) {
        if top > 0 {
            let message = "`top_logprobs` needs `logprobs` to be true";
            return Err(Error::invalid_request(message).with_param("top_logprobs"));
        }
        return Ok(None);
    }
    within(top, "top_logprobs").map(Some)
}

/// How many tokens to tell of each place, by `logprobs` of a completion; none when nothing was asked.
pub(crate) fn of_completion(logprobs: Option<u32>) -> Result<Option<usize>> {
    logprobs.map(|top| within(top, "logprobs")).transpose()
}

fn within(top: u32, param: &str) -> Result<usize> {
    if top > MOST {
        let message = format!("`{param}` must be from 0 to {MOST}, not {top}");
        return Err(Error::invalid_request(message).with_param(param));
    }
    Ok(top as usize)
}

/// The tokens in the shape of chat completions; null where nobody asked.
pub(crate) fn in_chat(tokens: &[Scored], tokenizer: &Tokenizer) -> Option<ChatLogprobs> {
    let content: Vec<TokenLogprob> = tokens
        .iter()
        .filter_map(|scored| {
            let likelihood = scored.likelihood.as_ref()?;
            Some(chat_token(scored.token, likelihood, tokenizer))
        })
        .collect();
    (!content.is_empty()).then(|| ChatLogprobs {
        content: Some(content),
        ..ChatLogprobs::default()
    })
}

fn chat_token(token: u32, likelihood: &Likelihood, tokenizer: &Tokenizer) -> TokenLogprob {
    let top = likelihood.top.iter().map(|&(token, logprob)| TopLogprob {
        token: tokenizer.text(token),
        logprob,
        bytes: Some(tokenizer.bytes(token).to_vec()),
        extra: Map::new(),
    });
    TokenLogprob {
        token: tokenizer.text(token),
        logprob: likelihood.logprob,
        bytes: Some(tokenizer.bytes(token).to_vec()),
        top_logprobs: top.collect(),
        extra: Map::new(),
    }
}

/// Tells the tokens of a completion, which come in pieces, in the shape of completions.
#[derive(Debug, Default)]
pub(crate) struct CompletionTokens {
    /// Where the next token begins, in characters of the text.
    offset: u64,
}

impl CompletionTokens {
    /// The next tokens.
    pub(crate) fn next(&mut self, tokens: &[Scored], tokenizer: &Tokenizer) -> CompletionLogprobs {
        let mut offsets = Vec::new();
        let mut texts = Vec::new();
        let mut logprobs = Vec::new();
        let mut tops = Vec::new();
        for Scored { token, likelihood } in tokens {
            let text = named(*token, tokenizer);
            offsets.push(self.offset);
            self.offset += tokenizer.characters(*token);
            logprobs.push(likelihood.as_ref().map(|likelihood| likelihood.logprob));
            tops.push(likelihood.as_ref().map(|likelihood| top(*token, likelihood, tokenizer)));
            texts.push(text);
        }
        CompletionLogprobs {
            text_offset: Some(offsets),
            token_logprobs: Some(logprobs),
            tokens: Some(texts),
            top_logprobs: Some(tops),
            ..CompletionLogprobs::default()
        }
    }
}

/// The likeliest tokens and the one that was chosen, as at OpenAI.
fn top(token: u32, likelihood: &Likelihood, tokenizer: &Tokenizer) -> BTreeMap<String, f64> {
    let chosen = (token, likelihood.logprob);
    let mut top = BTreeMap::new();
    for &(token, logprob) in likelihood.top.iter().chain([&chosen]) {
        // Two tokens can have the same text; the likelier one stands for it.
        let entry = top.entry(named(token, tokenizer)).or_insert(logprob);
        *entry = logprob.max(*entry);
    }
    top
}

/// A token's text, or its bytes where they are no text on their own, as OpenAI writes them.
fn named(token: u32, tokenizer: &Tokenizer) -> String {
    let bytes = tokenizer.bytes(token);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes
            .iter()
            .fold("bytes:".to_owned(), |text, byte| format!("{text}\\x{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_natural_and_their_exponentials_add_up() {
        let logits = [1.0, 3.0, 2.0, f32::NEG_INFINITY];
        let all = Likelihood::of(2, &logits, 4);
        let total: f64 = all.top.iter().map(|(_, logprob)| logprob.exp()).sum();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
        let tokens: Vec<u32> = all.top.iter().map(|(token, _)| *token).collect();
        assert_eq!(tokens, [1, 2, 0, 3]);
        assert_eq!(all.top[3].1, NEXT_TO_NONE);
        // The likeliest token is e times as likely as the next one.
        assert!((all.top[0].1 - all.logprob - 1.0).abs() < 1e-6);
        assert_eq!(Likelihood::of(9, &logits, 0).logprob, NEXT_TO_NONE);
    }

    #[test]
    fn only_as_many_as_were_asked_for_are_told() {
        let logits: Vec<f32> = (0..1_000).map(|token| (token * 7_919 % 1_000) as f32).collect();
        let likelihood = Likelihood::of(0, &logits, 3);
        let best: Vec<f32> = likelihood
            .top
            .iter()
            .map(|(token, _)| logits[*token as usize])
            .collect();
        assert_eq!(best, [999.0, 998.0, 997.0]);
        assert!(Likelihood::of(0, &logits, 0).top.is_empty());
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        assert_eq!(of_chat(Some(true), None).unwrap(), Some(0));
        assert_eq!(of_chat(Some(true), Some(20)).unwrap(), Some(20));
        assert_eq!(of_chat(None, Some(0)).unwrap(), None);
        assert_eq!(of_chat(Some(false), Some(1)).unwrap_err().param(), Some("top_logprobs"));
        assert_eq!(of_chat(Some(true), Some(21)).unwrap_err().param(), Some("top_logprobs"));
        assert_eq!(of_completion(Some(0)).unwrap(), Some(0));
        assert_eq!(of_completion(Some(21)).unwrap_err().param(), Some("logprobs"));
    }
}
