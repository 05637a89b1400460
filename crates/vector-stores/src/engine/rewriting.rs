//! Queries in better words.

use futures::future::try_join_all;
use puna_api::{ChatCompletionRequest, ChatMessage, Error, RequestContext, Result};

use super::VectorStores;
use crate::Rewriting;

impl VectorStores {
    /// The queries as the configured model writes them. Fails as unsupported where none is configured.
    pub(super) async fn rewritten(&self, context: &RequestContext, queries: Vec<String>) -> Result<Vec<String>> {
        let Some(rewriting) = &self.settings().rewriting else {
            let message = "this server rewrites no queries: its configuration has no model under \
                           `vector_stores.rewrite_query_params`";
            return Err(Error::unsupported(message).with_param("rewrite_query"));
        };
        try_join_all(queries.iter().map(|query| self.rewrite(context, rewriting, query))).await
    }

    async fn rewrite(&self, context: &RequestContext, rewriting: &Rewriting, query: &str) -> Result<String> {
        let prompt = rewriting.prompt.replace(Rewriting::QUERY, query);
        let request = ChatCompletionRequest {
            max_tokens: Some(rewriting.max_tokens),
            temperature: Some(rewriting.temperature),
            ..ChatCompletionRequest::new(rewriting.model.as_str(), vec![ChatMessage::user(prompt)])
        };
        let answer = self.surroundings().chat_completion(context, request).await?;
        let text = answer.choices.into_iter().find_map(|choice| choice.message.content);
        let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        text.ok_or_else(|| {
            let message = format!("the model `{}`, which rewrites queries, wrote nothing", rewriting.model);
            Error::unavailable(message)
        })
    }
}
