//! Completions, whole and streamed.

use puna_api::{Capability, ErrorKind};
use serde_json::{Value, json};

use super::outcome::{Failure, Verdict, check_usage, choice_text, ensure, ensure_eq, expect_named, list, text};
use super::stream::{finish_reasons, joined};
use super::subject::{HELLO, REQUESTED_MODEL, Subject, completion_body};
use super::trial::{Need, Trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    const COMPLETION: Need = Need::Can(Capability::Completion);
    vec![
        trial!("completion", answers_in_the_shape_of_a_completion, COMPLETION),
        trial!("completion", shows_the_requested_model, COMPLETION),
        trial!("completion", echoes_the_prompt, COMPLETION, Need::Echo),
        trial!("completion", each_prompt_has_its_choices, COMPLETION),
        trial!("completion", token_ids_are_taken_or_refused_by_name, COMPLETION),
        trial!("completion", max_tokens_ends_the_text, COMPLETION),
        trial!(
            "completion",
            stop_ends_the_text,
            COMPLETION,
            Need::Can(Capability::Stop)
        ),
        trial!(
            "completion",
            n_gives_that_many_choices,
            COMPLETION,
            Need::Can(Capability::MultipleChoices)
        ),
        trial!("completion", echo_is_honoured_or_refused_by_name, COMPLETION),
        trial!(
            "completion",
            logprobs_tell_each_token,
            COMPLETION,
            Need::Can(Capability::Logprobs)
        ),
        trial!("completion", stream_joined_is_the_whole_answer, COMPLETION),
        trial!(
            "completion",
            stream_shows_the_requested_model_in_every_chunk,
            COMPLETION
        ),
        trial!("completion", stream_of_several_prompts_is_told_apart, COMPLETION),
        trial!("completion", stream_usage_comes_last_when_asked_for, COMPLETION),
        trial!("completion", stream_usage_is_absent_unless_asked_for, COMPLETION),
        trial!("completion", an_empty_list_of_prompts_is_named, COMPLETION, Need::Ours),
        trial!("completion", a_wrong_type_is_named, COMPLETION, Need::Ours),
        trial!("completion", a_wrong_value_is_named, COMPLETION, Need::Ours),
    ]
}

fn streamed(prompt: Value, fields: Value) -> Value {
    let mut body = completion_body(prompt, fields);
    body["stream"] = json!(true);
    body
}

async fn answers_in_the_shape_of_a_completion(subject: Subject) -> Verdict {
    let answer = subject.complete(&completion_body(json!(HELLO), json!({}))).await?;
    ensure_eq!(answer["object"], "text_completion", "the answer's `object`");
    ensure!(
        answer["id"].as_str().is_some_and(|id| !id.is_empty()),
        "the answer has no id: {answer}"
    );
    ensure!(
        answer["created"].as_u64().is_some_and(|created| created > 0),
        "the answer has no time: {answer}"
    );
    check_usage(&answer["usage"])?;
    let choices = list(&answer, "choices")?;
    ensure_eq!(choices.len(), 1, "the number of choices");
    ensure_eq!(choices[0]["index"], 0, "the choice's index");
    ensure!(choices[0]["text"].is_string(), "a choice without text: {answer}");
    let reason = &choices[0]["finish_reason"];
    ensure!(
        *reason == "stop" || *reason == "length",
        "the finish reason is {reason}; expected `stop` or `length`"
    );
    Ok(())
}

async fn shows_the_requested_model(subject: Subject) -> Verdict {
    let answer = subject.complete(&completion_body(json!(HELLO), json!({}))).await?;
    ensure_eq!(answer["model"], REQUESTED_MODEL, "the answer's model");
    Ok(())
}

async fn echoes_the_prompt(subject: Subject) -> Verdict {
    for said in [HELLO, "one", " two  words\n", "naïve 日本語 🦙"] {
        let answer = subject.complete(&completion_body(json!(said), json!({}))).await?;
        ensure_eq!(text(&answer)?, said, "the text");
    }
    Ok(())
}

const PROMPTS: [&str; 3] = [HELLO, "Once upon a time", "In the beginning"];

async fn each_prompt_has_its_choices(subject: Subject) -> Verdict {
    let answer = subject.complete(&completion_body(json!(PROMPTS), json!({}))).await?;
    let choices = list(&answer, "choices")?;
    ensure_eq!(choices.len(), PROMPTS.len(), "the number of choices");
    for (index, (choice, prompt)) in choices.iter().zip(PROMPTS).enumerate() {
        ensure_eq!(choice["index"], json!(index), "the index of a choice");
        let alone = subject.complete(&completion_body(json!(prompt), json!({}))).await?;
        ensure_eq!(
            choice_text(choice)?,
            text(&alone)?,
            "the text of prompt {index} among others"
        );
    }
    Ok(())
}

async fn token_ids_are_taken_or_refused_by_name(subject: Subject) -> Verdict {
    for (prompt, choices) in [(json!([5, 6, 7]), 1), (json!([[5, 6], [7]]), 2)] {
        match subject.complete(&completion_body(prompt.clone(), json!({}))).await {
            Ok(answer) => ensure_eq!(
                list(&answer, "choices")?.len(),
                choices,
                "the number of choices for {prompt}"
            ),
            refused => expect_named(
                refused,
                &[ErrorKind::Unsupported, ErrorKind::InvalidRequest],
                "prompt",
                "token ids",
            )?,
        }
    }
    Ok(())
}

async fn max_tokens_ends_the_text(subject: Subject) -> Verdict {
    let answer = subject
        .complete(&completion_body(json!(HELLO), json!({ "max_tokens": 2 })))
        .await?;
    let whole = subject.complete(&completion_body(json!(HELLO), json!({}))).await?;
    ensure!(
        answer["usage"]["completion_tokens"].as_u64() <= Some(2),
        "a limit of 2 tokens gave {answer}"
    );
    ensure!(
        text(&whole)?.starts_with(text(&answer)?),
        "{answer} is not the beginning of {whole}"
    );
    if whole["usage"]["completion_tokens"].as_u64() > Some(2) {
        ensure_eq!(
            answer["choices"][0]["finish_reason"],
            "length",
            "the finish reason of a text that the limit ends"
        );
    }
    Ok(())
}

/// A prompt that the model has something to say to, with what it says: a small one may end some texts at once.
async fn prompt_with_an_answer(subject: &Subject) -> Result<(&'static str, Value), Failure> {
    let (mut prompt, mut whole) = (HELLO, Value::Null);
    for next in [HELLO, "Once upon a time there was", "The llama", "One, two, three"] {
        prompt = next;
        whole = subject.complete(&completion_body(json!(prompt), json!({}))).await?;
        if text(&whole)?.chars().count() >= 4 {
            break;
        }
    }
    Ok((prompt, whole))
}

async fn stop_ends_the_text(subject: Subject) -> Verdict {
    let (prompt, whole) = prompt_with_an_answer(&subject).await?;
    let said: Vec<char> = text(&whole)?.chars().collect();
    ensure!(said.len() >= 4, "the model says too little to stop it: {whole}");
    let stop: String = said[said.len() / 2..(said.len() / 2 + 3).min(said.len())]
        .iter()
        .collect();
    let expected = text(&whole)?.split(&stop).next().unwrap_or_default();
    let answer = subject
        .complete(&completion_body(json!(prompt), json!({ "stop": stop })))
        .await?;
    ensure_eq!(text(&answer)?, expected, "the text up to {stop:?}");
    let chunks = subject
        .completion_chunks(&streamed(json!(prompt), json!({ "stop": [stop] })))
        .await?;
    ensure_eq!(
        joined(&chunks).into_values().collect::<Vec<_>>(),
        [expected],
        "the chunks up to {stop:?}"
    );
    Ok(())
}

async fn n_gives_that_many_choices(subject: Subject) -> Verdict {
    let answer = subject
        .complete(&completion_body(json!(PROMPTS[..2]), json!({ "n": 2 })))
        .await?;
    let choices = list(&answer, "choices")?;
    let indexes: Vec<_> = choices.iter().filter_map(|choice| choice["index"].as_u64()).collect();
    ensure_eq!(indexes, [0, 1, 2, 3], "the indexes of the choices of two prompts");
    for (choice, prompt) in choices.iter().zip([PROMPTS[0], PROMPTS[0], PROMPTS[1], PROMPTS[1]]) {
        if subject.echoes {
            ensure_eq!(choice_text(choice)?, prompt, "the text of choice {}", choice["index"]);
        }
    }
    Ok(())
}

async fn echo_is_honoured_or_refused_by_name(subject: Subject) -> Verdict {
    let outcome = subject
        .complete(&completion_body(json!(HELLO), json!({ "echo": true })))
        .await;
    match outcome {
        Ok(answer) => {
            let plain = subject.complete(&completion_body(json!(HELLO), json!({}))).await?;
            ensure_eq!(
                text(&answer)?,
                format!("{HELLO}{}", text(&plain)?),
                "the text after the prompt"
            );
            Ok(())
        }
        refused => expect_named(
            refused,
            &[ErrorKind::Unsupported, ErrorKind::InvalidRequest],
            "echo",
            "`echo`",
        ),
    }
}

async fn logprobs_tell_each_token(subject: Subject) -> Verdict {
    let (prompt, _) = prompt_with_an_answer(&subject).await?;
    let answer = subject
        .complete(&completion_body(
            json!(prompt),
            json!({ "logprobs": 2, "max_tokens": 5 }),
        ))
        .await?;
    let logprobs = &answer["choices"][0]["logprobs"];
    let tokens = list(logprobs, "tokens")?;
    // A token that is but a part of a character has no text of its own.
    if tokens.iter().all(|token| token.as_str().is_some_and(is_text)) {
        let tokens: String = tokens.iter().filter_map(Value::as_str).collect();
        ensure_eq!(tokens, text(&answer)?, "the tokens joined");
    }
    ensure_eq!(
        list(logprobs, "token_logprobs")?.len(),
        tokens.len(),
        "the number of log probabilities"
    );
    for logprob in list(logprobs, "token_logprobs")? {
        ensure!(
            logprob.as_f64().is_some_and(|logprob| logprob <= 0.0),
            "a log probability above 0: {logprob}"
        );
    }
    Ok(())
}

fn is_text(token: &str) -> bool {
    !token.starts_with("bytes:") && !token.contains(char::REPLACEMENT_CHARACTER)
}

async fn stream_joined_is_the_whole_answer(subject: Subject) -> Verdict {
    let whole = subject.complete(&completion_body(json!(HELLO), json!({}))).await?;
    let chunks = subject.completion_chunks(&streamed(json!(HELLO), json!({}))).await?;
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
    Ok(())
}

async fn stream_shows_the_requested_model_in_every_chunk(subject: Subject) -> Verdict {
    let body = streamed(json!(HELLO), json!({ "stream_options": { "include_usage": true } }));
    for chunk in &subject.completion_chunks(&body).await? {
        ensure_eq!(chunk["model"], REQUESTED_MODEL, "the model of {chunk}");
        ensure_eq!(chunk["object"], "text_completion", "the `object` of {chunk}");
    }
    Ok(())
}

async fn stream_of_several_prompts_is_told_apart(subject: Subject) -> Verdict {
    let whole = subject.complete(&completion_body(json!(PROMPTS), json!({}))).await?;
    let chunks = subject.completion_chunks(&streamed(json!(PROMPTS), json!({}))).await?;
    finish_reasons(&chunks, PROMPTS.len() as u64)?;
    let expected = list(&whole, "choices")?
        .iter()
        .map(|choice| choice_text(choice).map(str::to_owned))
        .collect::<Result<Vec<_>, _>>()?;
    ensure_eq!(
        joined(&chunks).into_values().collect::<Vec<_>>(),
        expected,
        "the chunks of each prompt, joined"
    );
    Ok(())
}

async fn stream_usage_comes_last_when_asked_for(subject: Subject) -> Verdict {
    let whole = subject.complete(&completion_body(json!(HELLO), json!({}))).await?;
    let body = streamed(json!(HELLO), json!({ "stream_options": { "include_usage": true } }));
    let chunks = subject.completion_chunks(&body).await?;
    let (last, others) = chunks.split_last().ok_or("the stream is empty")?;
    ensure_eq!(last["choices"], json!([]), "the choices of the last chunk, {last}");
    for count in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        ensure_eq!(last["usage"][count], whole["usage"][count], "the stream's `{count}`");
    }
    ensure!(
        others.iter().all(|chunk| chunk["usage"].is_null()),
        "usage before the last chunk: {others:?}"
    );
    Ok(())
}

async fn stream_usage_is_absent_unless_asked_for(subject: Subject) -> Verdict {
    let chunks = subject.completion_chunks(&streamed(json!(HELLO), json!({}))).await?;
    ensure!(!chunks.is_empty(), "the stream is empty");
    for chunk in &chunks {
        ensure!(chunk["usage"].is_null(), "usage that nobody asked for: {chunk}");
        list(chunk, "choices")?;
    }
    Ok(())
}

async fn an_empty_list_of_prompts_is_named(subject: Subject) -> Verdict {
    let outcome = subject.complete(&completion_body(json!([]), json!({}))).await;
    expect_named(
        outcome,
        &[ErrorKind::InvalidRequest],
        "prompt",
        "an empty list of prompts",
    )
}

async fn a_wrong_type_is_named(subject: Subject) -> Verdict {
    for (field, value) in [
        ("prompt", json!({ "a": 1 })),
        ("max_tokens", json!("ten")),
        ("temperature", json!("hot")),
        ("stop", json!(5)),
    ] {
        let outcome = subject
            .complete(&completion_body(json!(HELLO), json!({ field: value })))
            .await;
        expect_named(
            outcome,
            &[ErrorKind::InvalidRequest],
            field,
            &format!("`{field}` of {value}"),
        )?;
    }
    Ok(())
}

async fn a_wrong_value_is_named(subject: Subject) -> Verdict {
    for (field, value) in [
        ("max_tokens", json!(-1)),
        ("n", json!(0)),
        ("temperature", json!(-0.5)),
        ("top_p", json!(1.5)),
    ] {
        let outcome = subject
            .complete(&completion_body(json!(HELLO), json!({ field: value })))
            .await;
        expect_named(
            outcome,
            &[ErrorKind::InvalidRequest],
            field,
            &format!("`{field}` of {value}"),
        )?;
    }
    Ok(())
}
