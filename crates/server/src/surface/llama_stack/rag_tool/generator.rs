//! What a search looks for.

use minijinja::{Environment, UndefinedBehavior, context};
use puna_api::{ChatCompletionRequest, ChatMessage, Error, Json, RequestContext, Result};
use puna_router::Stack;
use schemars::JsonSchema;
use serde::Deserialize;

/// How much a template may do; one that joins some messages does a thousandth of it.
const TEMPLATE_FUEL: u64 = 100_000;

/// What a search looks for. (Llama Stack)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "RAGQueryGeneratorConfig")]
pub(super) enum QueryGenerator {
    /// The content itself.
    Default {
        /// What stands between its parts; a space when absent.
        #[serde(default = "separator")]
        separator: String,
    },
    /// What a model makes of it.
    Llm {
        /// The model.
        model: String,
        /// What the model is told: a Jinja template that sees the parts as `messages`.
        template: String,
    },
}

impl QueryGenerator {
    /// What to look for.
    pub(super) async fn query(&self, stack: &Stack, context: &RequestContext, texts: &[String]) -> Result<String> {
        match self {
            Self::Default { separator } => Ok(texts.join(separator)),
            Self::Llm { model, template } => written(stack, context, model, prompt(template, texts)?).await,
        }
    }
}

impl Default for QueryGenerator {
    fn default() -> Self {
        Self::Default { separator: separator() }
    }
}

/// What a model writes when it is told this.
async fn written(stack: &Stack, context: &RequestContext, model: &str, prompt: String) -> Result<String> {
    let request = ChatCompletionRequest::new(model, vec![ChatMessage::user(prompt)]);
    let answer = stack.chat_completion(context, model, Json::new(request)).await;
    let answer = answer.map_err(|error| match error.param() {
        Some("model") => error.with_param("query_config.query_generator_config.model"),
        _ => error,
    })?;
    let answer = answer
        .into_value()
        .map_err(|fault| Error::unavailable(format!("the model `{model}` answered nonsense")).with_source(fault))?;
    let text = answer.choices.into_iter().find_map(|choice| choice.message.content);
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    text.ok_or_else(|| {
        Error::unavailable(format!(
            "the model `{model}`, which was to write a query, wrote nothing"
        ))
    })
}

fn prompt(template: &str, texts: &[String]) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(TEMPLATE_FUEL));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_str(template, context! { messages => texts })
        .map_err(|fault| {
            let param = "query_config.query_generator_config.template";
            Error::invalid_request(format!("`{param}` cannot be filled: {fault}")).with_param(param)
        })
}

fn separator() -> String {
    " ".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_see_the_messages() {
        let texts = ["one".to_owned(), "two".to_owned()];
        let template = "{% for message in messages %}[{{ message }}]{% endfor %}";
        assert_eq!(prompt(template, &texts).unwrap(), "[one][two]");
    }

    #[test]
    fn templates_that_are_wrong_or_never_end_are_refused() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        for template in ["{{ message }}", "{% for", endless] {
            let error = prompt(template, &[]).unwrap_err();
            assert_eq!(
                error.param(),
                Some("query_config.query_generator_config.template"),
                "{error}"
            );
        }
    }
}
