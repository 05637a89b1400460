//! The messages of a request, one by one.

use puna_api::scan;
use puna_api::{Error, Result, SortOrder};
use serde_json::Value;

use crate::document::{member, text, unreadable};
use crate::query::{MessageList, MessageQuery, StoredMessage};

/// Members that every message has.
const ALWAYS: &[&str] = &["content", "refusal", "name"];

/// A page of the messages of a completion; `json` is the array of them. Fails as an invalid request when `after` is none of them.
pub(crate) fn page(completion_id: &str, json: &[u8], query: &MessageQuery) -> Result<MessageList> {
    let mut places = Vec::new();
    scan::items(json, |place| places.push(place)).map_err(|error| unreadable("a list of messages", error))?;
    let count = places.len();
    let mut order: Vec<usize> = (0..count).collect();
    if query.order == SortOrder::Desc {
        order.reverse();
    }
    let start = match &query.after {
        None => 0,
        Some(after) => {
            let place = place_of(completion_id, after).filter(|place| *place < count);
            let place = place.ok_or_else(|| {
                let shown: String = after.chars().take(100).collect();
                let message = format!(
                    "`after` is `{shown}`; send the id of a message of this completion, such as the `last_id` of a list"
                );
                Error::invalid_request(message).with_param("after")
            })?;
            order
                .iter()
                .position(|listed| *listed == place)
                .map_or(count, |at| at + 1)
        }
    };
    let rest = &order[start..];
    let listed = &rest[..rest.len().min(query.limit as usize)];
    let messages = listed.iter().map(|place| {
        let id = format!("{completion_id}-{place}");
        Ok(StoredMessage {
            document: document(&id, &json[places[*place].clone()])?.into(),
            id,
        })
    });
    Ok(MessageList {
        messages: messages.collect::<Result<_>>()?,
        has_more: listed.len() < rest.len(),
    })
}

/// The place of a message, told by its id.
fn place_of(completion_id: &str, id: &str) -> Option<usize> {
    let place = id.strip_prefix(completion_id)?.strip_prefix('-')?;
    place.parse().ok().filter(|number: &usize| number.to_string() == place)
}

fn document(id: &str, message: &[u8]) -> Result<Vec<u8>> {
    let mut document = b"{".to_vec();
    let mut there = Vec::new();
    let mut parts = None;
    member(&mut document, "id", text(id).as_bytes());
    scan::members(message, |found| {
        let name = String::from_utf8_lossy(&found.name).into_owned();
        let value = &message[found.value];
        match name.as_str() {
            "id" | "content_parts" => return,
            "content" if value.starts_with(b"[") => {
                parts = Some(value);
                member(&mut document, "content", text_of(value).as_bytes());
            }
            name => member(&mut document, name, value),
        }
        there.push(name);
    })
    .map_err(|error| unreadable("a message", error))?;
    for name in ALWAYS {
        if !there.iter().any(|there| there == name) {
            member(&mut document, name, b"null");
        }
    }
    member(&mut document, "content_parts", parts.unwrap_or(b"null"));
    document.push(b'}');
    Ok(document)
}

/// The text of content that came in parts, a line for each; null where none is text.
fn text_of(parts: &[u8]) -> String {
    let parts: Vec<Value> = serde_json::from_slice(parts).unwrap_or_default();
    let texts: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
    if texts.is_empty() {
        return "null".to_owned();
    }
    text(&texts.join("\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MESSAGES: &str = r#"[
        {"role":"system","content":"be brief"},
        {"role":"user","content":[{"type":"text","text":"what"},{"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":"is it?"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"a"}],"id":"theirs"},
        {"role":"tool","tool_call_id":"a","content":[{"type":"image_url","image_url":{"url":"data:,"}}],"name":"t"}
    ]"#;

    fn ask(after: Option<&str>, limit: u32, order: SortOrder) -> Result<(Vec<String>, bool)> {
        let query = MessageQuery {
            after: after.map(str::to_owned),
            limit,
            order,
        };
        let list = page("c", MESSAGES.as_bytes(), &query)?;
        Ok((
            list.messages.into_iter().map(|message| message.id).collect(),
            list.has_more,
        ))
    }

    #[test]
    fn messages_come_page_by_page() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let (asc, desc) = (SortOrder::Asc, SortOrder::Desc);
        assert_eq!(ask(None, 3, asc).unwrap(), (ids(&["c-0", "c-1", "c-2"]), true));
        assert_eq!(ask(Some("c-2"), 3, asc).unwrap(), (ids(&["c-3"]), false));
        assert_eq!(ask(Some("c-2"), 2, desc).unwrap(), (ids(&["c-1", "c-0"]), false));
        assert_eq!(ask(Some("c-3"), 3, asc).unwrap(), (ids(&[]), false));
        for wrong in ["c-4", "c-01", "c", "d-1", "c--1", ""] {
            assert_eq!(ask(Some(wrong), 3, asc).unwrap_err().param(), Some("after"), "{wrong}");
        }
    }

    #[test]
    fn a_message_is_shown_as_it_was_sent() {
        let query = MessageQuery {
            limit: 9,
            order: SortOrder::Asc,
            after: None,
        };
        let list = page("c", MESSAGES.as_bytes(), &query).unwrap();
        let shown: Vec<Value> = list
            .messages
            .iter()
            .map(|message| serde_json::from_slice(&message.document).unwrap())
            .collect();
        let image = json!({ "type": "image_url", "image_url": { "url": "data:," } });
        assert_eq!(
            shown,
            [
                json!({ "id": "c-0", "role": "system", "content": "be brief", "refusal": null, "name": null, "content_parts": null }),
                json!({ "id": "c-1", "role": "user", "content": "what\nis it?", "refusal": null, "name": null, "content_parts": [
                    { "type": "text", "text": "what" }, image, { "type": "text", "text": "is it?" },
                ] }),
                json!({ "id": "c-2", "role": "assistant", "content": null, "tool_calls": [{ "id": "a" }], "refusal": null, "name": null,
                    "content_parts": null }),
                json!({ "id": "c-3", "role": "tool", "tool_call_id": "a", "content": null, "name": "t", "refusal": null,
                    "content_parts": [image] }),
            ]
        );
    }
}
