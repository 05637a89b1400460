//! What can only be seen from within: what forms allow, token by token.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use mistralrs::llguidance::Matcher;
use puna_testkit::TestHost;
use serde_json::{Value, json};

use super::*;
use crate::checkpoint::Checkpoint;
use crate::config::{DType, Device, KvCache, PagedAttention};
use crate::generation::Next;
use crate::logprobs::Scored;

async fn demo(host: &TestHost) -> Engine {
    with_turns(host, None).await
}

async fn with_turns(host: &TestHost, turn: Option<Duration>) -> Engine {
    let folder = host.host().data_dir().unwrap().join("model");
    puna_tiny_model::write(&folder).unwrap();
    Engine::load(EngineSettings {
        id: "demo".to_owned(),
        checkpoint: Checkpoint::find(&folder, None).unwrap(),
        dtype: DType::Auto,
        device: Device::Cpu,
        max_sequence_length: None,
        chat_template: None,
        isq: None,
        uqff: None,
        paged_attention: PagedAttention::Auto,
        kv_cache: KvCache::default(),
        max_running: NonZeroUsize::MIN,
        turn,
        max_waiting: 16,
        meters: Meters::unread(),
        host: host.host(),
    })
    .await
    .unwrap()
}

/// How much of a text a form lets pass, and whether the answer may end there.
fn passes(engine: &Engine, matcher: &mut Matcher, text: &str) -> (String, bool) {
    let mut passed = Vec::new();
    for token in engine.tokenizer.encode(text, false).unwrap() {
        if matcher.is_stopped() || !matcher.compute_mask().unwrap().is_allowed(token) {
            break;
        }
        matcher.consume_token(token).unwrap();
        passed.extend_from_slice(engine.tokenizer.bytes(token));
    }
    let ends = matcher.is_stopped() || matcher.is_accepting().unwrap();
    (String::from_utf8(passed).unwrap(), ends)
}

#[tokio::test]
async fn a_form_begins_where_thinking_ends() {
    let host = TestHost::new().unwrap();
    let engine = demo(&host).await;
    let Value::Object(schema) = json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": false})
    else {
        unreachable!()
    };
    for (thinking, text, whole) in [
        (Thinking::Never, "{\"a\":1}", true),
        (Thinking::Never, "<think>", false),
        (Thinking::MayBegin, "{\"a\":1}", true),
        (
            Thinking::MayBegin,
            "<think>hm, {\"b\" </thin</think>\n\n{\"a\":1}",
            true,
        ),
        (Thinking::MayBegin, "<think>hm</think>{\"a\":1}", true),
        (Thinking::MayBegin, "<think>hm</think>\n\nno", false),
        (Thinking::MayBegin, "hm</think>", false),
        (Thinking::Begun, "hm, \u{1F999}</think>\n{\"a\":1}", true),
        (Thinking::Begun, "hm</think>{\"b\"", false),
    ] {
        let grammar = engine.grammar(Form::Json(schema.clone()), thinking).unwrap();
        let mut matcher = grammar.matcher(&engine.grammars).unwrap();
        let (passed, ends) = passes(&engine, &mut matcher, text);
        assert_eq!(
            (passed == text, ends),
            (whole, whole),
            "{thinking:?} {text:?}: {passed:?}"
        );
    }
}

/// Lets an answer go on token by token, and tells how much of it passes.
fn watched(engine: &Engine, forms: &CallForms, text: &str) -> String {
    let mut constraint = Constraint::Calls(Box::new(forms.watch(Arc::clone(&engine.grammars))));
    let mut passed = Vec::new();
    for token in engine.tokenizer.encode(text, false).unwrap() {
        if let Some(matcher) = constraint.matcher()
            && (matcher.is_stopped() || !matcher.compute_mask().unwrap().is_allowed(token))
        {
            break;
        }
        constraint.push(token).unwrap();
        passed.extend_from_slice(engine.tokenizer.bytes(token));
    }
    String::from_utf8(passed).unwrap()
}

#[tokio::test]
async fn calls_are_held_to_their_schema_and_text_is_free() {
    let host = TestHost::new().unwrap();
    let engine = demo(&host).await;
    let call = |field: &str| {
        json!({
            "type": "object",
            "properties": {"name": {"const": "height"}, field: {
                "type": "object", "properties": {"place": {"enum": ["Puno"]}}, "required": ["place"], "additionalProperties": false,
            }},
            "required": ["name", field],
            "additionalProperties": false,
        })
    };
    let schema = Map::from_iter([("anyOf".to_owned(), json!([call("arguments"), call("parameters")]))]);
    let good = "{\"name\": \"height\", \"arguments\": {\"place\": \"Puno\"}}";
    let bad = "{\"name\": \"height\", \"arguments\": {\"place\": \"Lima\"}}";
    let up_to = bad.find("Lima").unwrap();
    for (several, thinking, text, whole) in [
        (
            true,
            Thinking::Never,
            "Well, {\"name\": 5} and [1, 2].".to_owned(),
            true,
        ),
        (true, Thinking::Never, "{\"answer\": 42} <b>".to_owned(), true),
        (true, Thinking::Never, good.to_owned(), true),
        (true, Thinking::Never, good.replace("arguments", "parameters"), true),
        (true, Thinking::Never, good.replace(": ", ":"), true),
        (true, Thinking::Never, format!("[{good}, {good}]"), true),
        (true, Thinking::Never, format!("{good}\n{good}"), true),
        (false, Thinking::Never, format!("{good}\n{good}"), false),
        (true, Thinking::Never, bad.to_owned(), false),
        (
            true,
            Thinking::Never,
            format!("So: <tool_call>\n{good}\n</tool_call>\n<tool_call>{good}</tool_call>"),
            true,
        ),
        (
            true,
            Thinking::Never,
            format!("So: <tool_call>\n{bad}\n</tool_call>"),
            false,
        ),
        (
            true,
            Thinking::Never,
            format!("<tool_call>{good}</tool_call> and more"),
            false,
        ),
        (
            false,
            Thinking::Never,
            format!("<tool_call>{good}</tool_call>\n<tool_call>"),
            false,
        ),
        (
            true,
            Thinking::MayBegin,
            format!("<think>{bad} <tool_call> {bad}</think>\n\n{good}"),
            true,
        ),
        (true, Thinking::Begun, format!("hm <tool_call></think>{bad}"), false),
    ] {
        let forms = engine.call_forms(schema.clone(), several, thinking).unwrap();
        let passed = watched(&engine, &forms, &text);
        assert_eq!(passed == text, whole, "{text:?}: {passed:?}");
        if text == bad {
            assert!(passed.len() >= up_to - 2 && passed.len() < up_to + 4, "{passed:?}");
        }
    }
}

impl Engine {
    /// Ends the engine at the next token of what it works on.
    pub(crate) async fn kill(&self) {
        self.turns.defect.store(true, Ordering::Relaxed);
        self.requests.closed().await;
    }
}

fn endless() -> GenerationRequest {
    GenerationRequest {
        prompt: Arc::new([1, 2, 3]),
        sight: None,
        choice: 0,
        max_tokens: 3_000,
        sampling: crate::sampling::Sampling {
            logit_bias: (0..1_000).map(|token| (token, 50.0)).collect(),
            ..crate::sampling::Sampling::default()
        },
        held: Held::Nothing,
        top_logprobs: None,
        scores_prompt: false,
    }
}

async fn written(engine: &Engine, request: GenerationRequest) -> Vec<Scored> {
    let count = request.max_tokens;
    let mut generation = engine.generate(request).await.unwrap();
    let mut written = Vec::new();
    for _ in 0..count {
        match generation.next().await.unwrap() {
            Next::Token(token) => written.push(token),
            other => panic!("{other:?} after {} tokens", written.len()),
        }
    }
    written
}

/// What steps aside goes on as if it had not, whatever it is held to.
#[tokio::test]
async fn answers_that_step_aside_are_those_that_do_not() {
    let host = TestHost::new().unwrap();
    let engine = with_turns(&host, Some(Duration::ZERO)).await;
    let form = engine
        .grammar(Form::Regex("[a-f ]{4000}".to_owned()), Thinking::Never)
        .unwrap();
    let long = GenerationRequest {
        max_tokens: 400,
        top_logprobs: Some(2),
        ..endless()
    };
    let sampled = |seed: u64, frequency_penalty: f64| GenerationRequest {
        sampling: crate::sampling::Sampling {
            seed: Some(seed),
            frequency_penalty,
            ..endless().sampling
        },
        prompt: (1..20 * u32::try_from(seed).unwrap()).collect(),
        ..long.clone()
    };
    let requests = [
        sampled(1, 0.0),
        sampled(2, 0.5),
        GenerationRequest {
            held: Held::Whole(form),
            ..sampled(3, 0.0)
        },
        GenerationRequest {
            sampling: crate::sampling::Sampling {
                temperature: 0.0,
                ..endless().sampling
            },
            ..long.clone()
        },
    ];
    let mut alone = Vec::new();
    for request in &requests {
        alone.push(written(&engine, request.clone()).await);
    }
    assert_eq!(engine.turns.stepped_aside.load(Ordering::Relaxed), 0);

    let together = join_all(requests.iter().map(|request| written(&engine, request.clone()))).await;

    let stepped_aside = engine.turns.stepped_aside.load(Ordering::Relaxed);
    assert!(stepped_aside >= 4, "{stepped_aside} times");
    let tokens = |answer: &[Scored]| answer.iter().map(|scored| scored.token).collect::<Vec<_>>();
    for (alone, together) in alone.iter().zip(&together) {
        assert_eq!(tokens(alone), tokens(together));
        for (one, other) in alone.iter().zip(together) {
            let logprob = |scored: &Scored| scored.likelihood.as_ref().unwrap().logprob;
            assert!((logprob(one) - logprob(other)).abs() < 1e-3, "{one:?} {other:?}");
        }
    }
}

#[tokio::test]
async fn answers_of_an_engine_that_ends_are_told() {
    let host = TestHost::new().unwrap();
    let engine = demo(&host).await;
    let mut running = engine.generate(endless()).await.unwrap();
    running.next().await.unwrap();
    assert!(engine.is_running());
    // The one that runs is in the engine, the other one waits for its turn.
    let waiting = engine.generate(endless());
    let (waiting, ()) = tokio::join!(waiting, engine.kill());
    assert!(!engine.is_running());
    for error in [
        ended(running).await,
        match waiting {
            Ok(waiting) => ended(waiting).await,
            Err(error) => error,
        },
    ] {
        assert_eq!(error.kind(), puna_api::ErrorKind::Unavailable, "{error:?}");
    }
    let error = engine.generate(endless()).await.unwrap_err();
    assert_eq!(error.kind(), puna_api::ErrorKind::Unavailable);
}

async fn ended(mut generation: Generation) -> Error {
    loop {
        if let Err(error) = generation.next().await {
            return error;
        }
    }
}

/// Who leaves is not worked for any more: the engine stops with the token that it works on, and is free at once.
#[tokio::test]
async fn an_answer_that_is_dropped_ends_with_the_next_token() {
    let host = TestHost::new().unwrap();
    let engine = demo(&host).await;
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let mut generation = engine.generate(endless()).await.unwrap();
        for _ in 0..3 {
            generation.next().await.unwrap();
        }
        let before = engine.turns.chosen.load(Ordering::Relaxed);
        let dropped = Instant::now();
        drop(generation);
        // The turn is over when the engine has let go of the answer.
        let turn = engine.turns.first().await.unwrap();
        quickest = quickest.min(dropped.elapsed());
        drop(turn);
        let after = engine.turns.chosen.load(Ordering::Relaxed) - before;
        // The one that the engine was at, and the one that ends the answer.
        assert!(after <= 2, "{after} tokens for nobody");
    }
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
}

/// An engine that is dropped takes its weights along. What stays is one of the engine's threads, asleep, and what comes with it.
#[cfg(target_os = "linux")]
#[test]
fn a_dropped_engine_gives_its_memory_back() {
    crate::memory::run_alone("engine::tests::memory_is_flat_while_engines_come_and_go");
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "`a_dropped_engine_gives_its_memory_back` runs it in a process of its own"]
async fn memory_is_flat_while_engines_come_and_go() {
    let host = TestHost::new().unwrap();
    let folder = host.host().data_dir().unwrap().join("model");
    let mut resident = Vec::new();
    for _ in 0..12 {
        let engine = demo(&host).await;
        let requests = engine.requests.clone();
        drop(engine);
        tokio::time::timeout(Duration::from_secs(60), requests.closed())
            .await
            .unwrap();
        resident.push(crate::memory::resident_bytes());
    }
    let weights = Checkpoint::find(&folder, None).unwrap().weight_bytes;
    // After the first rounds the allocator has what it needs.
    let growth = resident[11].saturating_sub(resident[3]);
    assert!(growth < weights, "{growth} bytes in 8 rounds: {resident:?}");
}
