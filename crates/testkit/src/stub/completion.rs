//! `/v1/completions`.

use serde_json::{Value, json};

use super::StubSettings;
use super::answer::Answer;
use super::check::{Fields, Refusal};
use super::generation::{Generated, Generation, usage};
use super::words::count;

const ID: &str = "cmpl-5b0d4ee1";
const CREATED: u64 = 1_760_000_000;
/// As many tokens as OpenAI and vLLM generate when a completion sets no limit.
const DEFAULT_LIMIT: usize = 16;

pub(super) fn answer(body: &[u8], settings: &StubSettings) -> Result<Answer, Refusal> {
    let fields = Fields::parse(body)?;
    let model = fields.model(&settings.chat_models)?.to_owned();
    let generation = Generation::read(&fields, Some(DEFAULT_LIMIT))?;
    let logprobs = fields.count("logprobs", 0)?;
    let echo = fields.boolean("echo")?.unwrap_or(false);
    let suffix = fields.text("suffix")?.unwrap_or_default().to_owned();
    let prompts = texts(&fields, "prompt")?;

    let mut prompt_tokens = 0;
    let mut choices = Vec::new();
    for prompt in &prompts {
        prompt_tokens += count(prompt);
        let mut generated = generation.generate(prompt);
        if !suffix.is_empty() && generated.finish_reason == "stop" {
            generated.tokens.push(suffix.clone());
        }
        if echo {
            generated.tokens.insert(0, prompt.clone());
        }
        choices.extend(std::iter::repeat_n(generated, generation.n));
    }
    let usage = usage(prompt_tokens, choices.iter().map(|choice| choice.tokens.len()).sum());

    Ok(if generation.stream {
        let last = generation
            .include_usage
            .then(|| envelope(&model, json!([]), Some(&usage)));
        Answer::Stream(Box::new(chunks(model, choices, logprobs).chain(last)))
    } else {
        let choices: Value = choices
            .iter()
            .enumerate()
            .map(|(index, generated)| {
                choice(
                    index,
                    &generated.text(),
                    &generated.tokens,
                    logprobs,
                    Some(generated.finish_reason),
                )
            })
            .collect();
        Answer::Whole(envelope(&model, choices, Some(&usage)))
    })
}

/// Texts, or token ids spelled out as numbers.
pub(super) fn texts(fields: &Fields, name: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || {
        let message = format!("Invalid type for '{name}': expected a string, or an array of strings or of token ids.");
        Refusal::invalid(name, message)
    };
    let spelled = |tokens: &[Value]| -> Option<String> {
        tokens
            .iter()
            .map(|token| token.as_u64().map(|token| token.to_string()))
            .collect::<Option<Vec<_>>>()
            .map(|words| words.join(" "))
    };
    let texts = match fields
        .get(name)
        .ok_or_else(|| Refusal::invalid(name, format!("Missing required parameter: '{name}'.")))?
    {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => match items.first() {
            Some(Value::Number(_)) => vec![spelled(items).ok_or_else(wrong)?],
            _ => items
                .iter()
                .map(|item| match item {
                    Value::String(text) => Some(text.clone()),
                    Value::Array(tokens) => spelled(tokens),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()
                .ok_or_else(wrong)?,
        },
        _ => return Err(wrong()),
    };
    if texts.is_empty() {
        return Err(Refusal::invalid(name, format!("Invalid '{name}': empty array.")));
    }
    Ok(texts)
}

fn chunks(
    model: String,
    choices: Vec<Generated>,
    logprobs: Option<usize>,
) -> impl Iterator<Item = Value> + Send + 'static {
    choices
        .into_iter()
        .enumerate()
        .flat_map(move |(index, generated)| {
            let finish = choice(index, "", &[], None, Some(generated.finish_reason));
            let texts = generated.tokens.into_iter();
            texts
                .map(move |token| choice(index, &token, std::slice::from_ref(&token), logprobs, None))
                .chain([finish])
        })
        .map(move |choice| envelope(&model, json!([choice]), None))
}

fn choice(index: usize, text: &str, tokens: &[String], logprobs: Option<usize>, finish_reason: Option<&str>) -> Value {
    json!({
        "index": index,
        "text": text,
        "logprobs": logprobs.map(|top| token_logprobs(tokens, top)),
        "finish_reason": finish_reason,
        "stop_reason": null,
    })
}

fn token_logprobs(tokens: &[String], top: usize) -> Value {
    let mut offset = 0;
    let offsets: Vec<usize> = tokens
        .iter()
        .map(|token| {
            let start = offset;
            offset += token.chars().count();
            start
        })
        .collect();
    let alternatives: Vec<Value> = tokens
        .iter()
        .map(|token| {
            (0..top)
                .map(|rank| {
                    let other = if rank == 0 {
                        token.clone()
                    } else {
                        format!("{token}{rank}")
                    };
                    (other, json!(-0.25 - rank as f64))
                })
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect();
    json!({
        "text_offset": offsets,
        "token_logprobs": tokens.iter().map(|_| -0.25).collect::<Vec<_>>(),
        "tokens": tokens,
        "top_logprobs": alternatives,
    })
}

fn envelope(model: &str, choices: Value, usage: Option<&Value>) -> Value {
    let mut envelope = json!({ "id": ID, "object": "text_completion", "created": CREATED, "model": model });
    envelope["choices"] = choices;
    if let Some(usage) = usage {
        envelope["usage"] = usage.clone();
    }
    envelope
}
