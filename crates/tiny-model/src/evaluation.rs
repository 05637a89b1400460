//! How well the model does on prompts that it never saw.

use std::num::NonZeroUsize;
use std::thread;

use crate::network::Network;
use crate::tokenizer::{END_OF_TEXT, END_OF_TURN, Vocabulary};
use crate::training::{Conversation, Encoder, Example, Split, Task, example};

/// Tokens that an answer may have.
const LONGEST_ANSWER: usize = 160;

/// What came out for one task.
#[derive(Debug)]
pub struct Score {
    /// The task.
    pub task: Task,
    /// How many answers were right.
    pub right: usize,
    /// The examples that were answered wrong, with what the model answered.
    pub wrong: Vec<(Example, String)>,
}

impl Score {
    /// The share of right answers, in percent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        100.0 * self.right as f64 / (self.right + self.wrong.len()).max(1) as f64
    }
}

/// Has the model answer so many held-out examples of each task, always with the likeliest token.
///
/// It is computed here in 32-bit floats, with one thread per core, so it needs no engine.
#[must_use]
pub fn evaluate(examples: u64) -> Vec<Score> {
    let network = Network::load();
    Task::ALL
        .into_iter()
        .map(|task| {
            let answers = answers(&network, task, examples);
            let total = answers.len();
            let wrong: Vec<(Example, String)> = answers
                .into_iter()
                .filter(|(example, answer)| !example.expected.accepts(answer))
                .collect();
            Score {
                task,
                right: total - wrong.len(),
                wrong,
            }
        })
        .collect()
}

fn answers(network: &Network, task: Task, examples: u64) -> Vec<(Example, String)> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get) as u64;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let mut encoder = Encoder::new(Vocabulary::load().bpe);
                    (worker..examples)
                        .step_by(threads as usize)
                        .map(|seed| {
                            let example = example(task, Split::HeldOut, seed);
                            let answer = answer(network, &mut encoder, &example.conversation);
                            (example, answer)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        // A worker that panicked answered nothing; the panic itself is on standard error.
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_default())
            .collect()
    })
}

/// What the model answers to all messages but the last.
fn answer(network: &Network, encoder: &mut Encoder, conversation: &Conversation) -> String {
    let prompt = encoder.prompt(conversation);
    let written = network.write(&prompt, LONGEST_ANSWER, &[END_OF_TEXT.id, END_OF_TURN.id]);
    encoder.text_of(&written)
}
