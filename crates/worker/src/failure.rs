//! Why a worker gave no answer.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use puna_api::Error;

/// Why a worker gave no answer.
#[derive(Debug)]
pub enum Failure {
    /// Its function refused the task with this error.
    Refused(Error),
    /// The input ended with this error.
    Input(Error),
    /// It needed more memory than it may have.
    OutOfMemory,
    /// It needed more time than it may have.
    OutOfTime,
    /// It ran out of stack, as on data that is nested too deeply.
    OutOfStack,
    /// Its answer was longer than it may be.
    AnswerTooLong,
    /// It ended without an answer for another reason, which is for the log: what it said last, or the signal that ended it.
    Crashed(String),
    /// It could not be started or spoken to, with the reason.
    Unavailable(std::io::Error),
}

/// The signal of a process that used up its processor time.
const SIGXCPU: i32 = 24;

/// What to make of a process that ended without an answer.
pub(crate) fn of(status: ExitStatus, last_words: &str) -> Failure {
    if last_words.contains("memory allocation of ") {
        return Failure::OutOfMemory;
    }
    if last_words.contains("has overflowed its stack") {
        return Failure::OutOfStack;
    }
    if status.signal() == Some(SIGXCPU) {
        return Failure::OutOfTime;
    }
    Failure::Crashed(format!("{status}: {}", last_words.trim()))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) | Self::Input(error) => error.fmt(f),
            Self::OutOfMemory => f.write_str("the work needs more memory than it may have"),
            Self::OutOfTime => f.write_str("the work needs more time than it may have"),
            Self::OutOfStack => f.write_str("the work ran out of stack"),
            Self::AnswerTooLong => f.write_str("the answer is longer than it may be"),
            Self::Crashed(_) => f.write_str("the work ended without an answer"),
            Self::Unavailable(error) => write!(f, "failed to start a worker process: {error}"),
        }
    }
}

impl std::error::Error for Failure {}
