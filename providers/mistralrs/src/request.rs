//! What chat completions and completions have in common: how their fields are checked and turned into settings.

use std::collections::BTreeMap;

use puna_api::{Error, Result, StopSequences, StreamOptions};
use serde_json::{Map, Number, Value};

use crate::engine::Engine;
use crate::sampling::Sampling;

/// Sampling fields that are not OpenAI's, by their names in vLLM.
const SAMPLING_EXTRAS: [&str; 3] = ["top_k", "min_p", "repetition_penalty"];

/// Most stop sequences in a request: generous, and yet a bound on the work per character.
const MAX_STOPS: usize = 64;

/// Most answers to one prompt, as at OpenAI.
const MAX_CHOICES: u32 = 128;

/// The fields that say how tokens are chosen.
pub(crate) struct SamplingFields<'a> {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) frequency_penalty: Option<f64>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) seed: Option<i64>,
    pub(crate) logit_bias: Option<&'a BTreeMap<String, Number>>,
    pub(crate) extra: &'a Map<String, Value>,
}

/// An error for something that the provider does not do, with the place where it was asked for.
pub(crate) fn unsupported(param: &str, what: &str) -> Error {
    Error::unsupported(format!("`{param}`: {what} is not supported by the local engine")).with_param(param)
}

/// Fails as unsupported if a field is set.
pub(crate) fn refuse(is_set: bool, param: &str) -> Result<()> {
    if is_set {
        let message = format!("`{param}` is not supported by the local engine");
        return Err(Error::unsupported(message).with_param(param));
    }
    Ok(())
}

/// Fails as unsupported if there is an unknown field that says anything. `place` is the path of what has it.
pub(crate) fn refuse_extra(extra: &Map<String, Value>, known: &[&str], place: &str) -> Result<()> {
    let unknown = extra
        .iter()
        .find(|(name, value)| !known.contains(&name.as_str()) && !says_nothing(value));
    match unknown {
        Some((name, _)) if place.is_empty() => refuse(true, name),
        Some((name, _)) => refuse(true, &format!("{place}.{name}")),
        None => Ok(()),
    }
}

/// Fails as unsupported if the request has a field that neither OpenAI nor this provider knows.
pub(crate) fn refuse_unknown(extra: &Map<String, Value>, known: &[&str]) -> Result<()> {
    let known: Vec<&str> = SAMPLING_EXTRAS.iter().chain(known).copied().collect();
    refuse_extra(extra, &known, "")
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// How to choose tokens: as the request says, else as the model's maker does, else by the plain probabilities.
pub(crate) fn sampling(fields: &SamplingFields<'_>, engine: &Engine) -> Result<Sampling> {
    let defaults = engine.defaults();
    let neutral = Sampling::default();
    let penalty = -2.0..=2.0;
    let top_k = match fields.extra.get("top_k").filter(|value| !value.is_null()) {
        // vLLM has -1, others 0, for all.
        Some(value) => match value.as_i64() {
            Some(-1 | 0) => None,
            Some(top_k) if top_k > 0 => Some(usize::try_from(top_k).unwrap_or(usize::MAX)),
            _ => {
                return Err(out_of_range(
                    "top_k",
                    "a whole number from 1, or 0 or -1 for all tokens",
                    value,
                ));
            }
        },
        None => defaults.top_k,
    };
    let repetition_penalty = extra_number(fields.extra, "repetition_penalty", 0.0..=100.0)?;
    if repetition_penalty == Some(0.0) {
        return Err(out_of_range("repetition_penalty", "above 0", 0));
    }
    Ok(Sampling {
        temperature: within(fields.temperature, 0.0..=2.0, "temperature")?
            .or(defaults.temperature)
            .unwrap_or(neutral.temperature),
        top_p: within(fields.top_p, 0.0..=1.0, "top_p")?
            .or(defaults.top_p)
            .unwrap_or(neutral.top_p),
        top_k,
        min_p: extra_number(fields.extra, "min_p", 0.0..=1.0)?
            .or(defaults.min_p)
            .unwrap_or(neutral.min_p),
        frequency_penalty: within(fields.frequency_penalty, penalty.clone(), "frequency_penalty")?.unwrap_or_default(),
        presence_penalty: within(fields.presence_penalty, penalty, "presence_penalty")?.unwrap_or_default(),
        repetition_penalty: repetition_penalty
            .or(defaults.repetition_penalty)
            .unwrap_or(neutral.repetition_penalty),
        logit_bias: fields
            .logit_bias
            .map(|bias| logit_bias(bias, engine))
            .transpose()?
            .unwrap_or_default(),
        seed: fields.seed.map(i64::cast_unsigned),
    })
}

fn logit_bias(bias: &BTreeMap<String, Number>, engine: &Engine) -> Result<Vec<(u32, f32)>> {
    let tokens = engine.tokenizer().vocabulary_size();
    bias.iter()
        .map(|(token, bias)| {
            let param = format!("logit_bias.{token}");
            let token = token.parse::<u32>().ok().filter(|token| (*token as usize) < tokens);
            let token = token.ok_or_else(|| {
                Error::invalid_request(format!(
                    "`{param}`: the keys must be token ids from 0 to {}",
                    tokens - 1
                ))
                .with_param("logit_bias")
            })?;
            let bias = within(bias.as_f64(), -100.0..=100.0, &param)?.unwrap_or_default();
            Ok((token, bias as f32))
        })
        .collect()
}

fn extra_number(extra: &Map<String, Value>, name: &str, range: std::ops::RangeInclusive<f64>) -> Result<Option<f64>> {
    match extra.get(name).filter(|value| !value.is_null()) {
        Some(value) => match value.as_f64() {
            Some(number) => within(Some(number), range, name),
            None => Err(out_of_range(name, "a number", value)),
        },
        None => Ok(None),
    }
}

fn within(value: Option<f64>, range: std::ops::RangeInclusive<f64>, param: &str) -> Result<Option<f64>> {
    match value {
        Some(value) if !range.contains(&value) => Err(out_of_range(
            param,
            &format!("from {} to {}", range.start(), range.end()),
            value,
        )),
        value => Ok(value),
    }
}

pub(crate) fn out_of_range(param: &str, right: &str, value: impl std::fmt::Display) -> Error {
    Error::invalid_request(format!("`{param}` must be {right}, not {value}")).with_param(param)
}

/// The texts at which answers end.
pub(crate) fn stops(stop: Option<&StopSequences>) -> Result<Vec<String>> {
    let stops = stop.map(StopSequences::as_slice).unwrap_or_default();
    if stops.iter().any(String::is_empty) {
        return Err(Error::invalid_request("`stop` must not contain an empty text").with_param("stop"));
    }
    if stops.len() > MAX_STOPS {
        let message = format!(
            "`stop` must not have more than {MAX_STOPS} texts, it has {}",
            stops.len()
        );
        return Err(Error::invalid_request(message).with_param("stop"));
    }
    Ok(stops.to_vec())
}

/// How many answers to make.
pub(crate) fn choices(n: Option<u32>) -> Result<u32> {
    match n.unwrap_or(1) {
        n @ 1..=MAX_CHOICES => Ok(n),
        n => Err(out_of_range("n", &format!("from 1 to {MAX_CHOICES}"), n)),
    }
}

/// Checks what a stream should hold. Whether it ends with its usage is the request's to tell.
pub(crate) fn stream_options(options: Option<&StreamOptions>, is_stream: bool) -> Result<()> {
    let Some(options) = options else { return Ok(()) };
    if !is_stream {
        let message = "`stream_options` may only be set together with `stream`";
        return Err(Error::invalid_request(message).with_param("stream_options"));
    }
    refuse_extra(&options.extra, &[], "stream_options")
}

/// The most tokens that may be generated: as many as were asked for, and no more than the context has room for.
///
/// Fails as an invalid request when none were asked for.
pub(crate) fn max_tokens(wanted: Option<u32>, param: &str, prompt: usize, engine: &Engine) -> Result<u32> {
    if wanted == Some(0) {
        return Err(out_of_range(param, "at least 1", 0));
    }
    let room = u32::try_from(engine.context_length().saturating_sub(prompt)).unwrap_or(u32::MAX);
    Ok(wanted.map_or(room, |wanted| wanted.min(room)))
}

/// The tokens of a text that comes with the request in the field `param`. Does not begin to work on one that cannot fit.
pub(crate) fn encode(text: &str, with_marks: bool, param: &str, engine: &Engine) -> Result<Vec<u32>> {
    let fewest = engine.tokenizer().fewest_tokens(text.len());
    if fewest >= engine.context_length() {
        return Err(too_long(fewest, "at least ", param, engine));
    }
    let tokens = engine.tokenizer().encode(text, with_marks)?;
    check_length(tokens.len(), param, engine)?;
    Ok(tokens)
}

/// Fails as an invalid request when a prompt of so many tokens leaves no room for an answer.
pub(crate) fn check_length(tokens: usize, param: &str, engine: &Engine) -> Result<()> {
    if tokens >= engine.context_length() {
        return Err(too_long(tokens, "", param, engine));
    }
    Ok(())
}

fn too_long(prompt: usize, bound: &str, param: &str, engine: &Engine) -> Error {
    let (context, model) = (engine.context_length(), engine.id());
    Error::invalid_request(format!(
        "the prompt has {bound}{prompt} tokens, which leaves no room for an answer in the context of {context} tokens of the \
         model `{model}`"
    ))
    .with_code("context_length_exceeded")
    .with_param(param)
}
