//! Models that turn texts into vectors.

use std::sync::Arc;

use mistralrs::core::{DefaultSchedulerMethod, MistralRs, MistralRsBuilder, Response, SchedulerConfig};
use mistralrs::{NormalRequest, Request, RequestMessage, SamplingParams};
use puna_api::{Error, Host, Result};
use tokio::sync::{mpsc, oneshot};

use super::load::{self, EngineSettings};
use super::turns::Turns;
use super::{Encode, error};
use crate::meters::{Counted, Meters};

/// The engine panics over texts with fewer tokens.
pub(crate) const FEWEST_TOKENS: usize = 2;

/// A loaded embedding model.
pub(crate) struct Embedder {
    id: String,
    /// Ends with the last of its owners.
    _engine: Arc<MistralRs>,
    requests: mpsc::Sender<Request>,
    encode: Box<Encode>,
    vocabulary_size: usize,
    context_length: usize,
    dimension: usize,
    turns: Arc<Turns>,
    meters: Meters,
    _loaded: Counted,
    host: Host,
}

impl Embedder {
    /// Loads a model, on a thread of its own, and lets it make a vector.
    pub(crate) async fn load(settings: EngineSettings) -> Result<Self> {
        let mut embedder = load::on_a_thread(settings, load_here).await?;
        let vector = embedder.embed(vec![0; FEWEST_TOKENS]).await;
        embedder.dimension = vector.map_err(|error| load::untried(&embedder.id, &error))?.len();
        Ok(embedder)
    }

    /// The id that requests name the model by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The most tokens of a text.
    pub(crate) fn context_length(&self) -> usize {
        self.context_length
    }

    /// How many tokens there are.
    pub(crate) fn vocabulary_size(&self) -> usize {
        self.vocabulary_size
    }

    /// How many numbers a vector has.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    /// The tokens of a text, with those that every text begins or ends with.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        (self.encode)(text, true)
            .map_err(|cause| Error::invalid_request(format!("the text has no tokens: {cause}")).with_param("input"))
    }

    /// Whether the engine takes requests.
    pub(crate) fn is_running(&self) -> bool {
        !self.requests.is_closed()
    }

    /// The vector of a text, when it is its turn. Fails as rate limited when too many wait already.
    pub(crate) async fn embed(&self, tokens: Vec<u32>) -> Result<Vec<f32>> {
        let turn = self.turns.first().await?;
        self.meters.prompt_tokens.increment(tokens.len() as u64);
        let (responder, mut responses) = mpsc::channel(1);
        let message = RequestMessage::EmbeddingTokens { prompt: tokens };
        let request = NormalRequest::new_simple(message, SamplingParams::neutral(), responder, 0, None, None);
        self.requests
            .send(Request::Normal(Box::new(request)))
            .await
            .map_err(|_| error::stopped())?;
        let (sender, receiver) = oneshot::channel();
        // The engine panics where nobody takes its answer, so it is taken also when nobody waits for it any more.
        self.host.spawn(async move {
            let response = responses.recv().await;
            drop(turn);
            let _ = sender.send(response);
        });
        let response = receiver.await.ok().flatten();
        let failed = match response {
            Some(Response::Embeddings { embeddings, .. }) => return Ok(embeddings),
            None => error::stopped(),
            Some(Response::InternalError(cause) | Response::ValidationError(cause)) => {
                error::failed(&cause.to_string())
            }
            Some(Response::ModelError(cause, _) | Response::CompletionModelError(cause, _)) => error::failed(&cause),
            Some(_) => error::failed("the engine answered with something else than a vector"),
        };
        self.meters.failed.increment(1);
        Err(failed)
    }
}

fn load_here(settings: &EngineSettings) -> Result<Embedder> {
    let failed = |cause: String| error::load(&settings.id, &cause);
    load::in_a_runtime(&settings.id, async {
        let pipeline = load::read(settings).map_err(failed)?;
        let ((encode, vocabulary_size), longest) = {
            let pipeline = pipeline.try_lock().map_err(|cause| failed(cause.to_string()))?;
            let encoder = load::encoder(&*pipeline).map_err(failed)?;
            (encoder, pipeline.get_metadata().max_seq_len)
        };
        // Texts of a batch would be filled up to the same length, and what they are filled up with would count.
        let scheduler = SchedulerConfig::DefaultScheduler {
            method: DefaultSchedulerMethod::Fixed(std::num::NonZeroUsize::MIN),
        };
        let engine = MistralRsBuilder::new(pipeline, scheduler, false, None)
            .with_no_prefix_cache(true)
            .build()
            .await;
        let requests = engine.get_sender(None).map_err(|cause| failed(cause.to_string()))?;
        Ok(Embedder {
            id: settings.id.clone(),
            _engine: engine,
            requests,
            encode,
            vocabulary_size,
            context_length: settings
                .max_sequence_length
                .map_or(longest, |most| most.get().min(longest)),
            dimension: 0,
            turns: Arc::new(Turns::new(
                &settings.id,
                1,
                None,
                settings.max_waiting,
                settings.meters.clone(),
            )),
            meters: settings.meters.clone(),
            _loaded: Counted::new(&settings.meters.loaded),
            host: settings.host.clone(),
        })
    })
}
