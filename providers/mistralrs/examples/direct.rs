//! Calls the engine with nothing between, for `puna-bench engine` to compare the server with.
//!
//! `direct MODEL STREAMS TOKENS AT_ONCE WITHHELD PROMPT` loads a checkpoint folder, makes STREAMS answers of TOKENS tokens to the same prompt at the
//! same time, of which the engine is given AT_ONCE together, and prints a line of JSON: the tokens of all, how long they took, and when each began.
//! WITHHELD are tokens, separated by commas, that are not chosen.

#![expect(clippy::print_stdout, reason = "the answer goes to whoever called")]

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures::future::try_join_all;
use mistralrs::{
    CustomLogitsProcessor, ModelDType, NormalRequest, PagedAttentionMetaBuilder, Request, RequestMessage, Response,
    SamplingParams, Tensor, TextModelBuilder, best_device,
};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Run {
    streams: usize,
    tokens: usize,
    /// The engine's own bound does not hold where it has nothing to do: it takes all that wait then.
    at_once: Semaphore,
    never: Arc<Never>,
    prompt: String,
}

/// Keeps answers from some tokens. The engine takes a bias of tokens with a request, but does not apply it.
struct Never {
    tokens: Vec<u32>,
    mask: OnceLock<Tensor>,
}

impl CustomLogitsProcessor for Never {
    fn apply(&self, logits: &Tensor, _context: &[u32]) -> mistralrs::Result<Tensor> {
        let mask = match self.mask.get() {
            Some(mask) => mask,
            None => {
                let mut mask = vec![0.0_f32; logits.elem_count()];
                for token in &self.tokens {
                    if let Some(place) = mask.get_mut(*token as usize) {
                        *place = f32::NEG_INFINITY;
                    }
                }
                let mask = Tensor::from_vec(mask, logits.dims(), logits.device())?.to_dtype(logits.dtype())?;
                self.mask.get_or_init(|| mask)
            }
        };
        logits + mask
    }
}

/// When the first token came, in seconds, and how many there were.
struct Answer {
    first_token: f64,
    tokens: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, streams, tokens, at_once, withheld, prompt] = &arguments[..] else {
        return Err("usage: direct MODEL STREAMS TOKENS AT_ONCE WITHHELD PROMPT".into());
    };
    let withheld: std::result::Result<Vec<u32>, _> = withheld
        .split(',')
        .filter(|it| !it.is_empty())
        .map(str::parse)
        .collect();
    let at_once = at_once.parse()?;
    let run = Run {
        streams: streams.parse()?,
        tokens: tokens.parse()?,
        at_once: Semaphore::new(at_once),
        never: Arc::new(Never {
            tokens: withheld?,
            mask: OnceLock::new(),
        }),
        prompt: prompt.clone(),
    };
    let is_on_cpu = best_device(false)?.is_cpu();
    let mut builder = TextModelBuilder::new(model)
        .with_dtype(if is_on_cpu { ModelDType::F32 } else { ModelDType::Auto })
        .with_max_num_seqs(at_once)
        .with_prefix_cache_n(None);
    if !is_on_cpu {
        builder = builder.with_paged_attn(PagedAttentionMetaBuilder::default().build()?);
    }
    let model = Arc::new(builder.build().await?);
    // One answer before anything counts.
    answer(&model, &run).await?;
    let began = Instant::now();
    let answers = try_join_all((0..run.streams).map(|_| answer(&model, &run))).await?;
    let seconds = began.elapsed().as_secs_f64();
    let first_tokens: Vec<f64> = answers.iter().map(|answer| answer.first_token).collect();
    let tokens: usize = answers.iter().map(|answer| answer.tokens).sum();
    println!(
        "{}",
        json!({ "tokens": tokens, "seconds": seconds, "first_token_seconds": first_tokens })
    );
    Ok(())
}

async fn answer(model: &mistralrs::Model, run: &Run) -> Result<Answer> {
    // The engine waits for a channel that is full.
    let (responder, mut responses) = mpsc::channel(run.tokens + 16);
    let message = RequestMessage::Completion {
        text: run.prompt.clone(),
        echo_prompt: false,
        best_of: None,
    };
    let sampling = SamplingParams {
        temperature: None,
        max_len: Some(run.tokens),
        ..SamplingParams::deterministic()
    };
    let mut request = NormalRequest::new_simple(message, sampling, responder, 0, None, None);
    request.is_streaming = true;
    request.logits_processors = Some(vec![Arc::clone(&run.never) as _]);
    let began = Instant::now();
    let _permit = run.at_once.acquire().await?;
    model
        .inner()
        .get_sender(None)?
        .send(Request::Normal(Box::new(request)))
        .await
        .map_err(|_| "the engine has stopped")?;
    let mut first_token = None;
    let mut tokens = 0;
    while let Some(response) = responses.recv().await {
        match response {
            Response::CompletionChunk(chunk) => {
                first_token.get_or_insert_with(|| began.elapsed().as_secs_f64());
                tokens += 1;
                if chunk.choices.iter().any(|choice| choice.finish_reason.is_some()) {
                    break;
                }
            }
            Response::InternalError(error) | Response::ValidationError(error) => return Err(error),
            Response::CompletionModelError(error, _) => return Err(error.into()),
            _ => return Err("the engine answered in another way than it was asked".into()),
        }
    }
    Ok(Answer {
        first_token: first_token.ok_or("the engine sent no token")?,
        tokens,
    })
}
