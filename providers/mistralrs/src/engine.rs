//! The engine: the only part that knows mistralrs.
//!
//! The engine is given token ids and hands logits to a [`Picker`], which chooses each token itself. So texts,
//! stop sequences, seeds, grammars and tool calls are the provider's own affair, and the engine does what it is best at: it
//! runs the model for many answers at once.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use mistralrs::core::MistralRs;
use mistralrs::llguidance::ParserFactory;
use mistralrs::{NormalRequest, Request, SamplingParams};
use puna_api::{Error, Host, Result};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};

use crate::checkpoint::Vision;
use crate::error;
use crate::generation::{Generation, GenerationRequest, Held};
use crate::meters::{Counted, Meters};
use crate::reasoning::Thinking;
use crate::template::ChatTemplate;
use kv_use::{KvShape, KvUse};
use picker::{Answering, Constraint, EndTokens, Listener, Picker, Rest};
use turns::{Turn, Turns};

mod call_watch;
mod embedder;
mod grammar;
mod kv_use;
mod load;
mod picker;
mod stand_in;
#[cfg(test)]
mod tests;
mod turns;
mod vision;

pub(crate) use call_watch::CallForms;
pub(crate) use embedder::{Embedder, FEWEST_TOKENS};
pub(crate) use grammar::{Form, Grammar};
pub(crate) use load::EngineSettings;
pub(crate) use vision::Sight;

/// Messages that the engine may send before the picker takes them: one or two come with each token, and it looks each time.
const RESPONSES: usize = 16;

/// A loaded model.
pub(crate) struct Engine {
    id: String,
    /// Ends with the last of its owners.
    _engine: Arc<MistralRs>,
    requests: mpsc::Sender<Request>,
    tokenizer: Tokenizer,
    grammars: Arc<ParserFactory>,
    template: Option<ChatTemplate>,
    vision: Option<Vision>,
    /// The tokens that stand for images, or for parts of them.
    image_tokens: Arc<[u32]>,
    /// The text of the token that a text begins with, where the model has one.
    begin_text: Option<String>,
    end_tokens: Arc<EndTokens>,
    context_length: usize,
    defaults: SamplingDefaults,
    turns: Arc<Turns>,
    kv_shape: KvShape,
    meters: Meters,
    _loaded: Counted,
    host: Host,
}

/// A model's tokens.
pub(crate) struct Tokenizer {
    encode: Box<Encode>,
    tokens: Vec<Box<[u8]>>,
    longest_token: usize,
    begin_token: Option<u32>,
    drops_first_space: bool,
}

/// Gives the tokens of a text. The flag adds the tokens that every text of this model begins or ends with.
type Encode = dyn Fn(&str, bool) -> Result<Vec<u32>, String> + Send + Sync;

/// How a model's maker would have tokens chosen where a request does not say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct SamplingDefaults {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<usize>,
    pub(crate) min_p: Option<f64>,
    pub(crate) repetition_penalty: Option<f64>,
}

impl Engine {
    /// Loads a model, on a thread of its own.
    pub(crate) async fn load(settings: EngineSettings) -> Result<Self> {
        load::load(settings).await
    }

    /// The id that requests name the model by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The most tokens of prompt and answer together.
    pub(crate) fn context_length(&self) -> usize {
        self.context_length
    }

    /// The model's tokens.
    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The model's chat template, if it has one.
    pub(crate) fn template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// How the model's maker would have tokens chosen.
    pub(crate) fn defaults(&self) -> SamplingDefaults {
        self.defaults
    }

    /// A form of answers, which may think before. Fails as an invalid request when the form makes no sense or asks for too much.
    pub(crate) fn grammar(&self, form: Form, thinking: Thinking) -> Result<Grammar> {
        Grammar::new(form, thinking, &self.grammars)
    }

    /// Forms of calls that an answer may make or not: one call, or `several`. Fails as an invalid request when the schema makes no
    /// sense or asks for too much.
    pub(crate) fn call_forms(
        &self,
        schema: Map<String, Value>,
        several: bool,
        thinking: Thinking,
    ) -> Result<CallForms> {
        CallForms::new(schema, several, thinking, &self.grammars)
    }

    /// Begins an answer, when it is its turn. Fails as rate limited when too many answers wait already.
    pub(crate) async fn generate(&self, request: GenerationRequest) -> Result<Generation> {
        let turn = self.turns.first().await?;
        let constraint = match &request.held {
            Held::Nothing => Constraint::None,
            Held::Whole(grammar) => Constraint::Whole(Box::new(grammar.matcher(&self.grammars)?)),
            Held::Calls(forms) => Constraint::Calls(Box::new(forms.watch(Arc::clone(&self.grammars)))),
        };
        let (events, received) = mpsc::unbounded_channel();
        let vocabulary_size = self.tokenizer.tokens.len();
        let read_to_end = Arc::new(AtomicBool::new(false));
        let listener = Listener {
            events,
            read_to_end: Arc::clone(&read_to_end),
            meters: self.meters.clone(),
        };
        let mut answering = Answering::new(
            &request,
            constraint,
            Arc::clone(&self.end_tokens),
            vocabulary_size,
            listener,
        );
        let rest = answering.rest();
        let runner = Runner {
            requests: self.requests.clone(),
            turns: Arc::clone(&self.turns),
            kv_shape: self.kv_shape.clone(),
            meters: self.meters.clone(),
        };
        let answering = Arc::new(Mutex::new(answering));
        let over = runner.run(&answering, rest, turn).await?;
        if self.turns.steps_aside() {
            self.host.spawn(runner.go_on(answering, over));
        }
        self.meters.prompt_tokens.increment(request.prompt.len() as u64);
        Ok(Generation::new(received, read_to_end))
    }

    /// Whether the engine takes requests.
    pub(crate) fn is_running(&self) -> bool {
        !self.requests.is_closed()
    }
}

/// Hands answers to the engine.
struct Runner {
    requests: mpsc::Sender<Request>,
    turns: Arc<Turns>,
    kv_shape: KvShape,
    meters: Meters,
}

impl Runner {
    /// Gives an answer a turn. What comes back ends with the turn.
    async fn run(&self, answering: &Arc<Mutex<Answering>>, rest: Rest, turn: Turn) -> Result<oneshot::Receiver<()>> {
        let (responder, responses) = mpsc::channel(RESPONSES);
        let (sender, over) = oneshot::channel();
        let kv_use = KvUse::new(&self.kv_shape, &self.meters.kv_cache_bytes);
        let turns = Arc::clone(&self.turns);
        let picker = Picker::new(Arc::clone(answering), turns, turn, responses, kv_use, sender);
        let sampling = SamplingParams {
            // The picker leaves one token to choose from.
            temperature: Some(0.0),
            max_len: Some(rest.max_tokens),
            ..SamplingParams::neutral()
        };
        let mut request = NormalRequest::new_simple(
            vision::message(rest.tokens, rest.sight),
            sampling,
            responder,
            0,
            None,
            None,
        );
        request.is_streaming = true;
        request.logits_processors = Some(vec![Arc::new(picker)]);
        // Not by way of the engine, which would start a thread that ended anew, with whatever state the old one left.
        self.requests
            .send(Request::Normal(Box::new(request)))
            .await
            .map_err(|_| error::stopped())?;
        Ok(over)
    }

    /// Gives an answer more turns for as long as it steps aside, is waited for, and the server runs.
    async fn go_on(self, answering: Arc<Mutex<Answering>>, mut over: oneshot::Receiver<()>) {
        loop {
            // The sender is dropped with the turn.
            let _ = over.await;
            let Some(rest) = picker::lock(&answering).resume() else {
                return;
            };
            let events = picker::lock(&answering).events();
            let turn = tokio::select! {
                turn = self.turns.another() => turn,
                () = events.closed() => return picker::lock(&answering).leave(),
            };
            let begun = match turn {
                Ok(turn) => self.run(&answering, rest, turn).await,
                Err(error) => Err(error),
            };
            match begun {
                Ok(next) => over = next,
                Err(error) => return picker::lock(&answering).fail(error),
            }
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// The tokens of a text. `with_marks` adds the tokens that every text of this model begins or ends with.
    pub(crate) fn encode(&self, text: &str, with_marks: bool) -> Result<Vec<u32>> {
        (self.encode)(text, with_marks)
            .map_err(|cause| Error::invalid_request(format!("the text has no tokens: {cause}")))
    }

    /// The bytes of a token; none for one that stands for no text.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        self.tokens.get(token as usize).map_or(&[], |bytes| bytes)
    }

    /// A token as text, with U+FFFD for bytes that are none on their own.
    pub(crate) fn text(&self, token: u32) -> String {
        String::from_utf8_lossy(self.bytes(token)).into_owned()
    }

    /// How many characters begin in a token.
    pub(crate) fn characters(&self, token: u32) -> u64 {
        let begins = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
        self.bytes(token).iter().filter(begins).count() as u64
    }

    /// How many tokens there are.
    pub(crate) fn vocabulary_size(&self) -> usize {
        self.tokens.len()
    }

    /// The fewest tokens that a text of this many bytes can have.
    pub(crate) fn fewest_tokens(&self, bytes: usize) -> usize {
        bytes / self.longest_token.max(1)
    }

    /// The token that a text begins with, where the model has one.
    pub(crate) fn begin_token(&self) -> Option<u32> {
        self.begin_token
    }

    /// Whether a text on its own lacks the space that its first token begins with.
    pub(crate) fn drops_first_space(&self) -> bool {
        self.drops_first_space
    }
}
