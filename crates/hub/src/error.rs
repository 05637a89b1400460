//! What can go wrong with the hub, each with what to do about it.

use std::io;
use std::path::Path;

use puna_api::Error;
use reqwest::Response;

use crate::ModelName;
use crate::settings::HubSettings;

/// A file or folder of this machine that cannot be used.
pub(crate) fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::unavailable(format!("{} cannot be used: {error}", path.display()))
}

/// The hub cannot be reached.
pub(crate) fn unreachable(settings: &HubSettings, error: reqwest::Error) -> Error {
    let host = settings.endpoint.host_str().unwrap_or_default();
    let port = settings
        .endpoint
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    let what = if error.is_timeout() {
        "does not answer"
    } else {
        "cannot be reached"
    };
    // The error's own text holds the URL, and a URL of storage holds a signature.
    let error = error.without_url();
    let why = cause(&error);
    Error::unavailable(format!(
        "the hub at {host}{port} {what} ({why}); check the network, or `HF_ENDPOINT`"
    ))
    .with_source(error)
}

/// What is behind all else that an error says, such as `Connection refused`.
fn cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// The hub's refusal. `file` is what was asked for, if it was one.
pub(crate) fn refused(settings: &HubSettings, name: &ModelName, file: Option<&str>, response: &Response) -> Error {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let code = header("x-error-code").unwrap_or_default();
    let message = header("x-error-message").unwrap_or_default();
    let status = response.status().as_u16();
    let has_token = settings.token.is_some();
    let page = format!("{}/{}", settings.endpoint.as_str().trim_end_matches('/'), name.id());
    let model = name.id();
    match (code, status) {
        ("GatedRepo", _) => {
            let account = if has_token {
                "the account of your token (`HF_TOKEN`) was not granted access"
            } else {
                "no token is set (`HF_TOKEN`)"
            };
            Error::permission_denied(format!(
                "`{model}` is gated, and {account}; ask for access at {page}, and set `HF_TOKEN` to a token of the account that has it"
            ))
            .with_code("gated_repo")
        }
        ("RevisionNotFound", _) => {
            let revision = name.revision();
            Error::not_found(format!("`{model}` has no revision `{revision}`; its branches and tags are at {page}"))
                .with_code("revision_not_found")
        }
        ("EntryNotFound", _) => {
            let file = file.unwrap_or_default();
            Error::not_found(format!("`{model}` has no file `{file}`; its files are at {page}/tree/{}", name.revision()))
                .with_code("entry_not_found")
        }
        (_, 401) if message.starts_with("Invalid credentials") => Error::unauthenticated(
            "the hub does not know the token that was sent; set `HF_TOKEN` to a valid one, or unset it for public models",
        )
        .with_code("invalid_token"),
        // The hub answers 401 for what does not exist too, so that nobody learns what is private.
        ("RepoNotFound", _) | (_, 401 | 404) => {
            let private = if has_token {
                "the account of your token (`HF_TOKEN`) cannot see it"
            } else {
                "it is private, and no token is set (`HF_TOKEN`)"
            };
            Error::not_found(format!("the hub has no model `{model}`, or {private}; check the name at {page}"))
                .with_code("repository_not_found")
        }
        (_, 403) => {
            let message = if message.is_empty() { "access is forbidden" } else { message };
            Error::permission_denied(format!("the hub refuses `{model}`: {message}; check what your token may do, and {page}"))
        }
        (_, 429) => Error::rate_limited(format!(
            "the hub asks for fewer requests{}",
            if has_token { "; try again later" } else { "; try again later, or set `HF_TOKEN`" }
        )),
        _ => Error::unavailable(format!("the hub answered {status} for `{model}`; try again later"))
            .with_upstream_status(status),
    }
}
