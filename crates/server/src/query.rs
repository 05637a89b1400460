//! Parameters of queries, as text, read with errors that name them.

use puna_api::{Error, Result, SortOrder};

/// A parameter that does not say what it may say. `right` tells what would be right: ``send `asc` or `desc` ``.
pub(crate) fn wrong(name: &str, sent: &str, right: &str) -> Error {
    let sent: String = sent.chars().take(100).collect();
    Error::invalid_request(format!("`{name}` is `{sent}`; {right}")).with_param(name)
}

/// A parameter that must be there; `what` it is.
pub(crate) fn required(name: &str, sent: Option<String>, what: &str) -> Result<String> {
    sent.filter(|sent| !sent.is_empty()).ok_or_else(|| {
        Error::invalid_request(format!("the query has no `{name}`; send {what}: `?{name}=…`"))
            .with_param(name)
            .with_code("missing_required_parameter")
    })
}

/// A whole number from 1 to `most`; `default` when it is absent.
pub(crate) fn count(name: &str, sent: Option<&str>, most: u32, default: u32) -> Result<u32> {
    let Some(sent) = sent else { return Ok(default) };
    let number = sent.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| wrong(name, sent, &format!("send a whole number from 1 to {most}")))
}

/// `asc` or `desc`; `default` when it is absent.
pub(crate) fn order(sent: Option<&str>, default: SortOrder) -> Result<SortOrder> {
    match sent {
        None => Ok(default),
        Some("asc") => Ok(SortOrder::Asc),
        Some("desc") => Ok(SortOrder::Desc),
        Some(other) => Err(wrong("order", other, "send `asc` or `desc`")),
    }
}

/// `true` or `false`, which is the default.
pub(crate) fn flag(name: &str, sent: Option<&str>) -> Result<bool> {
    match sent {
        None => Ok(false),
        Some(sent) => match sent.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(wrong(name, sent, "send `true` or `false`")),
        },
    }
}
