//! What goes wrong with a file, as the error that its sender gets.

use puna_api::Error;
use puna_worker::{Bounds, Failure};

/// A file of a kind that is not read here.
pub(crate) fn unsupported(media_type: &str) -> Error {
    Error::unsupported(format!(
        "the file is of the type `{media_type}`, which is not read here; what is are PDF, DOCX, PPTX, XLSX, HTML, Markdown, CSV, JSON, \
         and other text"
    ))
    .with_param("file")
    .with_code("unsupported_file")
}

/// A file that asks for a password.
pub(crate) fn encrypted() -> Error {
    Error::invalid_request("the file is protected by a password; send it without one")
        .with_param("file")
        .with_code("encrypted_file")
}

/// A file that its parser gave up on.
pub(crate) fn broken(what: &str, cause: impl std::fmt::Display) -> Error {
    Error::invalid_request(format!("the file is broken: {what}: {cause}"))
        .with_param("file")
        .with_code("invalid_file")
}

/// A file without any text.
pub(crate) fn without_text(media_type: &str) -> Error {
    let advice = if media_type == "application/pdf" {
        "; pages that are pictures have to be recognised first"
    } else {
        ""
    };
    Error::invalid_request(format!("the file, of the type `{media_type}`, has no text{advice}"))
        .with_param("file")
        .with_code("empty_file")
}

/// A file of more bytes than are taken.
pub(crate) fn too_large(most: u64) -> Error {
    Error::too_large(format!("the file has more than {most} bytes, the most that is taken"))
        .with_param("file")
        .with_code("file_too_large")
}

/// A worker that gave no answer.
pub(crate) fn of_worker(failure: Failure, bounds: &Bounds) -> Error {
    let exhausting = |what: String| Error::too_large(what).with_param("file").with_code("file_too_large");
    match failure {
        Failure::Refused(error) | Failure::Input(error) => error,
        Failure::OutOfMemory => exhausting(format!(
            "the file needs more than {} bytes of memory to be read",
            bounds.memory_bytes
        )),
        Failure::OutOfTime => exhausting(format!(
            "the file takes more than {} s to be read",
            bounds.time.as_secs_f32().ceil()
        )),
        Failure::AnswerTooLong => exhausting(format!(
            "what is read out of the file has more than {} bytes",
            bounds.answer_bytes
        )),
        Failure::OutOfStack => Error::invalid_request("the file is nested too deeply to be read")
            .with_param("file")
            .with_code("invalid_file"),
        Failure::Crashed(last_words) => Error::invalid_request("the file is broken: its parser gave up on it")
            .with_param("file")
            .with_code("invalid_file")
            .with_context(last_words),
        Failure::Unavailable(error) => {
            Error::unavailable("the file could not be handed to a process that reads it").with_source(error)
        }
    }
}
