//! Makes answers of tokens: text, what was thought before it, calls to tools, and the reason why they end.

use std::collections::VecDeque;
use std::sync::Arc;

use async_stream::try_stream;
use futures::stream::{SelectAll, StreamExt};
use puna_api::{BoxStream, FinishReason, Result};

use crate::engine::Tokenizer;
use crate::engine_loader::EngineLease;
use crate::generation::{Generation, GenerationRequest, Next};
use crate::logprobs::Scored;
use crate::reasoning::{Part, ReasoningSplitter, Thinking};
use crate::stop::{Passed, StopMatcher};
use crate::tool_calls::{Call, Piece, ToolCallDetector};
use crate::utf8::Utf8Decoder;

/// One answer to make.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// The number of the answer in the response.
    pub(crate) index: u32,
    /// What the engine is asked for.
    pub(crate) generation: GenerationRequest,
    /// How its tokens are read.
    pub(crate) reading: Reading,
}

/// How the tokens of an answer are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// Texts at which the answer ends.
    pub(crate) stops: Vec<String>,
    /// The tools that the answer may call.
    pub(crate) tools: Option<Tools>,
    /// Whether and where the answer begins with thinking.
    pub(crate) thinking: Thinking,
    /// Whether the answer is a text on its own rather than the rest of one.
    pub(crate) is_message: bool,
    /// The text of the prompt, where the answer is to begin with it.
    pub(crate) echo: Option<Arc<str>>,
}

/// The tools that an answer may call.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// Their names.
    pub(crate) names: Vec<String>,
    /// Whether it may call more than one.
    pub(crate) parallel: bool,
    /// Whether calls are held to the tools' schemas.
    pub(crate) strict: bool,
}

/// What happens to an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AnswerEvent {
    /// It goes on. The tokens are those that came to light with it, none where nobody asked how likely they are.
    Said(Said, Vec<Scored>),
    /// It is done.
    Finished(Finished),
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Text.
    Text(String),
    /// Something that the model thinks.
    Reasoning(String),
    /// A whole call.
    Call(Call),
}

/// The end of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finished {
    /// Why it ends.
    pub(crate) reason: FinishReason,
    /// The tokens of the prompt, where images make them other than they were.
    pub(crate) prompt_tokens: Option<u64>,
    /// The tokens that it took.
    pub(crate) tokens: u64,
    /// Those of them that were spent on thinking.
    pub(crate) reasoning_tokens: u64,
    /// The last tokens, as in [`AnswerEvent::Said`].
    pub(crate) last: Vec<Scored>,
}

/// Makes answers, all at the same time as far as the engine can. Each event comes with the answer's number, and each answer
/// ends with [`AnswerEvent::Finished`].
///
/// The first answer is begun before this returns, so that what keeps the engine from it is an error and not a stream.
pub(crate) async fn answers(engine: EngineLease, jobs: Vec<Job>) -> Result<BoxStream<Result<(u32, AnswerEvent)>>> {
    let mut all = SelectAll::new();
    for (position, job) in jobs.into_iter().enumerate() {
        let begun = if position == 0 && job.generation.needs_engine() {
            Some(engine.generate(job.generation.clone()).await?)
        } else {
            None
        };
        all.push(answer(engine.clone(), job, begun).boxed());
    }
    Ok(all.boxed())
}

fn answer(
    engine: EngineLease,
    job: Job,
    begun: Option<Generation>,
) -> impl futures::Stream<Item = Result<(u32, AnswerEvent)>> {
    try_stream! {
        let Job { index, generation: request, reading } = job;
        let mut reader = Reader::new(reading, &request, engine.tokenizer());
        let mut generation = match begun {
            Some(begun) => Some(begun),
            None if request.needs_engine() => Some(engine.generate(request).await?),
            None => None,
        };
        loop {
            let next = match &mut generation {
                Some(generation) => Some(generation.next().await?),
                None => None,
            };
            let Read { said, finished } = reader.read(next, engine.tokenizer());
            for (said, tokens) in said {
                yield (index, AnswerEvent::Said(said, tokens));
            }
            if let Some(mut finished) = finished {
                finished.prompt_tokens = generation.as_ref().and_then(Generation::prompt_tokens);
                // The engine may be at the next token, which nobody needs.
                if let Some(generation) = generation {
                    generation.finish();
                }
                yield (index, AnswerEvent::Finished(finished));
                break;
            }
        }
    }
}

/// Reads the tokens of one answer.
struct Reader {
    echo: Option<Echo>,
    decoder: Utf8Decoder,
    stops: StopMatcher,
    splitter: ReasoningSplitter,
    detector: Option<ToolCallDetector>,
    one_call: bool,
    calls: usize,
    drops_space: bool,
    ledger: Ledger,
    tokens: u64,
    reasoning_tokens: u64,
    max_tokens: u64,
}

/// The prompt, on its way to the beginning of the answer.
struct Echo {
    text: Arc<str>,
    /// Tokens that were not looked at yet.
    missing: usize,
    tokens: Vec<Scored>,
}

/// What comes of a token.
struct Read {
    said: Vec<(Said, Vec<Scored>)>,
    finished: Option<Finished>,
}

impl Reader {
    fn new(reading: Reading, request: &GenerationRequest, tokenizer: &Tokenizer) -> Self {
        let Reading {
            stops,
            tools,
            thinking,
            is_message,
            echo,
        } = reading;
        Self {
            echo: echo.map(|text| Echo::new(text, request)),
            decoder: Utf8Decoder::default(),
            stops: StopMatcher::new(stops),
            splitter: ReasoningSplitter::new(thinking),
            one_call: tools.as_ref().is_some_and(|tools| !tools.parallel),
            detector: tools.map(|tools| ToolCallDetector::new(tools.names, tools.strict)),
            calls: 0,
            drops_space: is_message && tokenizer.drops_first_space(),
            ledger: Ledger::default(),
            tokens: 0,
            reasoning_tokens: 0,
            max_tokens: u64::from(request.max_tokens),
        }
    }

    /// What comes of the next token, or of there being none because none was asked for.
    fn read(&mut self, next: Option<Next>, tokenizer: &Tokenizer) -> Read {
        let mut said = Vec::new();
        if let Some(Next::Prompt(scored)) = next {
            if let Some(echo) = &mut self.echo {
                echo.missing = echo.missing.saturating_sub(1);
                echo.tokens.push(scored);
                if echo.missing > 0 || self.max_tokens > 0 {
                    return Read { said, finished: None };
                }
            }
            said.extend(self.echoed());
            return self.ended(said, FinishReason::Length);
        }
        said.extend(self.echoed());
        let Some(next) = next else {
            return self.ended(said, FinishReason::Length);
        };
        self.tokens += 1;
        let was_reasoning = self.splitter.is_reasoning();
        let (text, mut stopped, is_last) = match &next {
            Next::Token(scored) => {
                let text = self.decode(scored, tokenizer);
                let Passed { text, stopped } = self.pass(&text);
                (text, stopped, self.tokens >= self.max_tokens)
            }
            Next::Prompt(_) | Next::End => (String::new(), false, true),
        };
        let mut text = text;
        if is_last && !stopped {
            let rest = self.decoder.finish();
            self.ledger.decoded += rest.len();
            let passed = self.pass(&rest);
            text.push_str(&passed.text);
            stopped = passed.stopped;
            if !stopped {
                text.push_str(&self.stops.finish());
                self.ledger.release_all();
            }
        }
        let ends = is_last || stopped;
        let pieces = self.split(&text, ends);
        if was_reasoning || self.splitter.is_reasoning() {
            self.reasoning_tokens = self.tokens;
        }
        for piece in pieces {
            if self.keeps(&piece) {
                said.push((piece, self.ledger.take()));
            }
        }
        if !ends {
            return Read { said, finished: None };
        }
        let reason = match next {
            Next::Token(_) if !stopped => FinishReason::Length,
            _ if self.calls > 0 => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        self.ended(said, reason)
    }

    fn ended(&mut self, said: Vec<(Said, Vec<Scored>)>, reason: FinishReason) -> Read {
        Read {
            said,
            finished: Some(Finished {
                reason,
                prompt_tokens: None,
                tokens: self.tokens,
                reasoning_tokens: self.reasoning_tokens,
                last: self.ledger.take(),
            }),
        }
    }

    /// The prompt, before anything else.
    fn echoed(&mut self) -> Option<(Said, Vec<Scored>)> {
        let echo = self.echo.take()?;
        Some((Said::Text(echo.text.as_ref().to_owned()), echo.tokens))
    }

    fn decode(&mut self, scored: &Scored, tokenizer: &Tokenizer) -> String {
        self.ledger.enter(scored);
        let mut text = self.decoder.push(tokenizer.bytes(scored.token));
        if self.drops_space && !text.is_empty() {
            self.drops_space = false;
            if text.starts_with(' ') {
                text.remove(0);
            }
        }
        self.ledger.decoded += text.len();
        text
    }

    /// Hands on what surely is in front of every stop sequence.
    fn pass(&mut self, text: &str) -> Passed {
        let passed = self.stops.push(text);
        self.ledger.pass(passed.text.len());
        passed
    }

    /// Tells thinking, calls and text from each other.
    fn split(&mut self, text: &str, ends: bool) -> Vec<Said> {
        let mut parts = self.splitter.push(text);
        if ends {
            parts.extend(self.splitter.finish());
        }
        let mut said = Vec::new();
        for part in parts {
            match (part, &mut self.detector) {
                (Part::Reasoning(text), _) => said.push(Said::Reasoning(text)),
                (Part::Text(text), None) => said.push(Said::Text(text)),
                (Part::Text(text), Some(detector)) => said.extend(detector.push(&text).into_iter().map(Said::from)),
            }
        }
        if let Some(detector) = self.detector.as_mut().filter(|_| ends) {
            said.extend(detector.finish().into_iter().map(Said::from));
        }
        said
    }

    fn keeps(&mut self, said: &Said) -> bool {
        match said {
            Said::Text(text) | Said::Reasoning(text) => !text.is_empty(),
            Said::Call(_) => {
                self.calls += 1;
                self.calls == 1 || !self.one_call
            }
        }
    }
}

impl Echo {
    fn new(text: Arc<str>, request: &GenerationRequest) -> Self {
        let first = request.prompt.first().filter(|_| request.top_logprobs.is_some());
        let tokens: Vec<Scored> = first
            .map(|&token| Scored {
                token,
                likelihood: None,
            })
            .into_iter()
            .collect();
        Self {
            text,
            missing: request.prompt.len() - 1,
            tokens,
        }
    }
}

/// Keeps the tokens whose likelihoods were asked for until their texts are shown: what a stop sequence cuts off is not told of.
#[derive(Default)]
struct Ledger {
    /// Tokens with the place in the text where they begin.
    waiting: VecDeque<(usize, Scored)>,
    released: Vec<Scored>,
    /// Length of the text so far.
    decoded: usize,
    /// Length of the text that was handed on.
    passed: usize,
}

impl Ledger {
    fn enter(&mut self, scored: &Scored) {
        if scored.likelihood.is_some() {
            self.waiting.push_back((self.decoded, scored.clone()));
        }
    }

    fn pass(&mut self, length: usize) {
        self.passed += length;
        while let Some((_, scored)) = self.waiting.pop_front_if(|(start, _)| *start < self.passed) {
            self.released.push(scored);
        }
    }

    fn release_all(&mut self) {
        self.released.extend(self.waiting.drain(..).map(|(_, scored)| scored));
    }

    fn take(&mut self) -> Vec<Scored> {
        std::mem::take(&mut self.released)
    }
}

impl From<Piece> for Said {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Text(text) => Self::Text(text),
            Piece::Call(call) => Self::Call(call),
        }
    }
}
