//! How likely the tokens of answers and prompts are.

use puna_api::{
    ChatCompletionChunk, ChatLogprobs, Completion, CompletionLogprobs, ErrorKind, FinishReason, TokenLogprob,
};
use serde_json::{Value, json};

use crate::local::{Local, body, extend, long, prompt, said};

fn content(logprobs: Option<&ChatLogprobs>) -> &[TokenLogprob] {
    logprobs.and_then(|logprobs| logprobs.content.as_deref()).unwrap()
}

fn streamed(chunks: &[ChatCompletionChunk]) -> Vec<TokenLogprob> {
    let choices = chunks.iter().flat_map(|chunk| &chunk.choices);
    choices
        .filter_map(|choice| choice.logprobs.as_ref())
        .flat_map(|logprobs| logprobs.content.clone().unwrap())
        .collect()
}

/// Checks what holds for every list of tokens, and gives the bytes that they stand for.
fn check(tokens: &[TokenLogprob], top: usize) -> Vec<u8> {
    for token in tokens {
        assert!(token.logprob <= 0.0 && token.logprob >= -9999.0, "{token:?}");
        assert_eq!(token.top_logprobs.len(), top, "{token:?}");
        let told: f64 = token.top_logprobs.iter().map(|top| top.logprob.exp()).sum();
        assert!(told <= 1.0 + 1e-6, "{token:?}");
        assert!(
            token
                .top_logprobs
                .is_sorted_by(|left, right| left.logprob >= right.logprob),
            "{token:?}"
        );
        assert_eq!(String::from_utf8_lossy(token.bytes.as_ref().unwrap()), token.token);
    }
    tokens.iter().flat_map(|token| token.bytes.clone().unwrap()).collect()
}

#[tokio::test]
async fn a_chat_tells_its_tokens() {
    let local = Local::demo().await;
    for fields in [
        json!({}),
        json!({"temperature": 1.5, "seed": 3}),
        json!({"n": 2, "temperature": 1, "seed": 5}),
    ] {
        let mut body = body("What is a llama?", fields);
        extend(&mut body, json!({"logprobs": true, "top_logprobs": 4}));
        let whole = local.chat(&body).await.unwrap();
        let mut tokens = 0;
        let mut all = Vec::new();
        for choice in &whole.choices {
            let told = content(choice.logprobs.as_ref());
            let text = String::from_utf8_lossy(&check(told, 4)).into_owned();
            assert_eq!(text, choice.message.content.as_deref().unwrap(), "{body}");
            if body["temperature"] == 0 {
                for token in told {
                    assert_eq!(
                        (&token.token, token.logprob),
                        (&token.top_logprobs[0].token, token.top_logprobs[0].logprob)
                    );
                }
            }
            // The token that ends an answer is paid for, but is no part of it.
            tokens += told.len() as u64 + u64::from(choice.finish_reason == Some(FinishReason::Stop));
            all.extend(told.to_vec());
        }
        assert_eq!(tokens, whole.usage.unwrap().completion_tokens);
        if whole.choices.len() == 1 {
            extend(&mut body, json!({"stream": true}));
            assert_eq!(streamed(&local.chunks(&body).await.unwrap()), all);
        }
    }
}

/// All tokens of a small vocabulary together have the probability 1, in the natural logarithm and in no other.
#[tokio::test]
async fn logarithms_are_natural() {
    let local = Local::demo().await;
    for temperature in [0, 1] {
        let fields = json!({"logprobs": 20, "max_tokens": 1, "temperature": temperature, "seed": 1});
        let answer = local.complete(&prompt("The", fields)).await.unwrap();
        let told = answer.choices[0].logprobs.as_ref().unwrap();
        let top = told.top_logprobs.as_ref().unwrap()[0].as_ref().unwrap();
        // Of a thousand tokens the twenty likeliest have at least their share, and no more than all.
        let share: f64 = top.values().map(|logprob| logprob.exp()).sum();
        assert!((20.0 / 1_100.0..=1.0 + 1e-6).contains(&share), "{share}");
        let best = top.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let chosen = told.token_logprobs.as_ref().unwrap()[0].unwrap();
        assert!(chosen <= best && (temperature > 0 || chosen == best), "{chosen} {best}");
    }
}

#[tokio::test]
async fn what_was_likely_does_not_depend_on_how_the_answer_was_made() {
    let local = Local::demo().await;
    let plain = prompt("The llama", json!({"logprobs": 2, "max_tokens": 1}));
    let expected = local.complete(&plain).await.unwrap().choices[0]
        .logprobs
        .clone()
        .unwrap();
    for fields in [
        json!({"temperature": 2, "top_k": 1}),
        json!({"frequency_penalty": 2, "presence_penalty": 2}),
        json!({"repetition_penalty": 1.0001}),
        json!({"guided_regex": "(.|\\n)+"}),
    ] {
        let mut body = plain.clone();
        extend(&mut body, fields);
        let told = local.complete(&body).await.unwrap().choices[0]
            .logprobs
            .clone()
            .unwrap();
        assert_eq!(
            told.top_logprobs.unwrap()[0]
                .as_ref()
                .unwrap()
                .values()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max),
            expected.token_logprobs.as_ref().unwrap()[0].unwrap(),
            "{body}"
        );
    }
}

#[tokio::test]
async fn tokens_of_a_form_and_of_a_cut_answer_are_told() {
    let local = Local::demo().await;
    let fields = json!({"logprobs": true, "top_logprobs": 1, "guided_choice": ["llama", "alpaca"]});
    let answer = local.chat(&body("Which?", fields)).await.unwrap();
    let bytes = check(content(answer.choices[0].logprobs.as_ref()), 1);
    assert_eq!(bytes, said(&answer).as_bytes());

    let mut body = long("Say much.", 30);
    extend(&mut body, json!({"logprobs": true}));
    let whole = local.chat(&body).await.unwrap();
    let text = said(&whole);
    let (start, _) = text.char_indices().nth(text.chars().count() / 2).unwrap();
    let stop: String = text[start..].chars().take(3).collect();
    extend(&mut body, json!({"stop": stop, "stream": true}));
    let tokens = streamed(&local.chunks(&body).await.unwrap());
    let shown = &text[..text.find(&stop).unwrap()];
    let told = String::from_utf8_lossy(&check(&tokens, 0)).into_owned();
    // The last token may reach into the stop sequence.
    assert!(
        told.starts_with(shown) && told.len() < shown.len() + stop.len() + 8,
        "{told:?} {shown:?}"
    );
    assert!(tokens.len() < content(whole.choices[0].logprobs.as_ref()).len());
}

fn lists(completion: &Completion) -> &CompletionLogprobs {
    completion.choices[0].logprobs.as_ref().unwrap()
}

#[tokio::test]
async fn a_completion_tells_its_tokens() {
    let local = Local::demo().await;
    for (count, seed) in [(0, 1), (3, 2)] {
        let mut body = prompt(
            "The llama",
            json!({"logprobs": count, "temperature": 1, "seed": seed, "max_tokens": 12}),
        );
        let whole = local.complete(&body).await.unwrap();
        let told = lists(&whole);
        let (offsets, tops) = (told.text_offset.as_ref().unwrap(), told.top_logprobs.as_ref().unwrap());
        let (tokens, logprobs) = (told.tokens.as_ref().unwrap(), told.token_logprobs.as_ref().unwrap());
        assert_eq!([offsets.len(), tops.len(), logprobs.len()], [tokens.len(); 3]);
        assert!(offsets.is_sorted() && offsets[0] == 0, "{offsets:?}");
        let text = &whole.choices[0].text;
        for (place, token) in tokens.iter().enumerate() {
            let (top, logprob) = (tops[place].as_ref().unwrap(), logprobs[place].unwrap());
            assert!(top.len() <= count + 1 && top[token] == logprob, "{token:?} {top:?}");
            if !token.starts_with("bytes:") {
                let rest: String = text.chars().skip(offsets[place] as usize).collect();
                assert!(rest.starts_with(token.as_str()), "{token:?} {rest:?}");
            }
        }
        extend(&mut body, json!({"stream": true}));
        let mut streamed = CompletionLogprobs {
            text_offset: Some(Vec::new()),
            token_logprobs: Some(Vec::new()),
            tokens: Some(Vec::new()),
            top_logprobs: Some(Vec::new()),
            ..CompletionLogprobs::default()
        };
        for piece in local.pieces(&body).await.unwrap() {
            let told = lists(&piece).clone();
            streamed.text_offset.as_mut().unwrap().extend(told.text_offset.unwrap());
            streamed
                .token_logprobs
                .as_mut()
                .unwrap()
                .extend(told.token_logprobs.unwrap());
            streamed.tokens.as_mut().unwrap().extend(told.tokens.unwrap());
            streamed
                .top_logprobs
                .as_mut()
                .unwrap()
                .extend(told.top_logprobs.unwrap());
        }
        assert_eq!(&streamed, told);
    }
}

#[tokio::test]
async fn an_echo_begins_with_the_prompt() {
    let local = Local::demo().await;
    let plain = local.complete(&prompt("The llama", json!({}))).await.unwrap();
    let echoed = local
        .complete(&prompt("The llama", json!({"echo": true})))
        .await
        .unwrap();
    assert_eq!(echoed.choices[0].text, format!("The llama{}", plain.choices[0].text));
    assert_eq!(echoed.usage, plain.usage);
    assert!(echoed.choices[0].logprobs.is_none());
    let nothing_else = local
        .complete(&prompt("The llama", json!({"echo": true, "max_tokens": 0})))
        .await
        .unwrap();
    assert_eq!(nothing_else.choices[0].text, "The llama");
    assert_eq!(nothing_else.choices[0].finish_reason, Some(FinishReason::Length));
    assert_eq!(nothing_else.usage.unwrap().completion_tokens, 0);
    let error = local
        .complete(&prompt("The llama", json!({"max_tokens": 0})))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("max_tokens"))
    );
}

/// What is asked of a model to score a text: how likely each of its tokens is.
#[tokio::test]
async fn the_tokens_of_a_prompt_can_be_scored() {
    let local = Local::demo().await;
    // An answer, scored as a prompt, is as likely as it was when it was made.
    let tokens: Vec<u64> = (40..52).collect();
    let mut made = prompt("", json!({"logprobs": 2, "max_tokens": 8, "seed": 9, "temperature": 1}));
    extend(&mut made, json!({"prompt": tokens}));
    let made = local.complete(&made).await.unwrap();
    let mut scored = prompt("", json!({"logprobs": 2, "max_tokens": 0, "echo": true}));
    extend(&mut scored, json!({"prompt": tokens}));
    let prefix = local.complete(&scored).await.unwrap();
    let told = lists(&prefix);
    let logprobs = told.token_logprobs.as_ref().unwrap();
    assert_eq!(
        (
            logprobs.len(),
            logprobs[0],
            told.top_logprobs.as_ref().unwrap()[0].as_ref()
        ),
        (tokens.len(), None, None)
    );
    assert!(
        logprobs[1..]
            .iter()
            .all(|logprob| logprob.is_some_and(|logprob| logprob < 0.0)),
        "{logprobs:?}"
    );
    assert_eq!(told.tokens.as_ref().unwrap().concat(), prefix.choices[0].text);

    extend(&mut scored, json!({"max_tokens": 8, "seed": 9, "temperature": 1}));
    for stream in [false, true] {
        let both: Vec<Value> = if stream {
            extend(&mut scored, json!({"stream": true}));
            local
                .pieces(&scored)
                .await
                .unwrap()
                .iter()
                .map(|piece| json!(lists(piece).token_logprobs))
                .collect()
        } else {
            vec![json!(lists(&local.complete(&scored).await.unwrap()).token_logprobs)]
        };
        let both: Vec<Option<f64>> = both
            .into_iter()
            .flat_map(|logprobs| serde_json::from_value::<Vec<Option<f64>>>(logprobs).unwrap())
            .collect();
        let expected = logprobs.iter().chain(lists(&made).token_logprobs.as_ref().unwrap());
        for (both, expected) in both.iter().zip(expected) {
            let difference = both.unwrap_or_default() - expected.unwrap_or_default();
            assert!(difference.abs() < 1e-3, "{both:?} {expected:?}");
        }
        assert_eq!(both.len(), logprobs.len() + lists(&made).tokens.as_ref().unwrap().len());
    }
}

#[tokio::test]
async fn more_than_can_be_told_is_named() {
    let local = Local::demo().await;
    for (fields, param) in [
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs"),
        (json!({"top_logprobs": 2}), "top_logprobs"),
    ] {
        let error = local.chat(&body("Hello!", fields)).await.unwrap_err();
        assert_eq!((error.kind(), error.param()), (ErrorKind::InvalidRequest, Some(param)));
    }
    let error = local
        .complete(&prompt("Hello!", json!({"logprobs": 21})))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("logprobs"))
    );
}
