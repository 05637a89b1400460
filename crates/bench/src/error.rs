//! What goes wrong in a benchmark: always a message for the person who runs it.

use std::fmt;

/// Why a benchmark could not be run, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

/// A result whose error is a message.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Says what was tried when it failed.
pub(crate) trait Context<T> {
    /// Puts "failed to `what`: " before the error.
    fn while_trying(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn while_trying(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error(format!("failed to {}: {error}", what())))
    }
}
