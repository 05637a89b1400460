//! What the engine must stand, with the demo model.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of the tests fail as loudly as the tests"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use puna_api::{
    BoxStream, ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completion, CompletionRequest, Error,
    ErrorKind, FinishReason, Inference, InferenceRequest, Json, Model, ModelType, Result, Services,
};
use puna_provider_mistralrs::{DEMO_MODEL, PROVIDER};
use puna_testkit::{TestHost, context};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Tokens that the demo model's context holds.
const CONTEXT: u64 = puna_tiny_model::CONTEXT_LENGTH as u64;

/// Tokens that the context of [`short_model`] holds.
const SHORT_CONTEXT: u64 = 160;

struct Local {
    services: Services,
    model: &'static str,
    _host: TestHost,
}

impl Local {
    async fn start(config: Value) -> Result<Self> {
        let host = TestHost::new()?;
        let config = PROVIDER
            .check(config)
            .map_err(|problem| Error::configuration(problem.message))?;
        let services = PROVIDER.build(config, host.host()).await?;
        Ok(Self {
            services,
            model: DEMO_MODEL,
            _host: host,
        })
    }

    async fn demo() -> Self {
        Self::start(json!({})).await.unwrap()
    }

    fn inference(&self) -> &Arc<dyn Inference> {
        self.services.inference.as_ref().unwrap()
    }

    fn request<T>(&self, body: &Value) -> InferenceRequest<T> {
        let model = Model {
            id: "local/model".to_owned(),
            provider_id: "local".to_owned(),
            provider_model_id: self.model.to_owned(),
            model_type: ModelType::Llm,
            metadata: Map::new(),
        };
        InferenceRequest {
            model: Arc::new(model),
            requested_model: "local/model".into(),
            body: Json::from_bytes(body.to_string()),
        }
    }

    async fn chat(&self, body: &Value) -> Result<ChatCompletion> {
        let request = self.request::<ChatCompletionRequest>(body);
        Ok(self
            .inference()
            .chat_completion(&context(), request)
            .await?
            .into_value()
            .unwrap())
    }

    async fn open(&self, body: &Value) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
        let request = self.request::<ChatCompletionRequest>(body);
        self.inference().chat_completion_stream(&context(), request).await
    }

    async fn chunks(&self, body: &Value) -> Result<Vec<ChatCompletionChunk>> {
        read(self.open(body).await?).await
    }

    async fn complete(&self, body: &Value) -> Result<Completion> {
        let request = self.request::<CompletionRequest>(body);
        Ok(self
            .inference()
            .completion(&context(), request)
            .await?
            .into_value()
            .unwrap())
    }

    async fn pieces(&self, body: &Value) -> Result<Vec<Completion>> {
        let request = self.request::<CompletionRequest>(body);
        read(self.inference().completion_stream(&context(), request).await?).await
    }
}

async fn read<T: DeserializeOwned + Send>(stream: BoxStream<Result<Json<T>>>) -> Result<Vec<T>> {
    stream
        .map(|chunk| Ok(chunk?.into_value().unwrap()))
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect()
}

/// A chat of one message, always answered alike, with these fields besides.
fn body(text: &str, fields: Value) -> Value {
    let mut body = json!({
        "model": "local/model",
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "max_tokens": 40,
    });
    extend(&mut body, fields);
    body
}

/// A completion of one prompt, always answered alike, with these fields besides.
fn prompt(text: &str, fields: Value) -> Value {
    let mut body = json!({"model": "local/model", "prompt": text, "temperature": 0, "max_tokens": 40});
    extend(&mut body, fields);
    body
}

fn extend(body: &mut Value, fields: Value) {
    let (Value::Object(body), Value::Object(fields)) = (body, fields) else {
        panic!("fields are an object")
    };
    body.extend(fields);
}

fn said(answer: &ChatCompletion) -> &str {
    answer.choices[0].message.content.as_deref().unwrap()
}

fn joined(chunks: &[ChatCompletionChunk]) -> String {
    chunks
        .iter()
        .flat_map(|chunk| &chunk.choices)
        .filter_map(|choice| choice.delta.content.as_deref())
        .collect()
}

/// Makes the end of an answer unlikely, so that it is as long as it may be, and the same each time.
fn long(text: &str, max_tokens: u64) -> Value {
    let vocabulary = puna_tiny_model::VOCABULARY_SIZE;
    let ends = [vocabulary - 1, vocabulary - 4].map(|token| (token.to_string(), json!(-100)));
    let bias: Map<String, Value> = ends.into_iter().collect();
    body(
        text,
        json!({"max_tokens": max_tokens, "logit_bias": bias, "temperature": 1, "seed": 11}),
    )
}

#[tokio::test]
async fn a_chat_is_answered() {
    let local = Local::demo().await;
    let answer = local.chat(&body("What is a llama?", json!({}))).await.unwrap();
    assert!(answer.id.starts_with("chatcmpl-"), "{}", answer.id);
    assert_eq!((answer.model.as_str(), answer.choices.len()), ("local/model", 1));
    assert!(!said(&answer).is_empty());
    let usage = answer.usage.unwrap();
    assert!(
        usage.prompt_tokens > 5 && (1..=40).contains(&usage.completion_tokens),
        "{usage:?}"
    );
    println!("{:?}", answer.choices[0]);
}

#[tokio::test]
async fn a_stream_joined_is_the_whole_answer() {
    let local = Local::demo().await;
    for text in ["What is a llama?", "Hello!", "vicuña \u{1F999}", "1, 2, 3", "{\"a\": "] {
        for fields in [
            json!({}),
            json!({"temperature": 1.5, "seed": 7}),
            json!({"max_tokens": 1}),
        ] {
            let mut body = body(text, fields);
            let whole = local.chat(&body).await.unwrap();
            extend(
                &mut body,
                json!({"stream": true, "stream_options": {"include_usage": true}}),
            );
            let chunks = local.chunks(&body).await.unwrap();
            assert_eq!(joined(&chunks), said(&whole), "{body}");
            let (last, others) = chunks.split_last().unwrap();
            assert_eq!((last.usage.as_ref(), last.choices.len()), (whole.usage.as_ref(), 0));
            assert_eq!(
                others.last().unwrap().choices[0].finish_reason,
                whole.choices[0].finish_reason
            );
        }
        let mut body = prompt(text, json!({"temperature": 1.5, "seed": 7}));
        let whole = local.complete(&body).await.unwrap();
        extend(&mut body, json!({"stream": true}));
        let pieces = local.pieces(&body).await.unwrap();
        let texts: String = pieces
            .iter()
            .flat_map(|piece| &piece.choices)
            .map(|choice| choice.text.as_str())
            .collect();
        assert_eq!(texts, whole.choices[0].text);
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_text_among_others_too() {
    let local = Local::demo().await;
    let seeded = |seed| body("Tell me a story.", json!({"temperature": 1, "seed": seed}));
    let alone = local.chat(&seeded(1)).await.unwrap();
    let bodies: Vec<Value> = (0..8).map(|number| seeded(number % 2 + 1)).collect();
    let together = join_all(bodies.iter().map(|body| local.chat(body))).await;
    let texts: Vec<String> = together
        .into_iter()
        .map(|answer| said(&answer.unwrap()).to_owned())
        .collect();
    for (number, text) in texts.iter().enumerate() {
        assert_eq!(text == said(&alone), number % 2 == 0, "{texts:#?}");
    }
    let several = local
        .chat(&body("Tell me a story.", json!({"temperature": 1, "seed": 1, "n": 3})))
        .await
        .unwrap();
    let texts: Vec<&str> = several
        .choices
        .iter()
        .map(|choice| choice.message.content.as_deref().unwrap())
        .collect();
    assert_eq!(texts[0], said(&alone));
    assert!(texts[0] != texts[1] && texts[1] != texts[2], "{texts:?}");
}

#[tokio::test]
async fn sixteen_streams_finish_together() {
    let local = Local::demo().await;
    let bodies: Vec<Value> = (0..16)
        .map(|number| long(&format!("Tell me {number} stories."), 60))
        .collect();
    for chunks in join_all(bodies.iter().map(|body| local.chunks(body))).await {
        let chunks = chunks.unwrap();
        let reasons: Vec<_> = chunks
            .iter()
            .flat_map(|chunk| &chunk.choices)
            .filter_map(|choice| choice.finish_reason.clone())
            .collect();
        assert_eq!(reasons, [FinishReason::Length]);
    }
}

#[tokio::test]
async fn a_dropped_stream_frees_the_engine_and_disturbs_nobody() {
    let local = Local::demo().await;
    let mut stream = local.open(&long("Count for ever.", CONTEXT)).await.unwrap();
    for _ in 0..4 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    // The engine works on one answer at a time, and nobody waits that the first one would step aside for.
    let soon = tokio::time::timeout(Duration::from_secs(20), local.chat(&body("Hello!", json!({})))).await;
    soon.expect("the dropped answer goes on").unwrap();

    let alone = local.chat(&body("Hello!", json!({}))).await.unwrap();
    for _ in 0..3 {
        let mut dropped = Vec::new();
        for _ in 0..4 {
            let mut stream = local.open(&long("Count for ever.", CONTEXT)).await.unwrap();
            stream.next().await.unwrap().unwrap();
            dropped.push(stream);
        }
        let hello = body("Hello!", json!({}));
        let (answer, ()) = tokio::join!(local.chat(&hello), async move { drop(dropped) });
        assert_eq!(said(&answer.unwrap()), said(&alone));
    }
}

#[tokio::test]
async fn a_dropped_wait_costs_nothing() {
    let local = Local::start(json!({"max_waiting": 2})).await.unwrap();
    let _running = local.open(&long("Count for ever.", CONTEXT)).await.unwrap();
    let body = body("Hello!", json!({}));
    for _ in 0..10 {
        assert!(local.chat(&body).now_or_never().is_none());
    }
    // Two may wait; the third is turned away.
    let (first, second) = (local.chat(&body), local.chat(&body));
    tokio::pin!(first, second);
    assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
    let error = local.chat(&body).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.message().contains("2 answers wait"), "{}", error.message());
}

#[tokio::test]
async fn streams_that_nobody_reads_hold_back_nobody() {
    let local = Local::demo().await;
    let mut unread = Vec::new();
    for number in 0..6 {
        unread.push((
            number,
            local.open(&long(&format!("Say much, {number}."), 150)).await.unwrap(),
        ));
    }
    local.chat(&body("Hello!", json!({}))).await.unwrap();
    for (number, stream) in unread {
        let alone = local.chunks(&long(&format!("Say much, {number}."), 150)).await.unwrap();
        assert_eq!(joined(&read(stream).await.unwrap()), joined(&alone));
    }
}

/// On a CPU the engine mixes up the answers of a batch: each sees the text of the last one.
#[tokio::test]
async fn answers_at_the_same_time_do_not_see_each_other() {
    let local = Local::demo().await;
    // As long as each other, so that the engine would take them together.
    let texts = [
        "Who are you?",
        "The wind is cold",
        "1 2 3 4",
        "What is a llama?",
        "Hello! Hello!",
    ];
    let mut alone = Vec::new();
    for text in texts {
        alone.push(local.chat(&long(text, 100)).await.unwrap());
    }
    let bodies = texts.map(|text| long(text, 100));
    let together = join_all(bodies.iter().map(|body| local.chat(body))).await;
    for (alone, together) in alone.iter().zip(together) {
        assert_eq!(said(alone), said(&together.unwrap()));
    }
}

#[tokio::test]
async fn a_prompt_that_does_not_fit_is_told_with_both_numbers() {
    let local = Local::demo().await;
    for text in ["llama ".repeat(6_000), "x".repeat(10_000_000)] {
        let error = local.chat(&body(&text, json!({}))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::InvalidRequest, Some("context_length_exceeded"))
        );
        assert!(error.message().contains(" 4096 tokens"), "{}", error.message());
        let tokens: u64 = error.message().split(' ').find_map(|word| word.parse().ok()).unwrap();
        assert!(tokens >= CONTEXT, "{}", error.message());
        assert_eq!(error.param(), Some("messages"));
        assert_eq!(
            local.complete(&prompt(&text, json!({}))).await.unwrap_err().param(),
            Some("prompt")
        );
    }
}

#[tokio::test]
async fn an_answer_is_cut_down_to_the_rest_of_the_context() {
    let local = Local::start(json!({"models": [{"path": DEMO_MODEL, "max_sequence_length": 64}]}))
        .await
        .unwrap();
    for max_tokens in [64, 4_000_000_000_u64] {
        let answer = local.chat(&long("Say much.", max_tokens)).await.unwrap();
        let usage = answer.usage.unwrap();
        assert_eq!(usage.total_tokens, 64, "{usage:?}");
        assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Length));
    }
    let full = local.chat(&body(&"llama ".repeat(80), json!({}))).await.unwrap_err();
    assert!(full.message().contains(" 64 tokens"), "{}", full.message());
}

/// A model like the demo model, but for its context, which a test can fill.
fn short_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write(folder.path()).unwrap();
    let file = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["max_position_embeddings"] = json!(SHORT_CONTEXT);
    fs::write(&file, config.to_string()).unwrap();
    folder
}

#[tokio::test]
async fn the_whole_context_can_be_used() {
    let folder = short_model();
    let config = json!({"models": [{"path": folder.path(), "id": DEMO_MODEL}]});
    let local = Local::start(config).await.unwrap();
    for prompt in [SHORT_CONTEXT - 1, SHORT_CONTEXT - 40] {
        let tokens: Vec<u64> = (0..prompt).map(|number| number % 1_000).collect();
        let mut body = long("", 1_000);
        extend(&mut body, json!({"prompt": tokens}));
        body.as_object_mut().unwrap().remove("messages");
        let answer = local.complete(&body).await.unwrap();
        assert_eq!(answer.usage.unwrap().total_tokens, SHORT_CONTEXT);
        assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Length));
    }
    // Several at once, so that they step aside for each other on their way to the end.
    let bodies = ["one", "two", "three"].map(|text| long(text, 1_000));
    for answer in join_all(bodies.iter().map(|body| local.chat(body))).await {
        assert_eq!(answer.unwrap().usage.unwrap().total_tokens, SHORT_CONTEXT);
    }
}

#[tokio::test]
async fn stop_sequences_end_answers_and_are_not_shown() {
    let local = Local::demo().await;
    let whole = local.complete(&prompt("The llama", json!({}))).await.unwrap();
    let text = &whole.choices[0].text;
    let characters: Vec<char> = text.chars().collect();
    assert!(characters.len() > 20, "{text:?}");
    for start in [3, 8, 13] {
        let stop: String = characters[start..start + 5].iter().collect();
        let answer = local
            .complete(&prompt("The llama", json!({"stop": ["never there", stop]})))
            .await
            .unwrap();
        let choice = &answer.choices[0];
        assert_eq!(choice.text, text[..text.find(&stop).unwrap()]);
        assert_eq!(choice.finish_reason, Some(FinishReason::Stop));
        let used = answer.usage.unwrap().completion_tokens;
        assert!(used <= whole.usage.as_ref().unwrap().completion_tokens, "{used} tokens");
    }
}

#[tokio::test]
async fn a_schema_is_followed_to_its_end() {
    let local = Local::demo().await;
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "age": {"type": "integer", "minimum": 0, "maximum": 30},
            "kind": {"enum": ["llama", "alpaca"]},
        },
        "required": ["name", "age", "kind"],
        "additionalProperties": false,
    });
    for (temperature, seed) in [(0, 0), (1, 1), (2, 2), (2, 3)] {
        let format = json!({"type": "json_schema", "json_schema": {"name": "animal", "schema": schema}});
        let fields = json!({"response_format": format, "temperature": temperature, "seed": seed, "max_tokens": 200});
        let answer = local.chat(&body("An animal, please.", fields)).await.unwrap();
        let value: Value = serde_json::from_str(said(&answer)).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
        assert!(
            value["name"].is_string() && value["age"].is_u64() && value["kind"].is_string(),
            "{value}"
        );
        assert_eq!(answer.choices[0].finish_reason, Some(FinishReason::Stop));
    }
    let bad = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 5}}}});
    let error = local.chat(&body("x", bad)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("response_format"))
    );
}

#[tokio::test]
async fn a_call_can_be_forced() {
    let local = Local::demo().await;
    let tool = |name: &str| {
        let place = json!({"type": "object", "properties": {"place": {"enum": ["La Paz", "Puno"]}}, "required": ["place"], "additionalProperties": false});
        json!({"type": "function", "function": {"name": name, "parameters": place}})
    };
    let forced = json!({"type": "function", "function": {"name": "weather"}});
    for choice in [json!("required"), forced] {
        let fields =
            json!({"tools": [tool("weather"), tool("height")], "tool_choice": choice, "temperature": 1, "seed": 3});
        let mut body = body("What is it like in Puno?", fields);
        let answer = local.chat(&body).await.unwrap();
        let message = &answer.choices[0].message;
        let calls = serde_json::to_value(&message.tool_calls).unwrap();
        let arguments: Value = serde_json::from_str(calls[0]["function"]["arguments"].as_str().unwrap()).unwrap();
        assert!(arguments["place"].is_string(), "{arguments}");
        assert_eq!(
            (&message.content, &answer.choices[0].finish_reason),
            (&None, &Some(FinishReason::ToolCalls))
        );
        if choice.is_object() {
            assert_eq!(calls[0]["function"]["name"], "weather");
        }
        extend(&mut body, json!({"stream": true}));
        let chunks = local.chunks(&body).await.unwrap();
        let deltas: Vec<_> = chunks
            .iter()
            .flat_map(|chunk| &chunk.choices)
            .filter_map(|choice| choice.delta.tool_calls.as_ref())
            .flatten()
            .collect();
        assert_eq!(deltas.len(), 1);
        let function = deltas[0].function.as_ref().unwrap();
        assert_eq!(
            function.arguments.as_deref(),
            calls[0]["function"]["arguments"].as_str()
        );
    }
}

#[tokio::test]
async fn logits_can_be_biased() {
    let local = Local::demo().await;
    let answer = local
        .complete(&prompt("The", json!({"logit_bias": {"65": 100}, "max_tokens": 5})))
        .await
        .unwrap();
    assert_eq!(answer.choices[0].text, "AAAAA");
}

#[tokio::test]
async fn what_is_not_honoured_is_refused_by_name() {
    let local = Local::demo().await;
    let cases = [
        ("logprobs", json!(true)),
        ("audio", json!({"voice": "alloy", "format": "wav"})),
        ("modalities", json!(["text", "audio"])),
        ("prediction", json!({"type": "content", "content": "x"})),
        ("web_search_options", json!({})),
        ("store", json!(true)),
        ("verbosity", json!("low")),
        ("reasoning_effort", json!("low")),
        ("service_tier", json!("flex")),
        ("guided_json", json!({"type": "object"})),
        ("functions", json!([{"name": "f"}])),
    ];
    for (field, value) in cases {
        let error = local.chat(&body("Hello!", json!({field: value}))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::Unsupported, Some(field)),
            "{}",
            error.message()
        );
        assert!(error.message().contains(field), "{}", error.message());
    }
    for (field, value) in [
        ("echo", json!(true)),
        ("suffix", json!("x")),
        ("best_of", json!(2)),
        ("logprobs", json!(1)),
    ] {
        let error = local
            .complete(&prompt("Hello!", json!({field: value})))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::Unsupported, Some(field)),
            "{}",
            error.message()
        );
    }
    let accepted = json!({
        "user": "u", "metadata": {"a": "b"}, "store": false, "service_tier": "auto", "modalities": ["text"], "top_k": 5,
        "min_p": 0.1, "repetition_penalty": 1.1, "safety_identifier": "s", "prompt_cache_key": "k", "logprobs": false,
    });
    local.chat(&body("Hello!", accepted)).await.unwrap();
}

#[tokio::test]
async fn a_folder_without_its_files_is_told_before_the_engine_starts() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let start = |model: &Path| Local::start(json!({"models": [{"path": model}]}));
    let error = start(&model).await.err().unwrap();
    assert!(
        error.message().starts_with("cannot read the model at "),
        "{}",
        error.message()
    );
    for missing in ["tokenizer.json", "config.json", "model.safetensors"] {
        puna_tiny_model::write(&model).unwrap();
        fs::remove_file(model.join(missing)).unwrap();
        let error = start(&model).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let named = missing.strip_prefix("model.").unwrap_or(missing);
        assert!(
            error.message().contains(named) && error.message().contains("has no "),
            "{}",
            error.message()
        );
    }
}

#[tokio::test]
async fn a_damaged_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write(folder.path()).unwrap();
    let weights = folder.path().join("model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let config = json!({"models": [{"path": folder.path(), "id": "damaged"}]});
    let error = Local::start(config).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(
        error.message().starts_with("failed to load the model `damaged`: "),
        "{}",
        error.message()
    );
    assert!(!error.message().contains('\n'), "{}", error.message());
}

#[tokio::test]
async fn a_gguf_file_answers_as_its_checkpoint_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = puna_tiny_model::write_gguf(folder.path()).unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL}, {"path": file, "id": "gguf"}]});
    let mut local = Local::start(config).await.unwrap();
    let listed = local
        .services
        .models
        .as_ref()
        .unwrap()
        .list_models(&context())
        .await
        .unwrap();
    let ids: Vec<&str> = listed.iter().map(|model| model.provider_model_id.as_str()).collect();
    assert_eq!(ids, ["gguf", DEMO_MODEL]);
    assert_eq!(listed[0].metadata["context_length"], CONTEXT);
    for text in ["What is a llama?", "Hello!", "one two 33"] {
        local.model = DEMO_MODEL;
        let from_checkpoint = local.chat(&body(text, json!({}))).await.unwrap();
        local.model = "gguf";
        let from_gguf = local.chat(&body(text, json!({}))).await.unwrap();
        assert_eq!(said(&from_gguf), said(&from_checkpoint));
        assert_eq!(from_gguf.usage, from_checkpoint.usage);
    }
}

#[tokio::test]
async fn another_template_can_take_the_models_place() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("plain.jinja");
    fs::write(
        &template,
        "{% for message in messages %}{{ message.content }}{% endfor %}",
    )
    .unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL, "chat_template": template}]});
    let local = Local::start(config).await.unwrap();
    let chat = local.chat(&body("The llama", json!({}))).await.unwrap();
    let completion = local.complete(&prompt("The llama", json!({}))).await.unwrap();
    assert_eq!(said(&chat), completion.choices[0].text);
    fs::write(&template, "{% for %}").unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL, "chat_template": template}]});
    let error = Local::start(config).await.err().unwrap();
    assert!(
        error.message().contains("chat template is not valid"),
        "{}",
        error.message()
    );
}

#[tokio::test]
async fn a_device_that_is_not_there_is_told() {
    let error = Local::start(json!({"models": [{"path": DEMO_MODEL, "device": "cuda:0"}]}))
        .await
        .err();
    if cfg!(not(feature = "cuda")) {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(
            error.message().contains("the device `cuda:0` cannot be used"),
            "{}",
            error.message()
        );
    }
}

#[tokio::test]
async fn an_unknown_model_and_embeddings_are_refused() {
    let mut local = Local::demo().await;
    let request = local.request(&json!({"model": "local/model", "input": "x"}));
    let error = local.inference().embeddings(&context(), request).await.unwrap_err();
    assert_eq!((error.kind(), error.param()), (ErrorKind::Unsupported, Some("model")));
    local.model = "other";
    let error = local.chat(&body("Hello!", json!({}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains(DEMO_MODEL), "{}", error.message());
}
