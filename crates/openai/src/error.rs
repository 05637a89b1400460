//! What an upstream's error answer says, as the one error type.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use puna_api::{Error, ErrorKind};
use serde_json::Value;

/// More of a message than this is not shown to a client.
const MAX_MESSAGE: usize = 2000;

/// Whose key a request carried.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The one in the provider's configuration.
    Configured(Arc<str>),
    /// The one that the caller sent along.
    Caller(Arc<str>),
    /// None, and this is how to send one.
    None {
        /// The key of the provider data.
        provider_data_key: Option<&'static str>,
    },
}

/// What an error body says.
#[derive(Debug, Default, PartialEq)]
struct Details {
    message: Option<String>,
    code: Option<String>,
    error_type: Option<String>,
    param: Option<String>,
    /// A status in the body, where there is none outside.
    status: Option<u16>,
    /// The body is that of an API, rather than a web server's page for a path that it does not know.
    is_of_api: bool,
}

/// The error for a request without a key where nobody is answered without one.
pub(crate) fn missing_key(provider: &str, credential: &Credential) -> Error {
    Error::unauthenticated(rejected_key(provider, None, credential)).with_code("missing_api_key")
}

/// The error that an answer of another status than success stands for.
///
/// The upstream's status, code, type, message, parameter and waiting time are kept. An upstream that rejects a key says so as it would directly, so a
/// caller sees 401 and 403; the message tells whether it was the caller's key or the server's.
pub(crate) fn from_answer(
    provider: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    credential: &Credential,
) -> Error {
    let details = if is_html(headers, body) {
        Details::default()
    } else {
        details(body)
    };
    let error = classify(provider, status, details, is_html(headers, body), credential);
    let error = error.with_upstream_status(status.as_u16());
    match retry_after(headers) {
        None => error,
        Some(after) => error.with_retry_after(after),
    }
}

/// The error that an `error` object in an answer of status 200, or in a stream, stands for.
pub(crate) fn from_error_object(provider: &str, document: &[u8], credential: &Credential) -> Error {
    let details = details(document);
    let status = details.status.and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.filter(|status| status.is_client_error() || status.is_server_error());
    match status {
        Some(status) => classify(provider, status, details, false, credential),
        None => {
            let kind = match details.error_type.as_deref() {
                Some("invalid_request_error" | "BadRequestError" | "INVALID_ARGUMENT") => ErrorKind::InvalidRequest,
                Some("rate_limit_error" | "rate_limit_exceeded") => ErrorKind::RateLimited,
                _ => ErrorKind::Unavailable,
            };
            let message = shown(&details, credential).unwrap_or_else(|| "an error without a message".to_owned());
            with_details(
                Error::new(kind, format!("provider `{provider}` failed: {message}")),
                details,
            )
        }
    }
}

/// The error for an answer of status 200 that is not what was asked for.
pub(crate) fn unexpected_answer(provider: &str, headers: &HeaderMap, body: &[u8], expected: &str) -> Error {
    let found = if is_html(headers, body) {
        "HTML"
    } else {
        "something else"
    };
    Error::unavailable(format!(
        "provider `{provider}` answered with {found} instead of {expected}"
    ))
    .with_context(format!("the answer begins with {:?}", excerpt(body)))
}

/// The beginning of a body, for the log.
pub(crate) fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()
}

fn classify(provider: &str, status: StatusCode, details: Details, is_html: bool, credential: &Credential) -> Error {
    let message = shown(&details, credential);
    let said = |fallback: &str| message.clone().unwrap_or_else(|| fallback.to_owned());
    let error = match status.as_u16() {
        401 | 403 => {
            let kind = if status == StatusCode::UNAUTHORIZED {
                ErrorKind::Unauthenticated
            } else {
                ErrorKind::PermissionDenied
            };
            Error::new(kind, rejected_key(provider, message.as_deref(), credential))
        }
        _ if is_html => Error::unavailable(format!(
            "provider `{provider}` answered with HTML instead of JSON (status {})",
            status.as_u16()
        )),
        404 if details.is_of_api => Error::not_found(said("not found")),
        404 | 405 => Error::unavailable(format!(
            "provider `{provider}` does not know the path that was called (status {}); check its `base_url`, which usually ends in /v1",
            status.as_u16()
        )),
        402 => Error::permission_denied(said("the upstream asks for payment")),
        408 | 504 => Error::timeout(said("the upstream gave up waiting")),
        409 => Error::conflict(said("the upstream reports a conflict")),
        413 => Error::too_large(said("the upstream does not take requests of this size")),
        429 => Error::rate_limited(said("the upstream is receiving too many requests")),
        501 => Error::new(ErrorKind::Unsupported, said("the upstream does not support this")),
        400..=499 => Error::invalid_request(said("the upstream refused the request without giving a reason")),
        300..=399 => Error::unavailable(format!(
            "provider `{provider}` answered with a redirect, which is not followed; check its `base_url`"
        )),
        code => Error::unavailable(match message {
            Some(message) => format!("provider `{provider}` answered with status {code}: {message}"),
            None => format!("provider `{provider}` answered with status {code}"),
        }),
    };
    with_details(error, details)
}

fn rejected_key(provider: &str, message: Option<&str>, credential: &Credential) -> String {
    let said = message.map(|message| format!(": {message}")).unwrap_or_default();
    match credential {
        Credential::Configured(_) => {
            format!("provider `{provider}` refused the key that this server is configured with{said}")
        }
        Credential::Caller(_) => format!("provider `{provider}` refused the key of the request{said}"),
        Credential::None {
            provider_data_key: Some(key),
        } => format!(
            "provider `{provider}` wants a key; configure one, or send `{key}` in the header X-OGX-Provider-Data{said}"
        ),
        Credential::None {
            provider_data_key: None,
        } => format!("provider `{provider}` wants a key; configure one{said}"),
    }
}

fn with_details(mut error: Error, details: Details) -> Error {
    if let Some(code) = details.code {
        error = error.with_code(code);
    }
    if let Some(error_type) = details.error_type {
        error = error.with_type(error_type);
    }
    if let Some(param) = details.param {
        error = error.with_param(param);
    }
    error
}

/// The message for the client: of bounded length, in one line, and without the key, which some servers repeat.
fn shown(details: &Details, credential: &Credential) -> Option<String> {
    let message = details.message.as_deref()?.trim();
    // The cut comes last: half a key would not be recognized.
    let message = match credential {
        Credential::Configured(key) | Credential::Caller(key) if !key.is_empty() => message.replace(&**key, "********"),
        _ => message.to_owned(),
    };
    let message: String = message
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(MAX_MESSAGE)
        .collect();
    (!message.is_empty()).then_some(message)
}

fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"text/html"));
    declared || body.trim_ascii_start().starts_with(b"<")
}

/// Reads an error body in the forms that OpenAI, vLLM, llama.cpp, Ollama, FastAPI, TGI and gateways give it.
fn details(body: &[u8]) -> Details {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        // A server that does not know a path says so in plain words as well.
        let text = String::from_utf8_lossy(body).trim().to_owned();
        return Details {
            message: (!text.is_empty()).then_some(text),
            ..Details::default()
        };
    };
    let value = match &value {
        Value::Array(items) => items.first().unwrap_or(&Value::Null),
        value => value,
    };
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    match (&value["error"], &value["detail"], &value["message"]) {
        (object @ Value::Object(_), ..) => Details {
            message: text(&object["message"]),
            code: text(&object["code"]),
            error_type: text(&object["type"]).or_else(|| text(&object["status"])),
            param: text(&object["param"]),
            status: status(&object["code"]),
            is_of_api: true,
        },
        (Value::String(message), ..) => Details {
            message: Some(message.clone()),
            error_type: text(&value["error_type"]),
            status: status(&value["code"]).or_else(|| status(&value["status_code"])),
            is_of_api: true,
            ..Details::default()
        },
        (_, Value::String(message), _) => Details {
            message: Some(message.clone()),
            // What FastAPI answers for a path that it does not have.
            is_of_api: message != "Not Found",
            ..Details::default()
        },
        (_, Value::Array(problems), _) => validation_problems(problems),
        (_, _, Value::String(message)) => Details {
            message: Some(message.clone()),
            code: text(&value["code"]),
            error_type: text(&value["type"]),
            param: text(&value["param"]),
            status: status(&value["code"]),
            is_of_api: true,
        },
        _ => Details::default(),
    }
}

fn status(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|status| u16::try_from(status).ok())
}

/// FastAPI's list of what is wrong with a request: `{loc, msg, type}` each.
fn validation_problems(problems: &[Value]) -> Details {
    let path = |problem: &Value| {
        let mut path = String::new();
        for step in problem["loc"].as_array().into_iter().flatten() {
            match step {
                Value::String(name) if name == "body" && path.is_empty() => {}
                Value::String(name) if path.is_empty() => path.push_str(name),
                Value::String(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                index => path.push_str(&format!("[{index}]")),
            }
        }
        path
    };
    let lines: Vec<_> = problems
        .iter()
        .filter_map(|problem| {
            let message = problem["msg"].as_str()?;
            let path = path(problem);
            Some(if path.is_empty() {
                message.to_owned()
            } else {
                format!("`{path}`: {message}")
            })
        })
        .collect();
    Details {
        message: (!lines.is_empty()).then(|| lines.join("; ")),
        param: problems.first().map(path).filter(|path| !path.is_empty()),
        is_of_api: true,
        ..Details::default()
    }
}

/// The waiting time that `retry-after` (seconds or a date) or `retry-after-ms` tells.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let after = text("retry-after")?;
    match after.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => {
            let date = httpdate::parse_http_date(after).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests;
