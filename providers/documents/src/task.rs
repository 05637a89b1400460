//! What a worker is told, and what it answers.

use std::io::Read;
use std::time::{Duration, Instant};

use puna_api::{Error, ProcessedFile, Result};
use serde::{Deserialize, Serialize};

use crate::chunk::Bounds;
use crate::detect::Hint;
use crate::{parse, tokens};

/// What a worker is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The ending of the file's name, which is all of it that is of use.
    pub(crate) ending: Option<String>,
    pub(crate) media_type: Option<String>,
    /// How to cut the text; `None` leaves it whole.
    pub(crate) bounds: Option<Bounds>,
    /// Sends the whole text along if it has no more tokens than this.
    pub(crate) text_of_at_most: Option<u64>,
    pub(crate) extract_metadata: bool,
    pub(crate) clean_text: bool,
}

/// What a worker answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) processed: ProcessedFile,
    /// The whole text, where the task asks for it.
    pub(crate) text: Option<String>,
    pub(crate) took: Took,
}

/// How long the worker was at what it does.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) parse: Duration,
    pub(crate) chunk: Duration,
}

/// Does the work of a worker.
pub(crate) fn work(task: &str, input: &mut dyn Read) -> Result<Vec<u8>> {
    let task: Task = serde_json::from_str(task).map_err(internal)?;
    let mut bytes = Vec::new();
    input
        .read_to_end(&mut bytes)
        .map_err(|error| Error::internal(format!("failed to read the file: {error}")))?;
    let answer = answer(&task, &bytes)?;
    serde_json::to_vec(&answer).map_err(internal)
}

fn answer(task: &Task, bytes: &[u8]) -> Result<Answer> {
    let hint = Hint::new(task.ending.as_deref(), task.media_type.as_deref());
    let began = Instant::now();
    let mut document = parse::parse(bytes, &hint, task.clean_text)?;
    let parse = began.elapsed();
    if !task.extract_metadata {
        document.title = None;
        document.author = None;
    }
    let text = match task.text_of_at_most {
        None => None,
        Some(most) => {
            let tokens = tokens::count(&document.text);
            if tokens as u64 > most {
                return Err(Error::too_large(format!(
                    "the file's text has {tokens} tokens, and a model is told at most {most} for the contexts of its chunks"
                ))
                .with_param("file")
                .with_code("file_too_large"));
            }
            Some(document.text.clone())
        }
    };
    let began = Instant::now();
    let processed = document.process(task.bounds);
    let took = Took {
        parse,
        chunk: began.elapsed(),
    };
    Ok(Answer { processed, text, took })
}

fn internal(error: serde_json::Error) -> Error {
    Error::internal("a worker and its server do not understand each other").with_source(error)
}
