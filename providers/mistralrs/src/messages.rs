//! Turns the messages and tools of a request into what chat templates expect.

use puna_api::{
    AssistantMessage, ChatMessage, ChatTool, ContentPart, Error, ImageDetail, ImagePart, MessageContent, Result,
    ToolCall,
};
use serde_json::{Map, Value, json};

use crate::checkpoint::Vision;
use crate::images::NamedImage;
use crate::request::{refuse_extra, unsupported};

/// The images that the messages of users name, in their order. Those elsewhere are refused by [`messages`].
pub(crate) fn images(messages: &[ChatMessage]) -> Vec<NamedImage> {
    let mut named = Vec::new();
    for (message, content) in messages.iter().enumerate().filter_map(user_parts) {
        for (part, content) in content.iter().enumerate() {
            if let ContentPart::ImageUrl(image) = content {
                named.push(NamedImage {
                    place: format!("messages[{message}].content[{part}].image_url"),
                    url: image.image_url.url.clone(),
                });
            }
        }
    }
    named
}

fn user_parts((index, message): (usize, &ChatMessage)) -> Option<(usize, &[ContentPart])> {
    match message {
        ChatMessage::User(user) => match &user.content {
            MessageContent::Parts(parts) => Some((index, parts)),
            MessageContent::Text(_) => None,
        },
        _ => None,
    }
}

/// The messages as JSON objects. Their contents are plain text, or lists of parts where there are images, which only a model that
/// looks at images takes.
pub(crate) fn messages(messages: &[ChatMessage], vision: Option<&Vision>) -> Result<Vec<Value>> {
    if messages.is_empty() {
        return Err(Error::invalid_request("`messages` must not be empty").with_param("messages"));
    }
    messages
        .iter()
        .enumerate()
        .map(|(index, message)| one(message, &format!("messages[{index}]"), vision))
        .collect()
}

/// The tools as JSON objects. Each must be a function.
pub(crate) fn tools(tools: &[ChatTool]) -> Result<Vec<Value>> {
    tools
        .iter()
        .enumerate()
        .map(|(index, tool)| function(tool, &format!("tools[{index}]")))
        .collect()
}

fn one(message: &ChatMessage, place: &str, vision: Option<&Vision>) -> Result<Value> {
    let mut fields = Map::new();
    fields.insert("role".to_owned(), message.role().into());
    let content = match message.content() {
        Some(content) => contents(content, place, matches!(message, ChatMessage::User(_)), vision)?,
        None => Value::from(""),
    };
    fields.insert("content".to_owned(), content);
    let extra = match message {
        ChatMessage::Developer(message) | ChatMessage::System(message) => {
            put(&mut fields, "name", message.name.as_ref());
            &message.extra
        }
        ChatMessage::User(message) => {
            put(&mut fields, "name", message.name.as_ref());
            &message.extra
        }
        ChatMessage::Assistant(message) => {
            assistant(&mut fields, message, place)?;
            &message.extra
        }
        ChatMessage::Tool(message) => {
            put(&mut fields, "tool_call_id", Some(&message.tool_call_id));
            // Not of OpenAI's shape, but sent along by some, and some templates tell it.
            put(&mut fields, "name", message.extra.get("name").and_then(Value::as_str));
            &message.extra
        }
        ChatMessage::Function(_) => return Err(unsupported(&format!("{place}.role"), "`function`; use `tool`")),
        ChatMessage::Other(_) => {
            let role = message.role();
            return Err(Error::invalid_request(format!(
                "`{place}.role` is `{role}`, which is none of `system`, `developer`, `user`, `assistant` and `tool`"
            ))
            .with_param(format!("{place}.role")));
        }
    };
    let known: &[&str] = if matches!(message, ChatMessage::Tool(_)) {
        &["name"]
    } else {
        &["annotations"]
    };
    refuse_extra(extra, known, place)?;
    Ok(Value::Object(fields))
}

fn assistant(fields: &mut Map<String, Value>, message: &AssistantMessage, place: &str) -> Result<()> {
    if message.audio.is_some() {
        return Err(unsupported(&format!("{place}.audio"), "a reference to audio"));
    }
    if message.function_call.is_some() {
        return Err(unsupported(
            &format!("{place}.function_call"),
            "a function call; use `tool_calls`",
        ));
    }
    if let (None, Some(refusal)) = (&message.content, &message.refusal) {
        fields.insert("content".to_owned(), refusal.as_str().into());
    }
    put(fields, "name", message.name.as_ref());
    put(
        fields,
        "reasoning_content",
        message.reasoning_content.as_ref().or(message.reasoning.as_ref()),
    );
    if let Some(calls) = message.tool_calls.as_ref().filter(|calls| !calls.is_empty()) {
        let calls: Result<Vec<Value>> = calls
            .iter()
            .enumerate()
            .map(|(index, call)| tool_call(call, &format!("{place}.tool_calls[{index}]")))
            .collect();
        fields.insert("tool_calls".to_owned(), calls?.into());
    }
    Ok(())
}

/// Templates expect the arguments as an object; what is no object stays as it came.
fn tool_call(call: &ToolCall, place: &str) -> Result<Value> {
    let ToolCall::Function(call) = call else {
        return Err(unsupported(
            &format!("{place}.type"),
            "a call to a tool that is not a function",
        ));
    };
    refuse_extra(&call.extra, &["index"], place)?;
    refuse_extra(&call.function.extra, &[], &format!("{place}.function"))?;
    let arguments = serde_json::from_str::<Map<String, Value>>(&call.function.arguments)
        .map_or_else(|_| Value::from(call.function.arguments.as_str()), Value::Object);
    Ok(json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.function.name, "arguments": arguments},
    }))
}

fn contents(content: &MessageContent, place: &str, is_user: bool, vision: Option<&Vision>) -> Result<Value> {
    let parts = match content {
        MessageContent::Text(text) => {
            check_text(text, &format!("{place}.content"), vision)?;
            return Ok(text.as_str().into());
        }
        MessageContent::Parts(parts) => parts,
    };
    let mut all = Vec::new();
    let mut has_images = false;
    for (index, part) in parts.iter().enumerate() {
        let place = format!("{place}.content[{index}]");
        let text = match part {
            ContentPart::Text(part) => {
                refuse_extra(&part.extra, &["cache_control"], &place)?;
                &part.text
            }
            ContentPart::Refusal(part) => &part.refusal,
            ContentPart::ImageUrl(part) => {
                check_image(part, &place, is_user, vision)?;
                has_images = true;
                all.push(json!({"type": "image"}));
                continue;
            }
            other => {
                return Err(unsupported(
                    &format!("{place}.type"),
                    &format!("a part of type `{}`", other.type_name()),
                ));
            }
        };
        check_text(text, &format!("{place}.text"), vision)?;
        all.push(json!({"type": "text", "text": text}));
    }
    if has_images {
        return Ok(all.into());
    }
    let texts = all.iter().filter_map(|part| part["text"].as_str());
    Ok(texts.collect::<String>().into())
}

/// An image in a message. What it is of is looked at elsewhere.
fn check_image(part: &ImagePart, place: &str, is_user: bool, vision: Option<&Vision>) -> Result<()> {
    refuse_extra(&part.extra, &["cache_control"], place)?;
    let place = format!("{place}.image_url");
    if vision.is_none() {
        let message = format!("`{place}`: this model does not look at images");
        return Err(Error::unsupported(message).with_param(place));
    }
    if !is_user {
        return Err(unsupported(&place, "an image in a message that is not a user's"));
    }
    refuse_extra(&part.image_url.extra, &[], &place)?;
    match &part.image_url.detail {
        None | Some(ImageDetail::Auto) => Ok(()),
        // Every image is seen in the one way that the model has.
        Some(other) => Err(unsupported(
            &format!("{place}.detail"),
            &format!("the detail `{other}`; use `auto`"),
        )),
    }
}

/// What stands for an image must not come from a text: the engine would look for the image.
fn check_text(text: &str, place: &str, vision: Option<&Vision>) -> Result<()> {
    let reserved = vision.map_or(&[][..], |vision| vision.reserved);
    match reserved.iter().find(|mark| text.contains(**mark)) {
        Some(mark) => Err(Error::invalid_request(format!(
            "`{place}` must not contain `{mark}`, which stands for an image in this model"
        ))
        .with_param(place)),
        None => Ok(()),
    }
}

fn function(tool: &ChatTool, place: &str) -> Result<Value> {
    let ChatTool::Function(tool) = tool else {
        return Err(unsupported(
            &format!("{place}.type"),
            &format!("a tool of type `{}`", tool.type_name()),
        ));
    };
    let function = &tool.function;
    refuse_extra(&tool.extra, &[], place)?;
    refuse_extra(&function.extra, &[], &format!("{place}.function"))?;
    let mut fields = Map::new();
    put(&mut fields, "name", Some(&function.name));
    put(&mut fields, "description", function.description.as_ref());
    if let Some(parameters) = &function.parameters {
        fields.insert("parameters".to_owned(), Value::Object(parameters.clone()));
    }
    Ok(json!({"type": "function", "function": fields}))
}

fn put<T: AsRef<str> + ?Sized>(fields: &mut Map<String, Value>, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.as_ref().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::View;

    fn read(messages_json: Value) -> Result<Vec<Value>> {
        messages(
            &serde_json::from_value::<Vec<ChatMessage>>(messages_json).unwrap(),
            None,
        )
    }

    #[test]
    fn messages_keep_what_templates_read() {
        let conversation = json!([
            {"role": "system", "content": [{"type": "text", "text": "be "}, {"type": "text", "text": "brief"}]},
            {"role": "user", "content": "hi", "name": "ada"},
            {"role": "assistant", "content": null, "refusal": null, "annotations": [], "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{\"a\": 1}"}},
                {"id": "2", "type": "function", "function": {"name": "add", "arguments": "oops"}},
            ]},
            {"role": "tool", "tool_call_id": "1", "content": "3"},
        ]);
        assert_eq!(
            Value::from(read(conversation).unwrap()),
            json!([
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "hi", "name": "ada"},
                {"role": "assistant", "content": "", "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}},
                    {"id": "2", "type": "function", "function": {"name": "add", "arguments": "oops"}},
                ]},
                {"role": "tool", "content": "3", "tool_call_id": "1"},
            ])
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:,"}});
        let cases = [
            (json!([]), "messages"),
            (json!([{"role": "user", "content": ["hi", image]}]), ""),
            (
                json!([{"role": "user", "content": [image]}]),
                "messages[0].content[0].image_url",
            ),
            (
                json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]),
                "messages[0].content[0].type",
            ),
            (json!([{"role": "user", "content": "x", "mood": 1}]), "messages[0].mood"),
            (
                json!([{"role": "assistant", "audio": {"id": "a"}}]),
                "messages[0].audio",
            ),
            (
                json!([{"role": "function", "name": "f", "content": "x"}]),
                "messages[0].role",
            ),
            (json!([{"role": "llama", "content": "x"}]), "messages[0].role"),
        ];
        for (conversation, param) in cases {
            let Ok(conversation) = serde_json::from_value::<Vec<ChatMessage>>(conversation) else {
                assert!(param.is_empty());
                continue;
            };
            assert_eq!(messages(&conversation, None).unwrap_err().param(), Some(param));
        }
        let custom = json!([{"type": "custom", "custom": {"name": "g"}}]);
        let custom: Vec<ChatTool> = serde_json::from_value(custom).unwrap();
        assert_eq!(tools(&custom).unwrap_err().param(), Some("tools[0].type"));
    }

    const VISION: Vision = Vision {
        mark: "<image>",
        reserved: &["<image>", "<end>"],
        view: View::Alike { tokens: 1, size: None },
    };

    fn image(fields: &Value) -> Value {
        let mut part = json!({"type": "image_url", "image_url": {"url": "data:,"}});
        part["image_url"]
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        part
    }

    #[test]
    fn images_are_parts_of_their_messages() {
        let text = json!({"type": "text", "text": "what?"});
        let conversation = json!([
            {"role": "system", "content": [text]},
            {"role": "user", "content": [image(&json!({"detail": "auto"})), text, image(&json!({"url": "https://a/b.png"}))]},
        ]);
        let conversation: Vec<ChatMessage> = serde_json::from_value(conversation).unwrap();
        assert_eq!(
            Value::from(messages(&conversation, Some(&VISION)).unwrap()),
            json!([
                {"role": "system", "content": "what?"},
                {"role": "user", "content": [{"type": "image"}, text, {"type": "image"}]},
            ])
        );
        let named = |part: usize, url: &str| NamedImage {
            place: format!("messages[1].content[{part}].image_url"),
            url: url.to_owned(),
        };
        assert_eq!(images(&conversation), [named(0, "data:,"), named(2, "https://a/b.png")]);
    }

    #[test]
    fn images_that_cannot_be_taken_are_named() {
        for (role, content, param) in [
            (
                "user",
                image(&json!({"detail": "low"})),
                "messages[0].content[0].image_url.detail",
            ),
            (
                "user",
                image(&json!({"fps": 2})),
                "messages[0].content[0].image_url.fps",
            ),
            ("system", image(&json!({})), "messages[0].content[0].image_url"),
            (
                "user",
                json!({"type": "text", "text": "an <end>"}),
                "messages[0].content[0].text",
            ),
        ] {
            let conversation = json!([{"role": role, "content": [content]}]);
            let conversation: Vec<ChatMessage> = serde_json::from_value(conversation).unwrap();
            assert_eq!(messages(&conversation, Some(&VISION)).unwrap_err().param(), Some(param));
        }
        let conversation = json!([{"role": "user", "content": "an <image>"}]);
        let conversation: Vec<ChatMessage> = serde_json::from_value(conversation).unwrap();
        let error = messages(&conversation, Some(&VISION)).unwrap_err();
        assert_eq!(error.param(), Some("messages[0].content"));
        messages(&conversation, None).unwrap();
    }
}
