//! What is found, as a context for a model.

use futures::future::try_join_all;
use puna_api::{Error, RequestContext, Result};
use puna_router::Stack;
use puna_vector_stores::{FoundChunk, QueryChunks, SearchText};
use serde_json::{Map, Value};

use super::config::CheckedConfig;

/// How many bytes of text a token stands for, where nobody counted.
const BYTES_PER_TOKEN: usize = 4;

/// A chunk, and the store that it was found in.
pub(super) struct Found {
    store_id: String,
    chunk: FoundChunk,
}

/// What a model is shown, and what is known of it.
pub(super) struct Context {
    /// The texts, in their order: one before the chunks, each chunk, and one behind them.
    pub(super) texts: Vec<String>,
    /// The `document_ids`, texts, `scores` and stores of the chunks, in the same order.
    pub(super) metadata: Map<String, Value>,
}

/// Finds chunks in several stores, the best first.
pub(super) async fn find(
    stack: &Stack,
    context: &RequestContext,
    store_ids: &[String],
    query: String,
    config: &CheckedConfig,
) -> Result<Vec<Found>> {
    let stores = stack.vector_stores()?;
    let lists = try_join_all(store_ids.iter().enumerate().map(|(index, store_id)| {
        let query = QueryChunks {
            query: SearchText::One(query.clone()),
            mode: config.mode,
            filter: None,
            max_chunks: config.max_chunks,
            ranking: config.ranking.clone(),
        };
        async move {
            let chunks = stores.query_chunks(context, store_id, query).await;
            let chunks = chunks.map_err(|error| match error.param() {
                Some("vector_store_id") => error.with_param(format!("vector_db_ids[{index}]")),
                Some("search_mode") => error.with_param("query_config.mode"),
                Some("query") => error.with_param("content"),
                _ => error,
            })?;
            let found = chunks.into_iter().map(|chunk| Found {
                store_id: store_id.clone(),
                chunk,
            });
            Ok::<Vec<Found>, Error>(found.collect())
        }
    }));
    let mut found: Vec<Found> = lists.await?.into_iter().flatten().collect();
    found.sort_by(|one, other| other.chunk.score.total_cmp(&one.chunk.score));
    found.truncate(config.max_chunks as usize);
    Ok(found)
}

/// Makes a context of chunks, the best first; none when there are none. Fails where not even the best one has room.
pub(super) fn make(found: &[Found], question: &str, config: &CheckedConfig) -> Result<Option<Context>> {
    let Some(best) = found.first() else { return Ok(None) };
    let tokens_of_best = tokens(&best.chunk);
    let mut left = u64::from(config.max_tokens);
    let fits = found.iter().take_while(|found| {
        let room = left.checked_sub(tokens(&found.chunk));
        left = room.unwrap_or_default();
        room.is_some()
    });
    let count = fits.count();
    if count == 0 {
        let message = format!(
            "no chunk fits into `max_tokens_in_context` of {}; the best one has {tokens_of_best} tokens",
            config.max_tokens
        );
        return Err(Error::invalid_request(message).with_param("query_config.max_tokens_in_context"));
    }
    let picked = &found[..count];
    let mut texts = vec![format!("{count} passages were found in the documents.\n")];
    texts.extend(picked.iter().enumerate().map(|(index, found)| {
        config
            .template
            .render(index + 1, &found.chunk.text, &shown_metadata(&found.chunk).to_string())
    }));
    texts.push(format!(
        "Those are all passages. Use them as far as they help to answer: {question}\n"
    ));
    let list = |value: fn(&Found) -> Value| picked.iter().map(value).collect::<Vec<_>>();
    let metadata = Map::from_iter([
        (
            "document_ids".to_owned(),
            list(|found| found.chunk.document_id.as_str().into()).into(),
        ),
        (
            "chunks".to_owned(),
            list(|found| found.chunk.text.as_str().into()).into(),
        ),
        ("scores".to_owned(), list(|found| found.chunk.score.into()).into()),
        (
            "vector_db_ids".to_owned(),
            list(|found| found.store_id.as_str().into()).into(),
        ),
    ]);
    Ok(Some(Context { texts, metadata }))
}

/// What a model is shown of what is known of a chunk: with the document's id, so that it can tell where something stands.
fn shown_metadata(chunk: &FoundChunk) -> Value {
    let mut shown = chunk.metadata.clone();
    if let Some(filename) = &chunk.filename {
        shown.insert("filename".to_owned(), filename.as_str().into());
    }
    shown.insert("document_id".to_owned(), chunk.document_id.as_str().into());
    Value::Object(shown)
}

fn tokens(chunk: &FoundChunk) -> u64 {
    let counted = |key: &str| chunk.chunk_metadata.get(key).and_then(Value::as_u64);
    let content = counted("content_token_count").unwrap_or_else(|| chunk.text.len().div_ceil(BYTES_PER_TOKEN) as u64);
    content + counted("metadata_token_count").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::config::QueryConfig;
    use super::*;

    fn found(document_id: &str, text: &str, tokens: Option<u64>) -> Found {
        let mut chunk_metadata = Map::new();
        if let Some(tokens) = tokens {
            chunk_metadata.insert("content_token_count".to_owned(), tokens.into());
        }
        Found {
            store_id: "vs_1".to_owned(),
            chunk: FoundChunk {
                chunk_id: "c".to_owned(),
                document_id: document_id.to_owned(),
                filename: None,
                position: 0,
                text: text.to_owned(),
                vector: vec![1.0],
                attributes: Default::default(),
                metadata: Map::from_iter([("page".to_owned(), 3.into())]),
                chunk_metadata,
                score: 0.5,
            },
        }
    }

    fn config(max_tokens: u32) -> CheckedConfig {
        let config: QueryConfig = serde_json::from_value(json!({ "max_tokens_in_context": max_tokens })).unwrap();
        config.check().unwrap()
    }

    #[test]
    fn chunks_go_in_as_long_as_there_is_room() {
        let all = || {
            vec![
                found("a", "first", Some(10)),
                found("b", "sixteen letters.", None),
                found("c", "last", Some(1)),
            ]
        };
        let Context { texts, metadata } = make(&all(), "what?", &config(13)).unwrap().unwrap();
        assert_eq!(texts.len(), 3);
        assert_eq!(
            texts[1],
            "Result 1\nContent: first\nMetadata: {\"page\":3,\"document_id\":\"a\"}\n"
        );
        assert!(texts[2].contains("what?"));
        assert_eq!(metadata["document_ids"], json!(["a"]));
        let Context { texts, metadata } = make(&all(), "what?", &config(14)).unwrap().unwrap();
        assert_eq!((texts.len(), &metadata["document_ids"]), (4, &json!(["a", "b"])));
        assert_eq!(
            (&metadata["scores"], &metadata["chunks"][0]),
            (&json!([0.5, 0.5]), &json!("first"))
        );
        assert!(make(&[], "what?", &config(14)).unwrap().is_none());
        let error = make(&all(), "what?", &config(9)).err().unwrap();
        assert_eq!(error.param(), Some("query_config.max_tokens_in_context"));
    }
}
