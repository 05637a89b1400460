//! Why a distribution could not be built.

use std::fmt;
use std::path::Path;

use crate::Step;

/// The result of a step.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A step that failed, and why. The message says what was wrong and what would be right; it may have several lines.
#[derive(Debug)]
pub struct Error {
    step: Step,
    message: String,
}

impl Error {
    pub(crate) fn new(step: Step, message: impl Into<String>) -> Self {
        Self {
            step,
            message: message.into(),
        }
    }

    pub(crate) fn file(step: Step, doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(step, format!("failed to {doing} {}: {error}", path.display()))
    }

    /// The step that failed.
    pub fn step(&self) -> Step {
        self.step
    }

    /// What was wrong, without the step.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step `{}`: {}", self.step, self.message)
    }
}

impl std::error::Error for Error {}
