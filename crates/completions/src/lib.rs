#![doc = include_str!("../README.md")]

mod document;
mod edit;
mod entry;
mod message;
mod metadata;
mod meters;
mod query;
mod queue;
mod recording;
mod settings;
mod stored;
mod table;
mod writer;

pub use metadata::Metadata;
pub use query::{CompletionList, CompletionQuery, MessageList, MessageQuery, StoredCompletion, StoredMessage};
pub use recording::Recording;
pub use settings::CompletionsSettings;
pub use stored::StoredCompletions;
