//! Which tools the model calls: those that the request forces, or that a text asks for.

use puna_api::{
    ChatCompletionRequest, ChatTool, FunctionDefinition, NamedToolChoice, Result, ToolChoice, ToolChoiceMode,
};
use serde_json::{Value, json};

use crate::check::{invalid, unsupported};
use crate::schema::instance;

/// A call to a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// JSON text.
    pub(crate) arguments: String,
}

/// The calls that answer this text; none when it is answered with text.
///
/// A line `call NAME {…}` of the text calls that tool with those arguments. A `tool_choice` that forces a tool which the text does not call has it
/// called with arguments that fit its schema.
pub(crate) fn calls(request: &ChatCompletionRequest, text: &str) -> Result<Vec<Call>> {
    let tools = functions(request)?;
    let forced = match &request.tool_choice {
        None => None,
        Some(ToolChoice::Mode(ToolChoiceMode::Auto)) => None,
        Some(ToolChoice::Mode(ToolChoiceMode::None)) => return Ok(Vec::new()),
        Some(ToolChoice::Mode(ToolChoiceMode::Required)) => {
            // Any tool will do, so one that the text calls does.
            let first = tools
                .first()
                .ok_or_else(|| invalid("tool_choice", "`required`, but `tools` has none"))?;
            if asked(&tools, text).is_empty() {
                Some((0, *first))
            } else {
                None
            }
        }
        Some(ToolChoice::Mode(ToolChoiceMode::Other(other))) => {
            return Err(invalid(
                "tool_choice",
                format!("`{other}` is not one; `none`, `auto`, `required` and a named tool are"),
            ));
        }
        Some(ToolChoice::Tool(choice)) => {
            let NamedToolChoice::Function(choice) = &**choice else {
                return Err(unsupported("tool_choice"));
            };
            let name = &choice.function.name;
            let found = tools.iter().enumerate().find(|(_, tool)| tool.name == *name);
            let (index, tool) =
                found.ok_or_else(|| invalid("tool_choice", format!("`tools` has no function `{name}`")))?;
            let named: Vec<Call> = asked(&tools, text)
                .into_iter()
                .filter(|call| call.name == *name)
                .collect();
            if !named.is_empty() {
                return Ok(limited(request, named));
            }
            Some((index, *tool))
        }
    };
    match forced {
        None => Ok(limited(request, asked(&tools, text))),
        Some((index, tool)) => {
            let place = format!("tools[{index}].function.parameters");
            let schema = tool
                .parameters
                .clone()
                .map_or_else(|| json!({ "type": "object" }), Value::Object);
            Ok(vec![Call {
                name: tool.name.clone(),
                arguments: instance(&schema, &place, text)?.to_string(),
            }])
        }
    }
}

/// One call only, where the request wants no two at once.
fn limited(request: &ChatCompletionRequest, mut calls: Vec<Call>) -> Vec<Call> {
    if request.parallel_tool_calls == Some(false) {
        calls.truncate(1);
    }
    calls
}

fn functions(request: &ChatCompletionRequest) -> Result<Vec<&FunctionDefinition>> {
    let tools = request.tools.iter().flatten().enumerate();
    tools
        .map(|(index, tool)| match tool {
            ChatTool::Function(tool) => Ok(&tool.function),
            ChatTool::Custom(_) => Err(unsupported(format!("tools[{index}].custom"))),
            ChatTool::Other(_) => Err(unsupported(format!("tools[{index}].type"))),
        })
        .collect()
}

/// The calls that the text asks for, of tools that there are.
fn asked(tools: &[&FunctionDefinition], text: &str) -> Vec<Call> {
    text.lines()
        .filter_map(|line| {
            let (name, arguments) = line.strip_prefix("call ")?.split_once(' ')?;
            let is_known = tools.iter().any(|tool| tool.name == name);
            let is_object = serde_json::from_str::<Value>(arguments).is_ok_and(|arguments| arguments.is_object());
            (is_known && is_object).then(|| Call {
                name: name.to_owned(),
                arguments: arguments.trim().to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(fields: &Value, text: &str) -> Result<Vec<String>> {
        let mut body = json!({ "model": "m", "messages": [], "tools": [
            { "type": "function", "function": { "name": "a" } },
            { "type": "function", "function": { "name": "b", "parameters": {
                "type": "object", "properties": { "x": { "type": "integer" }, "why": { "type": "string" } } } } },
        ] });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let request: ChatCompletionRequest = serde_json::from_value(body).unwrap();
        let calls = calls(&request, text)?;
        Ok(calls
            .into_iter()
            .map(|call| format!("{} {}", call.name, call.arguments))
            .collect())
    }

    #[test]
    fn the_text_or_the_choice_decides() {
        let named = json!({ "type": "function", "function": { "name": "b" } });
        for (fields, text, expected) in [
            (json!({}), "hello", vec![]),
            (json!({}), "call a {}", vec!["a {}"]),
            (json!({}), "call a {}\ncall b {\"x\": 1}", vec!["a {}", "b {\"x\": 1}"]),
            (
                json!({ "parallel_tool_calls": false }),
                "call a {}\ncall b {}",
                vec!["a {}"],
            ),
            (json!({}), "call c {}", vec![]),
            (json!({}), "call a {", vec![]),
            (json!({}), "call a [1]", vec![]),
            (json!({ "tool_choice": "none" }), "call a {}", vec![]),
            (json!({ "tool_choice": "required" }), "hello", vec!["a {}"]),
            (json!({ "tool_choice": "required" }), "call b {}", vec!["b {}"]),
            (
                json!({ "tool_choice": named }),
                "hi",
                vec!["b {\"x\":0,\"why\":\"hi\"}"],
            ),
            (
                json!({ "tool_choice": named }),
                "call a {}\ncall b {\"x\":5}",
                vec!["b {\"x\":5}"],
            ),
        ] {
            assert_eq!(called(&fields, text).unwrap(), expected, "{fields} {text:?}");
        }
    }

    #[test]
    fn what_cannot_be_forced_is_named() {
        for (fields, param) in [
            (json!({ "tools": null, "tool_choice": "required" }), "tool_choice"),
            (json!({ "tool_choice": "perhaps" }), "tool_choice"),
            (
                json!({ "tool_choice": { "type": "function", "function": { "name": "c" } } }),
                "tool_choice",
            ),
            (
                json!({ "tool_choice": { "type": "custom", "custom": { "name": "a" } } }),
                "tool_choice",
            ),
            (
                json!({ "tools": [{ "type": "custom", "custom": { "name": "a" } }] }),
                "tools[0].custom",
            ),
            (json!({ "tools": [{ "type": "browser" }] }), "tools[0].type"),
        ] {
            assert_eq!(called(&fields, "hi").unwrap_err().param(), Some(param), "{fields}");
        }
    }
}
