//! Streamed chat completions.

use std::collections::BTreeMap;

use puna_api::Capability;
use serde_json::{Value, json};

use super::outcome::{Failure, Verdict, check_usage, choice_text, ensure, ensure_eq, list, text};
use super::subject::{HELLO, REQUESTED_MODEL, Subject, chat_body};
use super::trial::{Need, Trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    const CHAT: Need = Need::Can(Capability::Chat);
    vec![
        trial!("stream", has_the_shape_of_chunks, CHAT),
        trial!("stream", shows_the_requested_model_in_every_chunk, CHAT),
        trial!("stream", joined_is_the_whole_answer, CHAT),
        trial!("stream", joined_is_what_was_said, CHAT, Need::Echo),
        trial!("stream", comes_in_more_than_one_piece, CHAT, Need::Echo),
        trial!("stream", one_chunk_has_the_finish_reason, CHAT),
        trial!("stream", max_tokens_ends_it_with_length, CHAT),
        trial!("stream", usage_comes_last_when_asked_for, CHAT),
        trial!("stream", usage_is_absent_unless_asked_for, CHAT),
        trial!("stream", never_shows_a_stop_sequence, CHAT, Need::Can(Capability::Stop)),
        trial!(
            "stream",
            n_choices_each_end_once,
            CHAT,
            Need::Can(Capability::MultipleChoices)
        ),
        trial!(
            "stream",
            logprobs_tell_each_token,
            CHAT,
            Need::Can(Capability::Logprobs)
        ),
    ]
}

fn streamed(fields: Value) -> Value {
    let mut body = chat_body(HELLO, fields);
    body["stream"] = json!(true);
    body
}

/// The text of each choice, joined from its chunks.
pub(super) fn joined(chunks: &[Value]) -> BTreeMap<u64, String> {
    let mut texts = BTreeMap::<u64, String>::new();
    for choice in choices(chunks) {
        let text = choice
            .get("text")
            .or_else(|| choice["delta"].get("content"))
            .and_then(Value::as_str);
        texts
            .entry(choice["index"].as_u64().unwrap_or(u64::MAX))
            .or_default()
            .push_str(text.unwrap_or_default());
    }
    texts
}

/// The entries of all chunks' `choices`.
pub(super) fn choices(chunks: &[Value]) -> impl Iterator<Item = &Value> {
    chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten()
}

/// Checks that each of `n` choices ends once, and says nothing after it; answers the reasons.
pub(super) fn finish_reasons(chunks: &[Value], n: u64) -> Result<Vec<String>, Failure> {
    let mut reasons = BTreeMap::<u64, String>::new();
    for choice in choices(chunks) {
        let index = choice["index"]
            .as_u64()
            .ok_or_else(|| format!("a choice without an index: {choice}"))?;
        ensure!(
            !reasons.contains_key(&index),
            "choice {index} goes on after its finish reason: {choice}"
        );
        if let Some(reason) = choice["finish_reason"].as_str() {
            reasons.insert(index, reason.to_owned());
        }
    }
    ensure_eq!(
        reasons.keys().copied().collect::<Vec<_>>(),
        (0..n).collect::<Vec<_>>(),
        "the choices that end"
    );
    Ok(reasons.into_values().collect())
}

async fn has_the_shape_of_chunks(subject: Subject) -> Verdict {
    let chunks = subject.chat_chunks(&streamed(json!({}))).await?;
    let first = chunks.first().ok_or("the stream is empty")?;
    ensure_eq!(
        first["choices"][0]["delta"]["role"],
        "assistant",
        "the role in the first chunk, {first}"
    );
    for chunk in &chunks {
        ensure_eq!(chunk["object"], "chat.completion.chunk", "the `object` of {chunk}");
        ensure!(
            chunk["id"].as_str().is_some_and(|id| !id.is_empty()),
            "a chunk has no id: {chunk}"
        );
        ensure_eq!(chunk["id"], first["id"], "the id of a later chunk");
        ensure!(
            chunk["created"].as_u64().is_some_and(|created| created > 0),
            "a chunk has no time: {chunk}"
        );
        for choice in list(chunk, "choices")? {
            ensure!(choice["delta"].is_object(), "a choice without a delta: {choice}");
            ensure!(
                choice.get("message").is_none(),
                "a chunk with a whole message: {choice}"
            );
        }
    }
    Ok(())
}

async fn shows_the_requested_model_in_every_chunk(subject: Subject) -> Verdict {
    let chunks = subject
        .chat_chunks(&streamed(json!({ "stream_options": { "include_usage": true } })))
        .await?;
    for chunk in &chunks {
        ensure_eq!(chunk["model"], REQUESTED_MODEL, "the model of {chunk}");
    }
    Ok(())
}

async fn joined_is_the_whole_answer(subject: Subject) -> Verdict {
    let whole = subject.chat(&chat_body(HELLO, json!({}))).await?;
    let chunks = subject.chat_chunks(&streamed(json!({}))).await?;
    let texts: Vec<String> = joined(&chunks).into_values().collect();
    ensure_eq!(texts, [text(&whole)?.to_owned()], "the chunks joined");
    let reasons = finish_reasons(&chunks, 1)?;
    ensure_eq!(
        Some(reasons[0].as_str()),
        whole["choices"][0]["finish_reason"].as_str(),
        "the stream's finish reason"
    );
    Ok(())
}

async fn joined_is_what_was_said(subject: Subject) -> Verdict {
    for said in [
        "one",
        " two  words\n",
        "naïve 日本語 🦙 \u{1f469}\u{200d}\u{1f680}",
        "data: [DONE]\n\ndata: {}\r\n",
        "\"\\",
    ] {
        let chunks = subject.chat_chunks(&chat_body(said, json!({ "stream": true }))).await?;
        ensure_eq!(
            joined(&chunks).into_values().collect::<Vec<_>>(),
            [said],
            "the chunks joined"
        );
    }
    Ok(())
}

async fn comes_in_more_than_one_piece(subject: Subject) -> Verdict {
    let chunks = subject.chat_chunks(&streamed(json!({}))).await?;
    let pieces =
        choices(&chunks).filter(|choice| choice["delta"]["content"].as_str().is_some_and(|text| !text.is_empty()));
    let pieces = pieces.count();
    ensure!(pieces > 1, "the whole text came in {pieces} piece");
    Ok(())
}

async fn one_chunk_has_the_finish_reason(subject: Subject) -> Verdict {
    let chunks = subject.chat_chunks(&streamed(json!({}))).await?;
    let reasons = finish_reasons(&chunks, 1)?;
    ensure!(
        matches!(reasons[0].as_str(), "stop" | "length"),
        "the finish reason is {:?}",
        reasons[0]
    );
    Ok(())
}

async fn max_tokens_ends_it_with_length(subject: Subject) -> Verdict {
    let whole = subject.chat(&chat_body(HELLO, json!({ "max_tokens": 1 }))).await?;
    let chunks = subject.chat_chunks(&streamed(json!({ "max_tokens": 1 }))).await?;
    ensure_eq!(
        joined(&chunks).into_values().collect::<Vec<_>>(),
        [text(&whole)?.to_owned()],
        "the chunks joined"
    );
    let reasons = finish_reasons(&chunks, 1)?;
    ensure_eq!(
        Some(reasons[0].as_str()),
        whole["choices"][0]["finish_reason"].as_str(),
        "the stream's finish reason"
    );
    if subject.echoes {
        ensure_eq!(reasons, ["length"], "the finish reason");
    }
    Ok(())
}

async fn usage_comes_last_when_asked_for(subject: Subject) -> Verdict {
    let whole = subject.chat(&chat_body(HELLO, json!({}))).await?;
    let chunks = subject
        .chat_chunks(&streamed(json!({ "stream_options": { "include_usage": true } })))
        .await?;
    let (last, others) = chunks.split_last().ok_or("the stream is empty")?;
    ensure_eq!(last["choices"], json!([]), "the choices of the last chunk, {last}");
    check_usage(&last["usage"])?;
    for count in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        ensure_eq!(last["usage"][count], whole["usage"][count], "the stream's `{count}`");
    }
    for chunk in others {
        ensure!(chunk["usage"].is_null(), "usage before the last chunk: {chunk}");
        list(chunk, "choices")?;
    }
    finish_reasons(&chunks, 1)?;
    Ok(())
}

async fn usage_is_absent_unless_asked_for(subject: Subject) -> Verdict {
    for fields in [json!({}), json!({ "stream_options": { "include_usage": false } })] {
        let chunks = subject.chat_chunks(&streamed(fields.clone())).await?;
        ensure!(!chunks.is_empty(), "the stream is empty");
        for chunk in &chunks {
            ensure!(
                chunk["usage"].is_null(),
                "with {fields}, usage that nobody asked for: {chunk}"
            );
            list(chunk, "choices")?;
        }
    }
    Ok(())
}

async fn never_shows_a_stop_sequence(subject: Subject) -> Verdict {
    let answer = subject.chat(&chat_body(HELLO, json!({}))).await?;
    let said: Vec<char> = text(&answer)?.chars().collect();
    ensure!(said.len() >= 6, "the model says too little to stop it: {answer}");
    // Every place in the text, so that some stop sequences begin within a token and end in another.
    for start in (1..said.len() - 4).step_by(3) {
        let stop: String = said[start..start + 4].iter().collect();
        let whole = subject.chat(&chat_body(HELLO, json!({ "stop": [stop] }))).await?;
        let chunks = subject.chat_chunks(&streamed(json!({ "stop": [stop] }))).await?;
        let texts: Vec<String> = joined(&chunks).into_values().collect();
        ensure_eq!(texts, [text(&whole)?.to_owned()], "the chunks up to {stop:?}, joined");
        ensure!(
            !texts[0].contains(&stop),
            "the stream shows its stop sequence {stop:?}: {texts:?}"
        );
        ensure_eq!(finish_reasons(&chunks, 1)?, ["stop"], "the finish reason");
    }
    Ok(())
}

async fn n_choices_each_end_once(subject: Subject) -> Verdict {
    let whole = subject.chat(&chat_body(HELLO, json!({ "n": 2 }))).await?;
    let chunks = subject.chat_chunks(&streamed(json!({ "n": 2 }))).await?;
    finish_reasons(&chunks, 2)?;
    let expected = list(&whole, "choices")?
        .iter()
        .map(|choice| choice_text(choice).map(str::to_owned))
        .collect::<Result<Vec<_>, _>>()?;
    ensure_eq!(
        joined(&chunks).into_values().collect::<Vec<_>>(),
        expected,
        "the chunks of each choice, joined"
    );
    Ok(())
}

async fn logprobs_tell_each_token(subject: Subject) -> Verdict {
    let chunks = subject
        .chat_chunks(&streamed(json!({ "logprobs": true, "max_tokens": 5 })))
        .await?;
    let tokens: String = choices(&chunks)
        .filter_map(|choice| choice["logprobs"]["content"].as_array())
        .flatten()
        .filter_map(|token| token["token"].as_str())
        .collect();
    ensure_eq!(
        [tokens],
        joined(&chunks).into_values().collect::<Vec<_>>()[..],
        "the tokens of the log probabilities, joined"
    );
    Ok(())
}
