//! Calls to tools.

use puna_api::{ErrorKind, FinishReason};
use serde_json::{Value, json};

use crate::local::{Local, body, extend};

#[tokio::test]
async fn a_call_can_be_forced() {
    let local = Local::demo().await;
    let tool = |name: &str| {
        let place = json!({"type": "object", "properties": {"place": {"enum": ["La Paz", "Puno"]}}, "required": ["place"], "additionalProperties": false});
        json!({"type": "function", "function": {"name": name, "parameters": place}})
    };
    let forced = json!({"type": "function", "function": {"name": "weather"}});
    for choice in [json!("required"), forced] {
        let fields =
            json!({"tools": [tool("weather"), tool("height")], "tool_choice": choice, "temperature": 1, "seed": 3});
        let mut body = body("What is it like in Puno?", fields);
        let answer = local.chat(&body).await.unwrap();
        let message = &answer.choices[0].message;
        let calls = serde_json::to_value(&message.tool_calls).unwrap();
        let arguments: Value = serde_json::from_str(calls[0]["function"]["arguments"].as_str().unwrap()).unwrap();
        assert!(arguments["place"].is_string(), "{arguments}");
        assert_eq!(
            (&message.content, &answer.choices[0].finish_reason),
            (&None, &Some(FinishReason::ToolCalls))
        );
        if choice.is_object() {
            assert_eq!(calls[0]["function"]["name"], "weather");
        }
        extend(&mut body, json!({"stream": true}));
        let chunks = local.chunks(&body).await.unwrap();
        let deltas: Vec<_> = chunks
            .iter()
            .flat_map(|chunk| &chunk.choices)
            .filter_map(|choice| choice.delta.tool_calls.as_ref())
            .flatten()
            .collect();
        assert_eq!(deltas.len(), 1);
        let function = deltas[0].function.as_ref().unwrap();
        assert_eq!(
            function.arguments.as_deref(),
            calls[0]["function"]["arguments"].as_str()
        );
    }
}

/// Tools as the OpenAI client makes them of types are strict, whether or not the model has to call them.
#[tokio::test]
async fn strict_tools_are_taken_whatever_the_choice() {
    let local = Local::demo().await;
    let parameters = json!({"type": "object", "properties": {"place": {"enum": ["Puno"]}}, "required": ["place"], "additionalProperties": false});
    let tool = json!({"type": "function", "function": {"name": "height", "parameters": parameters, "strict": true}});
    for choice in [json!("auto"), json!("none"), json!("required")] {
        let fields = json!({"tools": [tool], "tool_choice": choice, "parallel_tool_calls": false});
        let answer = local.chat(&body("How high is Puno?", fields)).await.unwrap();
        let calls = serde_json::to_value(&answer.choices[0].message.tool_calls).unwrap();
        for call in calls.as_array().into_iter().flatten() {
            assert_eq!(call["function"]["arguments"], r#"{"place":"Puno"}"#);
        }
        assert!(
            choice != "required" || calls.as_array().is_some_and(|calls| calls.len() == 1),
            "{answer:?}"
        );
    }
    let broken =
        json!({"type": "function", "function": {"name": "f", "parameters": {"type": "colour"}, "strict": true}});
    let error = local
        .chat(&body("Well?", json!({"tools": [broken]})))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.param()),
        (ErrorKind::InvalidRequest, Some("tools"))
    );
}
