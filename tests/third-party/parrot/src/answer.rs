//! The answer, whole and in chunks.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use puna_api::{
    ChatCompletion, ChatCompletionChoice, ChatCompletionChunk, ChatCompletionChunkChoice, ChatCompletionDelta,
    ChatCompletionMessage, CompletionUsage, FinishReason, MessageRole,
};

use crate::request::{Question, words};

/// What every piece of an answer shows.
pub(crate) struct Answer {
    id: String,
    created: u64,
    model: Arc<str>,
    words: Vec<String>,
    finish_reason: FinishReason,
    usage: CompletionUsage,
    includes_usage: bool,
}

impl Answer {
    pub(crate) fn new(question: &Question, number: u64, model: Arc<str>) -> Self {
        let mut words: Vec<String> = words(&question.text).map(str::to_owned).collect();
        let is_cut = words.len() > question.max_words;
        words.truncate(question.max_words);
        let usage = CompletionUsage {
            prompt_tokens: question.prompt_words,
            completion_tokens: words.len() as u64,
            total_tokens: question.prompt_words + words.len() as u64,
            ..CompletionUsage::default()
        };
        let created = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs());
        Self {
            id: format!("chatcmpl-parrot-{created}-{number}"),
            created,
            model,
            words,
            finish_reason: if is_cut {
                FinishReason::Length
            } else {
                FinishReason::Stop
            },
            usage,
            includes_usage: question.includes_usage,
        }
    }

    pub(crate) fn whole(self) -> ChatCompletion {
        let message = ChatCompletionMessage::text(self.words.concat());
        let choice = ChatCompletionChoice::new(0, message, self.finish_reason);
        let mut answer = ChatCompletion::new(self.id, self.created, &*self.model, vec![choice]);
        answer.usage = Some(self.usage);
        answer
    }

    pub(crate) fn chunks(self) -> impl Iterator<Item = ChatCompletionChunk> {
        let Self {
            id,
            created,
            model,
            words,
            finish_reason,
            usage,
            includes_usage,
        } = self;
        let role = ChatCompletionChunkChoice::new(0, ChatCompletionDelta::role(MessageRole::Assistant));
        let words = words
            .into_iter()
            .map(|word| ChatCompletionChunkChoice::new(0, ChatCompletionDelta::content(word)));
        let end = ChatCompletionChunkChoice::finish(0, finish_reason);
        let usage = includes_usage.then(|| ChatCompletionChunk::usage(id.clone(), created, &*model, usage));
        std::iter::once(role)
            .chain(words)
            .chain([end])
            .map(move |choice| ChatCompletionChunk::new(id.clone(), created, &*model, vec![choice]))
            .chain(usage)
    }
}
