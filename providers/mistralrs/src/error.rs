//! What the engine says when it fails, as the error that the client gets.

use puna_api::Error;

/// A model that could not be loaded.
pub(crate) fn load(id: &str, cause: &str) -> Error {
    Error::configuration(format!("failed to load the model `{id}`: {}", first_line(cause)))
}

/// An answer that the engine gave up. What it says of tensors and devices is for the log.
pub(crate) fn failed(cause: &str) -> Error {
    Error::internal("the model failed to answer").with_context(first_line(cause))
}

/// An engine that ended, or was restarted, under an answer.
pub(crate) fn stopped() -> Error {
    Error::unavailable("the engine stopped before the answer was done; the request can be sent again")
}

/// The engine adds whole backtraces where the environment asks for them.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backtraces_are_cut_off() {
        assert_eq!(
            load("m", "no such tensor\n  0: main\n").message(),
            "failed to load the model `m`: no such tensor"
        );
        let error = failed("shape mismatch\n  0: main\n");
        assert_eq!(
            (error.message(), error.context()),
            ("the model failed to answer", &["shape mismatch".to_owned()][..])
        );
    }
}
