//! The queries of lists of stored chat completions and their messages.

use std::collections::BTreeMap;

use puna_api::{Error, Result, SortOrder};
use puna_completions::{CompletionQuery, MessageQuery, Metadata};

use crate::query;

/// How many a list has that says nothing, and how many it can have.
const USUAL_LIST: u32 = 20;
const LONGEST_LIST: u32 = 1000;

/// The parameters of a query, decoded.
type Parameters = Vec<(String, String)>;

/// What both lists take.
struct Page {
    after: Option<String>,
    limit: u32,
    order: SortOrder,
    /// What only one of them takes.
    rest: BTreeMap<String, String>,
}

/// Reads the query of a list of completions.
pub(super) fn completions(parameters: Parameters) -> Result<CompletionQuery> {
    let Page {
        after,
        limit,
        order,
        mut rest,
    } = page(parameters)?;
    let model = rest.remove("model").filter(|model| !model.is_empty());
    let mut notes = BTreeMap::new();
    for (name, value) in rest {
        let key = name.strip_prefix("metadata[").and_then(|key| key.strip_suffix(']'));
        match key {
            Some(key) => notes.insert(key.to_owned(), value),
            None if name == "metadata" => {
                let message = "`metadata` is told key by key: send `metadata[key]=value`";
                return Err(Error::invalid_request(message).with_param("metadata"));
            }
            None => return Err(unknown(&name, "`after`, `limit`, `metadata[key]`, `model` and `order`")),
        };
    }
    Ok(CompletionQuery {
        after,
        limit,
        order,
        model,
        metadata: Metadata::new(notes)?,
    })
}

/// Reads the query of a list of messages.
pub(super) fn messages(parameters: Parameters) -> Result<MessageQuery> {
    let Page {
        after,
        limit,
        order,
        rest,
    } = page(parameters)?;
    match rest.keys().next() {
        Some(name) => Err(unknown(name, "`after`, `limit` and `order`")),
        None => Ok(MessageQuery { after, limit, order }),
    }
}

fn page(parameters: Parameters) -> Result<Page> {
    let mut rest = BTreeMap::new();
    for (name, value) in parameters {
        if rest.contains_key(&name) {
            let message = format!("`{}` is there twice; send it once", shown(&name));
            return Err(Error::invalid_request(message).with_param(shown(&name)));
        }
        rest.insert(name, value);
    }
    let mut take = |name: &str| rest.remove(name).filter(|value| !value.is_empty());
    let after = take("after");
    let limit = query::count("limit", take("limit").as_deref(), LONGEST_LIST, USUAL_LIST)?;
    let order = query::order(take("order").as_deref(), SortOrder::Asc)?;
    Ok(Page {
        after,
        limit,
        order,
        rest,
    })
}

fn unknown(name: &str, known: &str) -> Error {
    let name = shown(name);
    Error::invalid_request(format!("there is no parameter `{name}` here; there are {known}")).with_param(name)
}

/// The beginning of what was sent.
fn shown(sent: &str) -> String {
    sent.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Parameters {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_not_said_is_what_openai_says() {
        let query = completions(Vec::new()).unwrap();
        assert_eq!((query.limit, query.order), (20, SortOrder::Asc));
        let query = completions(pairs(&[
            ("limit", "1000"),
            ("order", "desc"),
            ("model", "m"),
            ("metadata[a]", "1"),
            ("metadata[]", ""),
        ]));
        let query = query.unwrap();
        assert_eq!(
            (query.limit, query.order, query.model.as_deref()),
            (1000, SortOrder::Desc, Some("m"))
        );
        assert_eq!(query.metadata, Metadata::parse(r#"{"a":"1","":""}"#).unwrap());
        assert_eq!(messages(pairs(&[("after", "x")])).unwrap().after.as_deref(), Some("x"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (sent, param) in [
            (&[("limit", "0")][..], "limit"),
            (&[("limit", "1001")], "limit"),
            (&[("limit", "x")], "limit"),
            (&[("order", "up")], "order"),
            (&[("order", "asc"), ("order", "asc")], "order"),
            (&[("metadata", "{}")], "metadata"),
            (&[("before", "x")], "before"),
        ] {
            assert_eq!(completions(pairs(sent)).unwrap_err().param(), Some(param), "{sent:?}");
        }
        assert_eq!(messages(pairs(&[("model", "m")])).unwrap_err().param(), Some("model"));
    }
}
