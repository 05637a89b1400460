//! Contexts: a few words of a model on each chunk's place in its document.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use puna_api::{
    ChatCompletionRequest, ContextualChunking, Error, FileChunk, Inference, InferenceRequest, Json, Model, ModelType,
    RequestContext, Result,
};
use serde_json::{Map, json};

use crate::tokens;

/// What a model is told where nobody says otherwise. The document comes first, so that a server that keeps beginnings reads it once.
pub(crate) const DEFAULT_PROMPT: &str = "\
Here is a document:

<document>
{{WHOLE_DOCUMENT}}
</document>

Here is one passage of it:

<passage>
{{CHUNK_CONTENT}}
</passage>

In one to three sentences, say where in the document the passage stands and what it is about. Use the names, dates and terms that somebody who \
looks for it would use, those too that the passage itself leaves out. Write in the document's language, and answer with those sentences alone.";

/// Who writes contexts, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Writing {
    pub(crate) model: String,
    pub(crate) prompt: String,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
}

/// Gives each chunk its context. A failure of one is a failure of all.
pub(crate) async fn write(
    inference: &Arc<dyn Inference>,
    context: &RequestContext,
    writing: &Writing,
    document: &str,
    chunks: Vec<FileChunk>,
) -> Result<Vec<FileChunk>> {
    let written = futures::stream::iter(chunks).map(|mut chunk| async move {
        let words = ask(
            inference,
            context,
            writing,
            filled(&writing.prompt, document, &chunk.text),
        )
        .await?;
        chunk.context = Some(words);
        Ok::<_, Error>(chunk)
    });
    let written: Vec<FileChunk> = written.buffered(writing.concurrency).try_collect().await?;
    // The tokenizer takes a while to start.
    tokio::task::spawn_blocking(|| counted(written))
        .await
        .map_err(|error| Error::internal("failed to count the tokens of contexts").with_source(error))
}

fn counted(mut chunks: Vec<FileChunk>) -> Vec<FileChunk> {
    for chunk in &mut chunks {
        chunk.tokens = u32::try_from(tokens::count(&chunk.content())).unwrap_or(u32::MAX);
    }
    chunks
}

async fn ask(
    inference: &Arc<dyn Inference>,
    context: &RequestContext,
    writing: &Writing,
    prompt: String,
) -> Result<String> {
    let model = &writing.model;
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": prompt }] });
    let request = InferenceRequest {
        // The server's inference finds the model by the id that is asked for.
        model: Arc::new(Model {
            id: model.clone(),
            provider_id: String::new(),
            provider_model_id: model.clone(),
            model_type: ModelType::Llm,
            metadata: Map::new(),
        }),
        requested_model: model.as_str().into(),
        body: Json::<ChatCompletionRequest>::from_bytes(body.to_string()),
    };
    let answer = tokio::time::timeout(writing.timeout, inference.chat_completion(context, request))
        .await
        .map_err(|_| {
            Error::timeout(format!(
                "the model `{model}` gave no context of a chunk within {} s",
                writing.timeout.as_secs()
            ))
        })??;
    let answer = answer.get()?;
    let words = answer
        .choices
        .first()
        .and_then(|choice| choice.message.content.as_deref());
    match words.map(str::trim) {
        Some(words) if !words.is_empty() => Ok(words.to_owned()),
        _ => Err(Error::unavailable(format!(
            "the model `{model}` answered nothing when it was asked for the context of a chunk"
        ))),
    }
}

/// The prompt with both texts in their places. What stands in those is not looked at.
fn filled(prompt: &str, document: &str, chunk: &str) -> String {
    let places = [
        (ContextualChunking::WHOLE_DOCUMENT, document),
        (ContextualChunking::CHUNK_CONTENT, chunk),
    ];
    let mut filled = String::with_capacity(prompt.len() + document.len() + chunk.len());
    let mut rest = prompt;
    let next = |rest: &str| {
        let found = places
            .iter()
            .filter_map(|(name, text)| Some((rest.find(name)?, *name, *text)));
        found.min_by_key(|(place, ..)| *place)
    };
    while let Some((place, name, text)) = next(rest) {
        filled.push_str(&rest[..place]);
        filled.push_str(text);
        rest = &rest[place + name.len()..];
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_filled_once() {
        let prompt = "{{CHUNK_CONTENT}} of {{WHOLE_DOCUMENT}}, {{CHUNK_CONTENT}}!";
        assert_eq!(
            filled(prompt, "{{CHUNK_CONTENT}}", "{{WHOLE_DOCUMENT}}"),
            "{{WHOLE_DOCUMENT}} of {{CHUNK_CONTENT}}, {{WHOLE_DOCUMENT}}!"
        );
        for name in [ContextualChunking::WHOLE_DOCUMENT, ContextualChunking::CHUNK_CONTENT] {
            assert_eq!(DEFAULT_PROMPT.matches(name).count(), 1);
        }
    }
}
