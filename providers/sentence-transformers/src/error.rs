//! What goes wrong in a model, as the error that the client or the operator gets.

use puna_api::Error;

/// A model that could not be loaded: its folder or what is in it is wrong.
pub(crate) fn load(id: &str, cause: &str) -> Error {
    Error::configuration(format!("failed to load the model `{id}`: {}", first_line(cause)))
}

/// A computation that failed. What is said of tensors and devices is for the log.
pub(crate) fn failed(cause: &str) -> Error {
    Error::internal("the model failed to compute").with_context(first_line(cause))
}

/// A field with a wrong value.
pub(crate) fn invalid(param: impl AsRef<str>, problem: impl AsRef<str>) -> Error {
    let (param, problem) = (param.as_ref(), problem.as_ref());
    Error::invalid_request(format!("`{param}`: {problem}")).with_param(param)
}

/// A field that the model does not know. It may be one that would change the result, so it is not ignored.
pub(crate) fn unknown_field(name: &str, id: &str) -> Error {
    Error::unsupported(format!("`{name}` is not supported by the model `{id}`")).with_param(name)
}

/// A text of more tokens than the model can take.
pub(crate) fn too_long(param: &str, tokens: usize, most: usize, id: &str) -> Error {
    Error::invalid_request(format!(
        "`{param}` has {tokens} tokens, and the model `{id}` takes at most {most}"
    ))
    .with_code("context_length_exceeded")
    .with_param(param)
}

/// Candle adds whole backtraces where the environment asks for them.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end().to_owned()
}
