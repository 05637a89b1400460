//! Makes answers of tokens: text, calls to tools, and the reason why they end.

use std::sync::Arc;

use async_stream::try_stream;
use futures::stream::{SelectAll, StreamExt};
use puna_api::{BoxStream, FinishReason, Result};

use crate::engine::{Engine, Tokenizer};
use crate::generation::{Generation, GenerationRequest, Next};
use crate::stop::{Passed, StopMatcher};
use crate::tool_calls::{Piece, ToolCallDetector};
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
    /// Whether the answer is a text on its own rather than the rest of one.
    pub(crate) is_message: bool,
}

/// The tools that an answer may call.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// Their names.
    pub(crate) names: Vec<String>,
    /// Whether it may call more than one.
    pub(crate) parallel: bool,
}

/// What happens to an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AnswerEvent {
    /// It goes on.
    Piece(Piece),
    /// It is done.
    Finished {
        /// Why it ends.
        reason: FinishReason,
        /// The tokens that it took.
        tokens: u64,
    },
}

/// Makes answers, all at the same time as far as the engine can. Each event comes with the answer's number, and each answer
/// ends with [`AnswerEvent::Finished`].
///
/// The first answer is begun before this returns, so that what keeps the engine from it is an error and not a stream.
pub(crate) async fn answers(engine: Arc<Engine>, jobs: Vec<Job>) -> Result<BoxStream<Result<(u32, AnswerEvent)>>> {
    let mut all = SelectAll::new();
    for (position, job) in jobs.into_iter().enumerate() {
        let begun = if position == 0 {
            Some(engine.generate(job.generation.clone()).await?)
        } else {
            None
        };
        all.push(answer(Arc::clone(&engine), job, begun).boxed());
    }
    Ok(all.boxed())
}

fn answer(
    engine: Arc<Engine>,
    job: Job,
    begun: Option<Generation>,
) -> impl futures::Stream<Item = Result<(u32, AnswerEvent)>> {
    try_stream! {
        let Job { index, generation, reading } = job;
        let mut reader = Reader::new(reading, generation.max_tokens, engine.tokenizer());
        let mut generation = match begun {
            Some(begun) => begun,
            None => engine.generate(generation).await?,
        };
        loop {
            let Read { pieces, finished } = reader.read(generation.next().await?, engine.tokenizer());
            for piece in pieces {
                yield (index, AnswerEvent::Piece(piece));
            }
            if let Some(reason) = finished {
                // The engine may be at the next token, which nobody needs.
                drop(generation);
                yield (index, AnswerEvent::Finished { reason, tokens: reader.tokens });
                break;
            }
        }
    }
}

/// Reads the tokens of one answer.
struct Reader {
    decoder: Utf8Decoder,
    stops: StopMatcher,
    detector: Option<ToolCallDetector>,
    one_call: bool,
    calls: usize,
    drops_space: bool,
    tokens: u64,
    max_tokens: u64,
}

/// What comes of a token.
struct Read {
    pieces: Vec<Piece>,
    finished: Option<FinishReason>,
}

impl Reader {
    fn new(reading: Reading, max_tokens: u32, tokenizer: &Tokenizer) -> Self {
        let Reading {
            stops,
            tools,
            is_message,
        } = reading;
        Self {
            decoder: Utf8Decoder::default(),
            stops: StopMatcher::new(stops),
            one_call: tools.as_ref().is_some_and(|tools| !tools.parallel),
            detector: tools.map(|tools| ToolCallDetector::new(tools.names)),
            calls: 0,
            drops_space: is_message && tokenizer.drops_first_space(),
            tokens: 0,
            max_tokens: u64::from(max_tokens),
        }
    }

    fn read(&mut self, next: Next, tokenizer: &Tokenizer) -> Read {
        self.tokens += 1;
        let (mut passed, is_last) = match next {
            Next::Token(token) => (self.decode(tokenizer.bytes(token)), self.tokens >= self.max_tokens),
            Next::End => (
                Passed {
                    text: String::new(),
                    stopped: false,
                },
                true,
            ),
        };
        if is_last && !passed.stopped {
            let Passed { text, stopped } = self.stops.push(&self.decoder.finish());
            passed.text.push_str(&text);
            passed.stopped = stopped;
            if !stopped {
                passed.text.push_str(&self.stops.finish());
            }
        }
        let ends = is_last || passed.stopped;
        let mut pieces = match &mut self.detector {
            Some(detector) => {
                let mut pieces = detector.push(&passed.text);
                if ends {
                    pieces.extend(detector.finish());
                }
                pieces
            }
            None => vec![Piece::Text(passed.text)],
        };
        pieces.retain(|piece| self.keeps(piece));
        let reason = match next {
            Next::Token(_) if !passed.stopped => FinishReason::Length,
            _ if self.calls > 0 => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        };
        Read {
            pieces,
            finished: ends.then_some(reason),
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> Passed {
        let mut text = self.decoder.push(bytes);
        if self.drops_space && !text.is_empty() {
            self.drops_space = false;
            if text.starts_with(' ') {
                text.remove(0);
            }
        }
        self.stops.push(&text)
    }

    fn keeps(&mut self, piece: &Piece) -> bool {
        match piece {
            Piece::Text(text) => !text.is_empty(),
            Piece::Call(_) => {
                self.calls += 1;
                self.calls == 1 || !self.one_call
            }
        }
    }
}
