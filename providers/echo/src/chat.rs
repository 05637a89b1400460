//! Chat completions.

use std::sync::Arc;

use puna_api::{
    BoxStream, ChatCompletion, ChatCompletionChoice, ChatCompletionChunk, ChatCompletionChunkChoice,
    ChatCompletionDelta, ChatCompletionMessage, ChatCompletionRequest, CompletionUsage, FinishReason,
    FunctionCallDelta, Json, MessageRole, Result, ToolCall, ToolCallDelta,
};

use crate::pace::{Beat, paced};
use crate::provider::Call as Asked;
use crate::reply::{Content, Reply};
use crate::tools::Call;
use crate::words::{SharedPieces, pieces};

/// Answers in one piece.
pub(crate) async fn whole(asked: Asked, request: &ChatCompletionRequest) -> Result<ChatCompletion> {
    let reply = Reply::to(request, &asked)?;
    let tokens = reply.tokens();
    asked.pace.tokens(tokens).await?;
    let choices = (0..reply.n)
        .map(|index| match &reply.content {
            Content::Text(generated) => ChatCompletionChoice::new(
                index,
                ChatCompletionMessage::text(&*generated.text),
                generated.finish_reason.clone(),
            ),
            Content::Calls(calls) => {
                let message = ChatCompletionMessage {
                    tool_calls: Some(
                        (0..)
                            .zip(calls)
                            .map(|(at, call)| {
                                ToolCall::function(call_id(&asked, index, at), &call.name, &call.arguments)
                            })
                            .collect(),
                    ),
                    ..ChatCompletionMessage::default()
                };
                ChatCompletionChoice::new(index, message, FinishReason::ToolCalls)
            }
        })
        .collect();
    let mut answer = ChatCompletion::new(id(&asked), asked.created, &*asked.model, choices);
    answer.usage = Some(usage(&reply, tokens));
    Ok(answer)
}

/// Answers piece by piece: the role of each choice, its text word by word, its finish reason, and the usage if that is asked for.
pub(crate) fn stream(
    asked: Asked,
    request: &ChatCompletionRequest,
) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>> {
    let reply = Reply::to(request, &asked)?;
    let n = reply.n;
    let pace = asked.pace.clone();
    let usage = request.includes_usage().then(|| usage(&reply, reply.tokens()));
    let asked = Arc::new(asked);

    let finish_reason = match &reply.content {
        Content::Text(generated) => generated.finish_reason.clone(),
        Content::Calls(_) => FinishReason::ToolCalls,
    };
    let roles = (0..n).map(|index| {
        (
            Beat::Rest,
            ChatCompletionChunkChoice::new(index, ChatCompletionDelta::role(MessageRole::Assistant)),
        )
    });
    let deltas = deltas(Arc::clone(&asked), reply.content)
        .enumerate()
        .flat_map(move |(place, delta)| {
            // All choices are said at once, so the pause is before the first.
            (0..n).map(move |index| {
                let beat = if index == 0 {
                    Beat::Token(place as u64)
                } else {
                    Beat::Rest
                };
                (beat, ChatCompletionChunkChoice::new(index, delta(index)))
            })
        });
    let finishes = (0..n).map(move |index| {
        (
            Beat::Rest,
            ChatCompletionChunkChoice::finish(index, finish_reason.clone()),
        )
    });

    let with_choice = Arc::clone(&asked);
    let chunks = roles.chain(deltas).chain(finishes).map(move |(beat, choice)| {
        (
            beat,
            ChatCompletionChunk::new(id(&with_choice), with_choice.created, &*with_choice.model, vec![choice]),
        )
    });
    let last = usage.map(|usage| {
        (
            Beat::Rest,
            ChatCompletionChunk::usage(id(&asked), asked.created, &*asked.model, usage),
        )
    });
    Ok(paced(chunks.chain(last), pace))
}

/// What a choice of this index says, piece by piece.
type Delta = Box<dyn Fn(u32) -> ChatCompletionDelta + Send>;

fn deltas(asked: Arc<Asked>, content: Content) -> Box<dyn Iterator<Item = Delta> + Send> {
    match content {
        Content::Text(generated) => Box::new(
            SharedPieces::new(generated.text)
                .map(|piece| -> Delta { Box::new(move |_| ChatCompletionDelta::content(piece.clone())) }),
        ),
        Content::Calls(calls) => Box::new(
            (0..)
                .zip(calls)
                .flat_map(move |(at, call)| call_deltas(Arc::clone(&asked), at, &call)),
        ),
    }
}

/// The name of a call, then its arguments.
fn call_deltas(asked: Arc<Asked>, at: u32, call: &Call) -> Vec<Delta> {
    let name = call.name.clone();
    let first: Delta = Box::new(move |index| {
        tool_call_delta(ToolCallDelta {
            index: at,
            id: Some(call_id(&asked, index, at)),
            type_name: Some("function".to_owned()),
            function: Some(FunctionCallDelta {
                name: Some(name.clone()),
                arguments: Some(String::new()),
                ..FunctionCallDelta::default()
            }),
            ..ToolCallDelta::default()
        })
    });
    let rest = pieces(&call.arguments).map(str::to_owned).map(|piece| -> Delta {
        Box::new(move |_| {
            tool_call_delta(ToolCallDelta {
                index: at,
                function: Some(FunctionCallDelta {
                    arguments: Some(piece.clone()),
                    ..FunctionCallDelta::default()
                }),
                ..ToolCallDelta::default()
            })
        })
    });
    std::iter::once(first).chain(rest).collect()
}

fn tool_call_delta(delta: ToolCallDelta) -> ChatCompletionDelta {
    ChatCompletionDelta {
        tool_calls: Some(vec![delta]),
        ..ChatCompletionDelta::default()
    }
}

fn id(asked: &Asked) -> String {
    format!("chatcmpl-{}", asked.request_id)
}

fn call_id(asked: &Asked, choice: u32, at: u32) -> String {
    format!("call-{}-{choice}-{at}", asked.request_id)
}

fn usage(reply: &Reply, tokens: u64) -> CompletionUsage {
    CompletionUsage::new(reply.prompt_tokens, tokens.saturating_mul(u64::from(reply.n)))
}
