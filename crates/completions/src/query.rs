//! What is asked for, and what is found.

use bytes::Bytes;
use puna_api::SortOrder;

use crate::Metadata;

/// Which chat completions are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompletionQuery {
    /// Those that come after this one in the order that was asked for. It need not be there any more.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// The order, by time.
    pub order: SortOrder,
    /// Those of this model, as requests name it.
    pub model: Option<String>,
    /// Those that have all of these notes.
    pub metadata: Metadata,
}

/// A chat completion as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCompletion {
    /// Its id.
    pub id: String,
    /// A JSON object: the answer as the client had it, with `input_messages`, `metadata`, `request_id` and what the request said of sampling and
    /// tools.
    pub document: Bytes,
}

/// Some chat completions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompletionList {
    /// The completions.
    pub completions: Vec<StoredCompletion>,
    /// Whether there are more after them. There can be more although fewer came than were asked for: very long ones come few at a time.
    pub has_more: bool,
}

/// Which messages of a request are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageQuery {
    /// Those that come after this one in the order that was asked for.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// The order in the conversation.
    pub order: SortOrder,
}

/// A message of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The id of the completion, and the place of the message in its conversation, from 0.
    pub id: String,
    /// A JSON object: the message as it was sent, with its `id`; content that came in parts is in `content_parts`, its text alone in `content`.
    pub document: Bytes,
}

/// Some messages of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageList {
    /// The messages.
    pub messages: Vec<StoredMessage>,
    /// Whether there are more after them.
    pub has_more: bool,
}
