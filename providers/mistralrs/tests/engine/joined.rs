//! What a stream says, joined, is what the whole answer says, whatever is asked.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use puna_api::{ChatCompletion, ChatCompletionChunk};
use serde_json::{Value, json};

use crate::local::{Local, body, extend, prompt};

/// Few, because each asks a model five times.
const CASES: u32 = 16;

#[derive(Debug, Clone)]
struct Case {
    text: String,
    seed: i64,
    temperature: f64,
    max_tokens: u32,
    form: Option<Value>,
    /// Where in the answer a stop sequence begins, as a share of its length, and how many characters it has.
    stop: Option<(f64, usize)>,
    logprobs: bool,
    choices: u32,
}

fn case() -> impl Strategy<Value = Case> {
    let place = json!({"type": "object", "properties": {"place": {"enum": ["Puno", "La Paz"]}}, "required": ["place"], "additionalProperties": false});
    let tool = json!([{"type": "function", "function": {"name": "height", "parameters": place}}]);
    let forms = vec![
        json!({"response_format": {"type": "json_object"}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": place}}}),
        json!({"guided_regex": "[a-zä🦙 ]{3,12}"}),
        json!({"guided_choice": ["llama", "vicuña 🦙", "alpaca"]}),
        json!({"tools": tool}),
        json!({"tools": tool, "tool_choice": "required"}),
    ];
    (
        prop_oneof!["[A-Za-z ,.?!]{1,40}", "\\PC{1,12}", Just("Tell me a story.".to_owned())],
        any::<i64>(),
        prop_oneof![Just(0.0), 0.5..2.0],
        1_u32..24,
        prop::option::of(prop::sample::select(forms)),
        prop::option::of((0.0..1.0, 1_usize..4)),
        any::<bool>(),
        1_u32..3,
    )
        .prop_map(
            |(text, seed, temperature, max_tokens, form, stop, logprobs, choices)| Case {
                text,
                seed,
                temperature,
                max_tokens,
                form,
                stop,
                logprobs,
                choices,
            },
        )
}

/// What one choice is, whole or joined.
#[derive(Debug, Default, PartialEq)]
struct Joined {
    text: String,
    reasoning: String,
    calls: Vec<(String, String)>,
    tokens: Vec<Value>,
    reason: Option<String>,
}

fn of_whole(whole: &ChatCompletion) -> Vec<Joined> {
    let joined = whole.choices.iter().map(|choice| {
        let calls = serde_json::to_value(&choice.message.tool_calls).unwrap();
        let name = |call: &Value, field: &str| call["function"][field].as_str().unwrap().to_owned();
        Joined {
            text: choice.message.content.clone().unwrap_or_default(),
            reasoning: choice.message.reasoning_content.clone().unwrap_or_default(),
            calls: calls
                .as_array()
                .into_iter()
                .flatten()
                .map(|call| (name(call, "name"), name(call, "arguments")))
                .collect(),
            tokens: serde_json::to_value(&choice.logprobs).unwrap()["content"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
            reason: choice.finish_reason.as_ref().map(ToString::to_string),
        }
    });
    joined.collect()
}

fn of_stream(chunks: &[ChatCompletionChunk], choices: u32) -> Vec<Joined> {
    let mut all: Vec<Joined> = (0..choices).map(|_| Joined::default()).collect();
    for choice in chunks.iter().flat_map(|chunk| &chunk.choices) {
        let joined = &mut all[choice.index as usize];
        assert!(joined.reason.is_none(), "more after the end");
        let delta = &choice.delta;
        joined.text += delta.content.as_deref().unwrap_or_default();
        joined.reasoning += delta.reasoning_content.as_deref().unwrap_or_default();
        for call in delta.tool_calls.iter().flatten() {
            assert_eq!(call.index as usize, joined.calls.len());
            let function = call.function.as_ref().unwrap();
            joined
                .calls
                .push((function.name.clone().unwrap(), function.arguments.clone().unwrap()));
        }
        let tokens = serde_json::to_value(&choice.logprobs).unwrap();
        joined
            .tokens
            .extend(tokens["content"].as_array().cloned().unwrap_or_default());
        joined.reason = choice.finish_reason.as_ref().map(ToString::to_string);
    }
    all
}

async fn check(local: &Local, case: Case) {
    let mut request = body(
        &case.text,
        json!({"seed": case.seed, "temperature": case.temperature, "max_tokens": case.max_tokens, "n": case.choices}),
    );
    if let Some(form) = &case.form {
        extend(&mut request, form.clone());
    }
    if case.logprobs {
        extend(&mut request, json!({"logprobs": true, "top_logprobs": 1}));
    }
    if let Some((share, length)) = case.stop {
        let plain = local.chat(&request).await.unwrap();
        let said: Vec<char> = of_whole(&plain)[0].text.chars().collect();
        let start = (said.len() as f64 * share) as usize;
        let stop: String = said.iter().skip(start).take(length).collect();
        if !stop.is_empty() {
            extend(&mut request, json!({"stop": ["never there", stop]}));
            let stopped = local.chat(&request).await.unwrap();
            for (plain, stopped) in of_whole(&plain).iter().zip(of_whole(&stopped)) {
                let expected = plain.text.split(&stop).next().unwrap();
                // What looks like a call may be cut to text, and the other way round.
                if case.form.as_ref().is_none_or(|form| form.get("tools").is_none()) {
                    assert_eq!(stopped.text, expected, "{request}");
                }
            }
        }
    }
    let whole = local.chat(&request).await.unwrap();
    extend(
        &mut request,
        json!({"stream": true, "stream_options": {"include_usage": true}}),
    );
    let chunks = local.chunks(&request).await.unwrap();
    assert_eq!(of_stream(&chunks, case.choices), of_whole(&whole), "{request}");
    assert_eq!(chunks.last().unwrap().usage, whole.usage, "{request}");

    let mut request = prompt(
        &case.text,
        json!({"seed": case.seed, "temperature": case.temperature, "max_tokens": case.max_tokens, "echo": case.logprobs}),
    );
    let whole = local.complete(&request).await.unwrap();
    extend(&mut request, json!({"stream": true}));
    let pieces = local.pieces(&request).await.unwrap();
    let texts: String = pieces
        .iter()
        .flat_map(|piece| &piece.choices)
        .map(|choice| choice.text.as_str())
        .collect();
    assert_eq!(texts, whole.choices[0].text, "{request}");
}

#[test]
fn a_stream_joined_is_the_whole_answer_whatever_is_asked() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let local = runtime.block_on(Local::demo());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        // Each step asks a model again.
        max_shrink_iters: 20,
        ..Config::default()
    };
    // The same cases each time: a test that fails fails again.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&case(), |case| {
            runtime.block_on(check(&local, case));
            Ok(())
        })
        .unwrap();
}
