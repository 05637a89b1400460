//! Chooses the tokens of one answer inside the engine's loop.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mistralrs::core::Response;
use mistralrs::llguidance::Matcher;
use mistralrs::{CustomLogitsProcessor, Device, Tensor};
use puna_api::Error;
use tokio::sync::mpsc::{Receiver, UnboundedSender};
use tokio::sync::oneshot;

use super::call_watch::CallWatch;
use super::kv_use::KvUse;
use super::turns::{Turn, Turns};
use super::vision::Sight;
use crate::error;
use crate::generation::{Event, GenerationRequest};
use crate::logprobs::{Likelihood, Scored};
use crate::meters::Meters;
use crate::sampling::{NotFinite, Sampler};

/// The tokens that end an answer.
#[derive(Debug)]
pub(super) struct EndTokens {
    /// All of them.
    pub(super) all: Vec<u32>,
    /// One that the engine knows as such.
    pub(super) of_engine: Option<u32>,
    /// The one that grammars have for it.
    pub(super) of_grammars: u32,
}

/// An answer in the making. It outlives the turns in which it is made.
pub(super) struct Answering {
    sampler: Sampler,
    constraint: Constraint,
    end_tokens: Arc<EndTokens>,
    vocabulary_size: usize,
    listener: Listener,
    prompt: Arc<[u32]>,
    /// Images that the engine was not given yet.
    sight: Option<Sight>,
    sees: Sees,
    /// Tokens that stand for images.
    image_tokens: Arc<[u32]>,
    /// The prompt, or as much of it as was looked at, and the answer.
    tokens: Vec<u32>,
    max_length: usize,
    top_logprobs: Option<usize>,
    progress: Progress,
}

/// Who waits for an answer.
pub(super) struct Listener {
    /// Where it goes.
    pub(super) events: UnboundedSender<Event>,
    /// Whether they left because they have all of it.
    pub(super) read_to_end: Arc<AtomicBool>,
    /// What is measured.
    pub(super) meters: Meters,
}

/// What limits the choice of tokens.
pub(super) enum Constraint {
    /// Nothing.
    None,
    /// A form of the whole answer.
    Whole(Box<Matcher>),
    /// Forms of the calls that it makes, if it makes any.
    Calls(Box<CallWatch>),
}

/// Whether an answer is to a prompt with images, which the engine makes longer than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sees {
    /// It is to a text.
    Nothing,
    /// The images were not looked at yet.
    Unread,
    /// The length of the prompt is known.
    Read,
}

/// What the engine should do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Go on.
    Running,
    /// Let go, to go on in another turn.
    SteppedAside,
    /// Let go.
    Ended,
}

/// What is left of an answer that stepped aside.
pub(super) struct Rest {
    /// The prompt and what the answer has already.
    pub(super) tokens: Vec<u32>,
    /// The images that the tokens have marks for.
    pub(super) sight: Option<Sight>,
    /// The most tokens that may come.
    pub(super) max_tokens: usize,
}

impl Answering {
    pub(super) fn new(
        request: &GenerationRequest,
        constraint: Constraint,
        end_tokens: Arc<EndTokens>,
        vocabulary_size: usize,
        listener: Listener,
    ) -> Self {
        let prompt = Arc::clone(&request.prompt);
        // A prompt whose tokens are to be scored is gone through one by one, as if it were the answer.
        let read_at_once = if request.scores_prompt { 1 } else { prompt.len() };
        Self {
            sampler: Sampler::new(request.sampling.clone(), &request.prompt, request.choice),
            constraint,
            end_tokens,
            vocabulary_size,
            listener,
            tokens: prompt[..read_at_once].to_vec(),
            max_length: prompt.len() + request.max_tokens as usize,
            top_logprobs: request.top_logprobs,
            sees: request.sight.as_ref().map_or(Sees::Nothing, |_| Sees::Unread),
            image_tokens: request.sight.as_ref().map(Sight::tokens).unwrap_or_default(),
            sight: request.sight.clone(),
            prompt,
            progress: Progress::Running,
        }
    }

    /// What another turn has to do; nothing when the answer did not step aside.
    pub(super) fn resume(&mut self) -> Option<Rest> {
        if self.progress != Progress::SteppedAside {
            return None;
        }
        self.progress = Progress::Running;
        Some(self.rest())
    }

    /// What is to do. Images are handed on but once: what sees them does not step aside.
    pub(super) fn rest(&mut self) -> Rest {
        Rest {
            tokens: self.tokens.clone(),
            sight: self.sight.take(),
            max_tokens: self.max_length - self.tokens.len(),
        }
    }

    /// Where to hear of it when nobody waits for the answer any more.
    pub(super) fn events(&self) -> UnboundedSender<Event> {
        self.listener.events.clone()
    }

    /// Ends the answer with a failure.
    pub(super) fn fail(&mut self, error: Error) {
        if self.progress == Progress::Ended {
            return;
        }
        self.progress = Progress::Ended;
        self.listener.meters.failed.increment(1);
        // Where nobody listens any more there is nobody to tell.
        let _ = self.listener.events.send(Event::Failed(error));
    }

    /// Ends the answer because nobody waits for it.
    pub(super) fn leave(&mut self) {
        if self.progress != Progress::Ended && !self.listener.read_to_end.load(Ordering::Relaxed) {
            self.listener.meters.cancelled.increment(1);
        }
        self.progress = Progress::Ended;
    }

    /// Ends the answer because the engine let go of it before its end.
    fn lose(&mut self) {
        if self.progress == Progress::Running && self.tokens.len() < self.max_length {
            self.fail(error::stopped());
        }
    }

    /// Takes notice of how many tokens the engine sees before the first one of the answer.
    fn begin(&mut self, length: usize) {
        if self.sees == Sees::Unread {
            self.sees = Sees::Read;
            let added = length.saturating_sub(self.prompt.len());
            self.listener.meters.prompt_tokens.increment(added as u64);
            // Where nobody listens any more, the next call ends the answer.
            let _ = self.listener.events.send(Event::Read(length as u64));
        }
    }

    /// The token that the answer goes on with; none when it is at its end.
    fn next(&mut self, mut logits: Vec<f32>) -> Option<u32> {
        if self.progress == Progress::Ended {
            return None;
        }
        if self.listener.events.is_closed() {
            self.leave();
            return None;
        }
        // Some models have more logits than tokens, to fill up a block of memory.
        logits.truncate(self.vocabulary_size);
        if let Some(&token) = self.prompt.get(self.tokens.len()) {
            let likelihood = self.likelihood(token, &logits);
            self.tokens.push(token);
            let _ = self.listener.events.send(Event::Prompt(Scored { token, likelihood }));
            return Some(token);
        }
        let raw = self.top_logprobs.is_some().then(|| logits.clone());
        match self.choose(&mut logits) {
            Ok(Some(token)) => {
                let likelihood = raw.and_then(|raw| self.likelihood(token, &raw));
                self.tokens.push(token);
                self.listener.meters.generated_tokens.increment(1);
                // Where nobody listens any more, the next call ends the answer.
                let _ = self.listener.events.send(Event::Token(Scored { token, likelihood }));
                Some(token)
            }
            Ok(None) => {
                self.progress = Progress::Ended;
                self.listener.meters.generated_tokens.increment(1);
                let _ = self.listener.events.send(Event::End);
                None
            }
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn likelihood(&self, token: u32, logits: &[f32]) -> Option<Likelihood> {
        self.top_logprobs.map(|top| Likelihood::of(token, logits, top))
    }

    fn choose(&mut self, logits: &mut [f32]) -> Result<Option<u32>, Error> {
        self.sampler.adjust(logits);
        for token in &*self.image_tokens {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        if let Some(matcher) = self.constraint.matcher() {
            if matcher.is_stopped() {
                return Ok(None);
            }
            let mask = matcher
                .compute_mask_or_eos()
                .map_err(|cause| error::failed(&cause.to_string()))?;
            let may_end = mask.is_allowed(self.end_tokens.of_grammars);
            for (token, logit) in (0..).zip(logits.iter_mut()) {
                let ends = may_end && self.end_tokens.all.contains(&token);
                if !ends && !mask.is_allowed(token) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        let token = self
            .sampler
            .choose(logits)
            .map_err(|NotFinite| error::failed("the logits are not finite numbers"))?;
        if self.end_tokens.all.contains(&token) {
            return Ok(None);
        }
        self.constraint.push(token)?;
        Ok(Some(token))
    }
}

impl Constraint {
    /// What holds for the next token.
    pub(super) fn matcher(&mut self) -> Option<&mut Matcher> {
        match self {
            Self::None => None,
            Self::Whole(matcher) => Some(matcher),
            Self::Calls(watch) => watch.matcher(),
        }
    }

    /// Takes the token that was chosen.
    pub(super) fn push(&mut self, token: u32) -> Result<(), Error> {
        if let Some(matcher) = self.matcher() {
            return matcher
                .consume_token(token)
                .map_err(|cause| error::failed(&cause.to_string()));
        }
        match self {
            Self::Calls(watch) => watch.push(token),
            Self::None | Self::Whole(_) => Ok(()),
        }
    }
}

/// Stands in the engine as a processor of logits for one turn of an answer, and leaves the engine but one token to choose from.
///
/// It lives as long as the engine works on the answer, and holds the receiving end of the engine's own messages for as long:
/// the engine panics, and with it all other answers, where a message cannot be delivered. It never fails for the same reason:
/// the engine gives up the other answers of the batch then. When nobody waits for the answer any more, when the answer cannot
/// go on, or when it steps aside, it chooses the token that ends it.
pub(super) struct Picker(Mutex<Seat>);

struct Seat {
    answering: Arc<Mutex<Answering>>,
    turns: Arc<Turns>,
    began: Instant,
    /// How long the engine read before it asked for the first token.
    reading: Option<Duration>,
    responses: Option<Receiver<Response>>,
    kv_use: KvUse,
    // In this order: whoever hears that the turn is over finds it free.
    _turn: Turn,
    _over: oneshot::Sender<()>,
}

impl Picker {
    /// A picker for one turn. `over` is dropped when the engine has let go of the answer.
    pub(super) fn new(
        answering: Arc<Mutex<Answering>>,
        turns: Arc<Turns>,
        turn: Turn,
        responses: Receiver<Response>,
        kv_use: KvUse,
        over: oneshot::Sender<()>,
    ) -> Self {
        Self(Mutex::new(Seat {
            answering,
            turns,
            began: Instant::now(),
            reading: None,
            responses: Some(responses),
            kv_use,
            _turn: turn,
            _over: over,
        }))
    }
}

impl CustomLogitsProcessor for Picker {
    fn apply(&self, logits: &Tensor, context: &[u32]) -> mistralrs::Result<Tensor> {
        #[cfg(test)]
        assert!(!lock(&self.0).turns.defect.load(Ordering::Relaxed));
        let logits = logits.to_vec1::<f32>().unwrap_or_default();
        // A panic here would end the engine, and with it all other answers.
        let picked = catch_unwind(AssertUnwindSafe(|| lock(&self.0).pick(logits, context.len())));
        let token = picked.unwrap_or_else(|_| lock(&self.0).give_up()) as usize;
        // The engine takes the token with the highest value, so nothing need stand behind it.
        let mut values = vec![0.0_f32; token + 1];
        values[token] = 1.0;
        Tensor::from_vec(values, token + 1, &Device::Cpu)
    }
}

impl Seat {
    /// The token that the engine goes on with, after so many.
    fn pick(&mut self, logits: Vec<f32>, length: usize) -> u32 {
        let took = self.began.elapsed();
        let reading = *self.reading.get_or_insert(took);
        self.take_responses();
        self.kv_use.set(length);
        let mut answering = lock(&self.answering);
        answering.begin(length);
        let token = answering.next(logits);
        #[cfg(test)]
        self.turns.chosen.fetch_add(1, Ordering::Relaxed);
        let length = answering.tokens.len();
        if let Some(token) = token {
            let stays = answering.sees != Sees::Nothing || !self.turns.is_over(reading, took - reading);
            if stays || length >= answering.max_length {
                return token;
            }
            // The token is kept; the engine is told another one and lets go.
            answering.progress = Progress::SteppedAside;
            #[cfg(test)]
            self.turns.stepped_aside.fetch_add(1, Ordering::Relaxed);
        }
        let end_token = answering.end_tokens.of_engine;
        drop(answering);
        self.let_go(end_token)
    }

    /// Makes the engine let go of the answer: the token that ends it.
    fn let_go(&mut self, end_token: Option<u32>) -> u32 {
        end_token.unwrap_or_else(|| {
            // Without such a token there is but one way: the engine's next message finds nobody.
            self.responses = None;
            0
        })
    }

    /// Fails the answer after a panic.
    fn give_up(&mut self) -> u32 {
        let end_token = {
            let mut answering = lock(&self.answering);
            answering.fail(error::failed("choosing a token panicked"));
            answering.end_tokens.of_engine
        };
        self.let_go(end_token)
    }

    /// Takes the engine's own messages, which matter only where they tell of a failure.
    fn take_responses(&mut self) {
        let Some(responses) = &mut self.responses else { return };
        while let Ok(response) = responses.try_recv() {
            let cause = match response {
                Response::InternalError(error) | Response::ValidationError(error) => error.to_string(),
                Response::ModelError(message, _) | Response::CompletionModelError(message, _) => message,
                _ => continue,
            };
            lock(&self.answering).fail(error::failed(&cause));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.take_responses();
        lock(&self.answering).lose();
    }
}

/// What a panic left behind is as good as it was before.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
