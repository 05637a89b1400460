//! Images in messages, with models of random weights that look at them.

use std::io::Cursor;
use std::ops::RangeInclusive;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use puna_api::{ChatCompletion, ErrorKind};
use puna_http::EgressPolicy;
use puna_provider_mistralrs::DEMO_MODEL;
use puna_tiny_model::{IMAGE_TOKENS, VISION_CONTEXT_LENGTH, VOCABULARY_SIZE};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::local::{Local, body, joined};

/// A kind of model that looks at images.
struct Kind {
    write: fn(&Path) -> Result<(), puna_tiny_model::Error>,
    /// The tokens that an image of 40 by 30 pixels adds to a prompt.
    tokens: RangeInclusive<u64>,
    /// What stands for an image, or for a part of one.
    reserved: &'static str,
}

const GEMMA3: Kind = Kind {
    write: puna_tiny_model::write_gemma3,
    tokens: IMAGE_TOKENS as u64 + 2..=IMAGE_TOKENS as u64 + 6,
    reserved: "<image_soft_token>",
};

const QWEN3_VL: Kind = Kind {
    write: puna_tiny_model::write_qwen3_vl,
    // It sees 160 by 128 pixels.
    tokens: 22..=22,
    reserved: "<|vision_start|>",
};

const KINDS: [Kind; 2] = [GEMMA3, QWEN3_VL];

async fn start(kind: &Kind) -> (Local, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (kind.write)(folder.path()).unwrap();
    let config = json!({"models": [{"path": DEMO_MODEL}, {"path": folder.path(), "id": "vision"}]});
    let mut local = Local::start(config).await.unwrap();
    local.model = "vision";
    (local, folder)
}

fn png(pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    sized(40, 30, pixel)
}

fn sized(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Vec<u8> {
    let image = RgbImage::from_fn(width, height, |x, y| Rgb(pixel(x, y)));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image)
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

fn red() -> Vec<u8> {
    png(|_, _| [255, 0, 0])
}

fn stripes() -> Vec<u8> {
    png(|x, _| if x / 4 % 2 == 0 { [0, 0, 255] } else { [255, 255, 0] })
}

fn url(image: &[u8]) -> Value {
    json!(format!("data:image/png;base64,{}", STANDARD.encode(image)))
}

fn part(url: &Value) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// A chat about images, with these fields besides.
fn about(images: &[Value], fields: Value) -> Value {
    let mut parts = vec![json!({"type": "text", "text": "What is on it?"})];
    parts.extend(images.iter().map(part));
    let mut body = body(
        "",
        json!({"messages": [{"role": "user", "content": parts}], "max_tokens": 12, "logprobs": true}),
    );
    crate::local::extend(&mut body, fields);
    body
}

/// How likely each token of the answer was.
fn logprobs(answer: &ChatCompletion) -> Vec<f64> {
    let tokens = answer.choices[0].logprobs.as_ref().unwrap().content.as_ref().unwrap();
    tokens.iter().map(|token| token.logprob).collect()
}

fn prompt_tokens(answer: &ChatCompletion) -> u64 {
    answer.usage.as_ref().unwrap().prompt_tokens
}

/// Checks that no two of these answers are of the same prompt.
fn all_differ(answers: &[ChatCompletion]) {
    let all: Vec<f64> = answers.iter().map(|answer| logprobs(answer)[0]).collect();
    for (index, left) in all.iter().enumerate() {
        assert!(all[..index].iter().all(|right| left != right), "{index}: {all:?}");
    }
}

#[tokio::test]
async fn what_is_said_depends_on_every_image() {
    for kind in KINDS {
        let (local, _folder) = start(&kind).await;
        let ask = async |images: &[Value]| local.chat(&about(images, json!({}))).await.unwrap();
        let (red, stripes) = (url(&red()), url(&stripes()));
        let none = ask(&[]).await;
        let one = ask(std::slice::from_ref(&red)).await;
        let other = ask(std::slice::from_ref(&stripes)).await;
        let both = ask(&[red.clone(), stripes.clone()]).await;
        let swapped = ask(&[stripes.clone(), red.clone()]).await;
        // What comes third is seen as well.
        let three = ask(&[red.clone(), red.clone(), stripes.clone()]).await;
        let other_three = ask(&[red.clone(), red.clone(), red.clone()]).await;

        // The marks, and what the model sees between them.
        let added = prompt_tokens(&one) - prompt_tokens(&none);
        assert!(kind.tokens.contains(&added), "{added}");
        assert_eq!(prompt_tokens(&both) - prompt_tokens(&none), 2 * added);

        let again = ask(&[red]).await;
        assert_eq!(logprobs(&again), logprobs(&one));
        all_differ(&[none, one, other, both, swapped, three, other_three]);
    }
}

#[tokio::test]
async fn an_image_of_an_earlier_turn_is_still_seen() {
    for kind in KINDS {
        let (local, _folder) = start(&kind).await;
        let ask = async |first: &Value, last: &[Value]| {
            let mut last: Vec<Value> = last.iter().map(part).collect();
            last.push(json!({"type": "text", "text": "And now?"}));
            let messages = json!([
                {"role": "user", "content": [first, {"type": "text", "text": "What is on it?"}]},
                {"role": "assistant", "content": "A llama."},
                {"role": "user", "content": last},
            ]);
            let asked = body("", json!({"messages": messages, "max_tokens": 3, "logprobs": true}));
            local.chat(&asked).await.unwrap()
        };
        let (red, stripes) = (url(&red()), url(&stripes()));
        let nothing = json!({"type": "text", "text": "?"});
        all_differ(&[
            ask(&nothing, &[]).await,
            ask(&part(&red), &[]).await,
            ask(&part(&stripes), &[]).await,
            ask(&part(&stripes), std::slice::from_ref(&red)).await,
            ask(&part(&red), &[stripes]).await,
            ask(&nothing, &[red]).await,
        ]);
    }
}

#[tokio::test]
async fn qwen3_vl_sees_images_in_their_sizes() {
    let (local, _folder) = start(&QWEN3_VL).await;
    let ask = async |images: &[Value]| local.chat(&about(images, json!({}))).await.unwrap();
    let grey = |width, height| url(&sized(width, height, |_, _| [90, 90, 90]));
    let none = prompt_tokens(&ask(&[]).await);
    let mut answers = Vec::new();
    for (width, height, tokens) in [
        (40, 30, 5 * 4),
        (30, 40, 4 * 5),
        (1, 1, 4 * 4),
        (160, 224, 5 * 7),
        // The same bytes as the one before.
        (224, 160, 7 * 5),
        (1000, 1000, 8 * 8),
        (150, 1, 49),
    ] {
        let answer = ask(&[grey(width, height)]).await;
        assert_eq!(prompt_tokens(&answer), none + tokens + 2, "{width} {height}");
        answers.push(answer);
    }
    // Images of several sizes in one request, in both orders.
    let (small, large) = (grey(40, 30), grey(160, 224));
    let both = ask(&[small.clone(), large.clone()]).await;
    assert_eq!(prompt_tokens(&both), none + 20 + 35 + 4);
    let swapped = ask(&[large, small]).await;
    answers.extend([both, swapped]);
    all_differ(&answers);

    // What was seen before changes nothing.
    let (other, _folder) = start(&QWEN3_VL).await;
    let wide = other.chat(&about(&[grey(224, 160)], json!({}))).await.unwrap();
    assert_eq!(logprobs(&wide), logprobs(&answers[4]));

    let (kind, param, said) = refused(&local, &about(&[grey(201, 1)], json!({}))).await;
    assert_eq!(kind, ErrorKind::InvalidRequest);
    assert_eq!(param.as_deref(), Some("messages[0].content[1].image_url"));
    assert!(said.contains("201 by 1 pixels"), "{said}");
}

#[tokio::test]
async fn streams_and_several_answers_see_images_too() {
    for kind in KINDS {
        let (local, _folder) = start(&kind).await;
        let asked = about(&[url(&stripes())], json!({}));
        let whole = local.chat(&asked).await.unwrap();
        let mut streamed = asked.clone();
        crate::local::extend(
            &mut streamed,
            json!({"stream": true, "stream_options": {"include_usage": true}}),
        );
        let chunks = local.chunks(&streamed).await.unwrap();
        assert_eq!(joined(&chunks), crate::local::said(&whole));
        assert_eq!(chunks.last().unwrap().usage, whole.usage);
        let several = about(&[url(&stripes())], json!({"n": 2}));
        let several = local.chat(&several).await.unwrap();
        for choice in &several.choices {
            assert_eq!(choice.message.content, whole.choices[0].message.content);
        }
        assert_eq!(prompt_tokens(&several), prompt_tokens(&whole));
    }
}

#[tokio::test]
async fn what_others_ask_at_the_same_time_changes_nothing() {
    for kind in KINDS {
        let (local, _folder) = start(&kind).await;
        let (red, stripes) = (url(&red()), url(&stripes()));
        let ask = async |images: &[Value]| logprobs(&local.chat(&about(images, json!({}))).await.unwrap());
        let all = [vec![], vec![red.clone()], vec![stripes.clone()], vec![red, stripes]];
        let together = futures::future::join_all(all.iter().map(|images| ask(images))).await;
        for (images, made) in all.iter().zip(together) {
            assert_eq!(ask(images).await, made, "{}", images.len());
        }
    }
}

/// The engine would look for the images.
#[tokio::test]
async fn an_answer_never_has_what_stands_for_an_image() {
    let bias: Map<String, Value> = (0..3)
        .map(|mark| ((VOCABULARY_SIZE + mark).to_string(), json!(100)))
        .collect();
    for kind in KINDS {
        let (local, _folder) = start(&kind).await;
        let ask = async |fields: Value| local.chat(&about(&[url(&stripes())], fields)).await.unwrap();
        let (free, biased) = (ask(json!({})).await, ask(json!({"logit_bias": bias})).await);
        assert_eq!(logprobs(&biased), logprobs(&free));
    }
}

#[tokio::test]
async fn a_text_alone_is_answered_as_ever() {
    for kind in KINDS {
        let (local, _folder) = start(&kind).await;
        let answer = local.chat(&body("Hello!", json!({}))).await.unwrap();
        assert!(answer.usage.unwrap().completion_tokens > 0);
    }
}

async fn refused(local: &Local, asked: &Value) -> (ErrorKind, Option<String>, String) {
    let error = local.chat(asked).await.unwrap_err();
    let (kind, param) = (error.kind(), error.param().map(str::to_owned));
    (kind, param, error.message().to_owned())
}

#[tokio::test]
async fn images_that_cannot_be_seen_are_refused_by_name_and_the_engine_goes_on() {
    for kind in KINDS {
        refuses_and_goes_on(&kind).await;
    }
}

async fn refuses_and_goes_on(kind: &Kind) {
    let (mut local, _folder) = start(kind).await;
    let reserved = kind.reserved;
    let png = red();
    let cases = [
        (
            part(&json!("data:image/png;base64,AAAA")),
            "image_url",
            "is said to be `image/png`",
        ),
        (part(&url(&png[..png.len() / 2])), "image_url", "the image is broken"),
        (
            part(&json!("data:text/plain;base64,AAAA")),
            "image_url",
            "is of the type `text/plain`",
        ),
        (part(&json!("ftp://example.com/a.png")), "image_url", "must begin with"),
        (json!({"type": "text", "text": reserved}), "text", "stands for an image"),
    ];
    for (part, field, message) in cases {
        let asked = body("", json!({"messages": [{"role": "user", "content": [part]}]}));
        let (kind, param, said) = refused(&local, &asked).await;
        assert_eq!(kind, ErrorKind::InvalidRequest, "{said}");
        assert_eq!(param, Some(format!("messages[0].content[0].{field}")));
        assert!(said.contains(message), "{said}");
    }
    let many = vec![url(&png); 17];
    let (kind, param, said) = refused(&local, &about(&many, json!({}))).await;
    assert_eq!(
        (kind, param.as_deref()),
        (ErrorKind::InvalidRequest, Some("messages")),
        "{said}"
    );

    local.chat(&about(&[url(&png)], json!({}))).await.unwrap();
    local.model = DEMO_MODEL;
    let (kind, param, _) = refused(&local, &about(&[url(&png)], json!({}))).await;
    assert_eq!(
        (kind, param.as_deref()),
        (ErrorKind::Unsupported, Some("messages[0].content[1].image_url"))
    );
}

#[tokio::test]
async fn images_take_their_part_of_the_context() {
    for kind in KINDS {
        fill_the_context(&kind).await;
    }
}

async fn fill_the_context(kind: &Kind) {
    let (local, _folder) = start(kind).await;
    let image = url(&red());
    // As many as there is room for, and an answer that fills what is left.
    let words = "llama ".repeat(VISION_CONTEXT_LENGTH * 2 / 5);
    let text = json!({"type": "text", "text": words});
    let ask = |images: usize| {
        let mut parts = vec![part(&image); images];
        parts.push(text.clone());
        body(
            "",
            json!({"messages": [{"role": "user", "content": parts}], "max_tokens": VISION_CONTEXT_LENGTH, "temperature": 1}),
        )
    };
    let mut fit = Vec::new();
    for images in [1, 4, 8, 12, 16] {
        match local.chat(&ask(images)).await {
            Ok(answer) => {
                let usage = answer.usage.unwrap();
                assert!(usage.total_tokens <= VISION_CONTEXT_LENGTH as u64, "{usage:?}");
                fit.push(images);
            }
            Err(error) => {
                assert_eq!(error.code(), Some("context_length_exceeded"), "{error}");
                assert_eq!(error.param(), Some("messages"));
            }
        }
    }
    assert!(fit.starts_with(&[1]) && !fit.ends_with(&[16]), "{fit:?}");
}

#[tokio::test]
async fn an_image_is_fetched_only_from_where_the_operator_lets() {
    let images = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = images.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write_gemma3(folder.path()).unwrap();
    let config = json!({"models": [{"path": folder.path(), "id": "vision"}]});
    let asked = about(&[json!(format!("http://{address}/a.png"))], json!({}));

    let mut guarded = Local::start(config.clone()).await.unwrap();
    guarded.model = "vision";
    let (kind, param, _) = refused(&guarded, &asked).await;
    assert_eq!(
        (kind, param.as_deref()),
        (ErrorKind::PermissionDenied, Some("messages[0].content[1].image_url"))
    );

    let policy = EgressPolicy::allowing([address.to_string().as_str()]).unwrap();
    let mut open = Local::with_egress(config, policy).await.unwrap();
    open.model = "vision";
    let serve = async |media_type: &str, body: &[u8]| {
        let (mut stream, _) = images.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Who has read enough hangs up.
        drop(stream.write_all(body).await);
    };
    let image = stripes();
    let (fetched, ()) = tokio::join!(open.chat(&asked), serve("image/png", &image));
    let sent = open.chat(&about(&[url(&image)], json!({}))).await.unwrap();
    assert_eq!(logprobs(&fetched.unwrap()), logprobs(&sent));

    for (media_type, bytes, message) in [
        ("image/webp", image, "but its bytes are image/png"),
        (
            "text/html",
            Vec::new(),
            "its server sent something that is not an image",
        ),
        (
            "image/png",
            vec![0; (20 << 20) + 1],
            "the image is larger than 20971520 bytes",
        ),
    ] {
        let (result, ()) = tokio::join!(open.chat(&asked), serve(media_type, &bytes));
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::InvalidRequest, Some("messages[0].content[1].image_url"))
        );
        assert!(error.message().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_model_that_cannot_look_at_images_is_told_when_it_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    puna_tiny_model::write_gemma3(folder.path()).unwrap();
    let file = folder.path().join("processor_config.json");
    // Fewer tokens in the prompt than the model sees.
    std::fs::write(&file, json!({"image_seq_length": IMAGE_TOKENS - 3}).to_string()).unwrap();
    let config = json!({"models": [{"path": folder.path(), "id": "vision"}]});
    let error = Local::start(config).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("failed to load the model `vision`"), "{error}");
}

/// The vision tower, what is handed on of it, and attention that goes both ways within an image, as transformers computes them.
#[tokio::test]
async fn gemma3_says_what_the_reference_says() {
    says_what_the_reference_says(&GEMMA3, include_str!("../reference/gemma3.json")).await;
}

/// The vision tower, what each of its layers hands on, and the places of tokens in images of several sizes and behind them, as
/// transformers computes them.
#[tokio::test]
async fn qwen3_vl_says_what_the_reference_says() {
    says_what_the_reference_says(&QWEN3_VL, include_str!("../reference/qwen3_vl.json")).await;
}

async fn says_what_the_reference_says(kind: &Kind, fixture: &str) {
    let (local, _folder) = start(kind).await;
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let expected: Vec<f64> = serde_json::from_value(fixture["logprobs"].clone()).unwrap();
    let urls = fixture["urls"].as_array().unwrap();
    let mut content: Vec<Value> = urls.iter().map(part).collect();
    content.push(json!({"type": "text", "text": fixture["text"]}));
    let messages = json!([{"role": "user", "content": content}]);
    let asked = body(
        "",
        json!({"messages": messages, "logprobs": true, "max_tokens": expected.len()}),
    );
    let answer = local.chat(&asked).await.unwrap();
    let made = logprobs(&answer);
    assert_eq!(made.len(), expected.len());
    for (made, expected) in made.iter().zip(&expected) {
        assert!((made - expected).abs() < 1e-3, "{made} {expected}");
    }
    assert_eq!(fixture["prompt_tokens"], answer.usage.unwrap().prompt_tokens);
}
