//! A whole answer on its way to the client.

use bytes::Bytes;
use http::HeaderMap;
use puna_api::{Error, Result};

use crate::edit::Edits;
use crate::error::{Credential, from_error_object, unexpected_answer};
use crate::request::Task;
use puna_api::scan::members;

/// The answer with the requested model id (as JSON) in place, otherwise as it came. Fails as unavailable when it is no answer to the task, and with the upstream's
/// error where that came with a status of success.
pub(crate) fn with_model(
    task: Task,
    provider: &str,
    headers: &HeaderMap,
    answer: &Bytes,
    model: Bytes,
    credential: &Credential,
) -> Result<Bytes> {
    let (expected, content): (_, &[u8]) = match task {
        Task::Chat => ("a chat completion", b"choices"),
        Task::Completion => ("a completion", b"choices"),
        Task::Embeddings => ("embeddings", b"data"),
    };
    let unexpected = || -> Error { unexpected_answer(provider, headers, answer, expected) };
    let mut place = None;
    let mut count = 0;
    let mut has_content = false;
    let mut is_error = false;
    members(answer, |member| {
        count += 1;
        let value = &answer[member.value.clone()];
        if &*member.name == b"model" {
            place = Some(member.value);
        } else if &*member.name == content {
            has_content = value.starts_with(b"[");
        } else if &*member.name == b"error" {
            is_error |= value != b"null";
        }
    })
    .map_err(|_| unexpected())?;
    if is_error {
        return Err(from_error_object(provider, answer, credential));
    }
    if !has_content || std::str::from_utf8(answer).is_err() {
        return Err(unexpected());
    }
    let mut edits = Edits::default();
    match place {
        Some(place) if answer[place.clone()] == *model => {}
        Some(place) => edits.replace(place, model),
        None => edits.add("model", &model),
    }
    Ok(edits.into_bytes(answer, count > 0))
}

#[cfg(test)]
mod tests {
    use puna_api::ErrorKind;

    use super::*;

    const NO_KEY: Credential = Credential::None {
        provider_data_key: None,
    };

    fn rewrite(task: Task, answer: &'static str) -> Result<Bytes> {
        let model = Bytes::from_static(br#""my/model""#);
        with_model(
            task,
            "up",
            &HeaderMap::new(),
            &Bytes::from_static(answer.as_bytes()),
            model,
            &NO_KEY,
        )
    }

    #[test]
    fn only_the_model_changes() {
        for (task, answer, expected) in [
            (
                Task::Chat,
                r#"{ "model":"x", "choices":[] , "new":1.0}"#,
                r#"{ "model":"my/model", "choices":[] , "new":1.0}"#,
            ),
            (
                Task::Completion,
                r#"{"choices":[]}"#,
                r#"{"model":"my/model","choices":[]}"#,
            ),
            (
                Task::Embeddings,
                r#"{"data":[{"model":"x"}],"model":null}"#,
                r#"{"data":[{"model":"x"}],"model":"my/model"}"#,
            ),
        ] {
            assert_eq!(rewrite(task, answer).unwrap(), expected);
        }
        let same = r#"{"model":"my/model","choices":[]}"#;
        assert_eq!(rewrite(Task::Chat, same).unwrap().as_ptr(), same.as_ptr());
    }

    #[test]
    fn what_is_no_answer_is_unavailable() {
        for (answer, message) in [
            (
                "<html>",
                "provider `up` answered with HTML instead of a chat completion",
            ),
            (
                "",
                "provider `up` answered with something else instead of a chat completion",
            ),
            (
                r#"{"choices":["#,
                "provider `up` answered with something else instead of a chat completion",
            ),
            (
                r#"{"status":"ok"}"#,
                "provider `up` answered with something else instead of a chat completion",
            ),
            (r#"{"error":{"message":"m"}}"#, "provider `up` failed: m"),
        ] {
            let error = rewrite(Task::Chat, answer).unwrap_err();
            assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, message));
        }
    }
}
