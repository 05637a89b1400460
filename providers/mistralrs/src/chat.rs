//! Chat completions: what is asked of the engine, and what its answers look like.

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use puna_api::{
    ChatCompletion, ChatCompletionChoice, ChatCompletionChunk, ChatCompletionChunkChoice, ChatCompletionDelta,
    ChatCompletionMessage, ChatCompletionRequest, ChatTool, CompletionUsage, Error, FinishReason, FunctionCallDelta,
    Json, MessageRole, Modality, NamedToolChoice, ResponseFormat, Result, ServiceTier, ToolCall, ToolCallDelta,
    ToolChoice, ToolChoiceMode,
};
use serde_json::{Map, Value, json};

use crate::answer::{AnswerEvent, Job, Reading, Tools};
use crate::engine::{Engine, Grammar};
use crate::generation::GenerationRequest;
use crate::messages;
use crate::request::{self, SamplingFields, refuse, refuse_extra, unsupported};
use crate::template::{ChatTemplate, Conversation};
use crate::tool_calls::{Call, Piece};

/// A chat completion, ready to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The answers to make.
    pub(crate) jobs: Vec<Job>,
    /// What names the completion in the response.
    pub(crate) heading: Heading,
    /// Whether a stream ends with its usage.
    pub(crate) includes_usage: bool,
    prompt_tokens: u64,
}

/// What every response, or chunk of one, begins with.
#[derive(Debug, Clone)]
pub(crate) struct Heading {
    pub(crate) id: String,
    pub(crate) created: u64,
    pub(crate) model: String,
}

impl Heading {
    /// A heading with a new id, for now.
    pub(crate) fn new(prefix: &str, model: &str) -> Self {
        let created = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            id: format!("{prefix}-{}", uuid::Uuid::new_v4().simple()),
            created: created.as_secs(),
            model: model.to_owned(),
        }
    }
}

/// Checks a request and turns it into jobs for the engine. `model` is the id that the client used.
pub(crate) fn plan(request: &ChatCompletionRequest, model: &str, is_stream: bool, engine: &Engine) -> Result<Plan> {
    refuse_what_is_not_done(request, engine)?;
    request::stream_options(request.stream_options.as_ref(), is_stream)?;
    let offered = offered_tools(request)?;
    let conversation = Conversation {
        messages: messages::messages(&request.messages)?,
        tools: offered.definitions,
        variables: variables(request)?,
    };
    let template = engine.template().ok_or_else(|| {
        Error::unsupported(format!(
            "the model `{}` has no chat template; it only completes texts",
            engine.id()
        ))
        .with_param("messages")
    })?;
    // The template writes the marks that a text begins with.
    let prompt = request::encode(&template.render(&conversation)?, false, "messages", engine)?;
    if prompt.is_empty() {
        return Err(Error::invalid_request("the messages make an empty prompt").with_param("messages"));
    }
    let limit = if request.max_completion_tokens.is_some() {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    let generation = GenerationRequest {
        max_tokens: request::max_tokens(request.token_limit(), limit, prompt.len(), engine)?,
        prompt: prompt.into(),
        choice: 0,
        sampling: request::sampling(&sampling_fields(request), engine)?,
        grammar: grammar(request, offered.call_schema, engine)?,
    };
    let reading = Reading {
        stops: request::stops(request.stop.as_ref())?,
        tools: offered.tools,
        is_message: true,
    };
    let jobs = (0..request::choices(request.n)?).map(|index| Job {
        index,
        generation: GenerationRequest {
            choice: index,
            ..generation.clone()
        },
        reading: reading.clone(),
    });
    Ok(Plan {
        jobs: jobs.collect(),
        heading: Heading::new("chatcmpl", model),
        includes_usage: request.includes_usage(),
        prompt_tokens: generation.prompt.len() as u64,
    })
}

fn refuse_what_is_not_done(request: &ChatCompletionRequest, engine: &Engine) -> Result<()> {
    refuse(request.audio.is_some(), "audio")?;
    refuse(request.function_call.is_some(), "function_call")?;
    refuse(request.functions.is_some(), "functions")?;
    refuse(request.logprobs == Some(true), "logprobs")?;
    refuse(request.top_logprobs.is_some_and(|count| count > 0), "top_logprobs")?;
    refuse(request.prediction.is_some(), "prediction")?;
    refuse(request.store == Some(true), "store")?;
    refuse(request.verbosity.is_some(), "verbosity")?;
    refuse(request.web_search_options.is_some(), "web_search_options")?;
    let modalities = request.modalities.iter().flatten();
    if let Some(modality) = modalities.into_iter().find(|modality| **modality != Modality::Text) {
        return Err(unsupported("modalities", &format!("the modality `{modality}`")));
    }
    if let Some(tier) = &request.service_tier
        && !matches!(tier, ServiceTier::Auto | ServiceTier::Default)
    {
        return Err(unsupported("service_tier", &format!("the service tier `{tier}`")));
    }
    let reads_effort = engine.template().is_some_and(ChatTemplate::reads_reasoning_effort);
    refuse(request.reasoning_effort.is_some() && !reads_effort, "reasoning_effort")?;
    request::refuse_unknown(&request.extra, &["chat_template_kwargs"])
}

fn sampling_fields(request: &ChatCompletionRequest) -> SamplingFields<'_> {
    SamplingFields {
        temperature: request.temperature,
        top_p: request.top_p,
        frequency_penalty: request.frequency_penalty,
        presence_penalty: request.presence_penalty,
        seed: request.seed,
        logit_bias: request.logit_bias.as_ref(),
        extra: &request.extra,
    }
}

/// Variables of the template: `chat_template_kwargs`, as vLLM has it, and how much to think.
fn variables(request: &ChatCompletionRequest) -> Result<Map<String, Value>> {
    let mut variables = match request.extra.get("chat_template_kwargs") {
        Some(Value::Object(variables)) => variables.clone(),
        None | Some(Value::Null) => Map::new(),
        Some(_) => {
            let message = "`chat_template_kwargs` must be an object";
            return Err(Error::invalid_request(message).with_param("chat_template_kwargs"));
        }
    };
    if let Some(effort) = &request.reasoning_effort {
        variables.insert("reasoning_effort".to_owned(), effort.as_str().into());
    }
    Ok(variables)
}

/// What of a request's tools reaches the model.
#[derive(Default)]
struct Offered {
    /// For the template.
    definitions: Vec<Value>,
    /// For reading the answer.
    tools: Option<Tools>,
    /// What the answer must be, where it must be a call.
    call_schema: Option<Value>,
}

fn offered_tools(request: &ChatCompletionRequest) -> Result<Offered> {
    let all = request.tools.as_deref().unwrap_or_default();
    let definitions = messages::tools(all)?;
    let forced = match &request.tool_choice {
        None => false,
        Some(ToolChoice::Mode(ToolChoiceMode::None)) => return Ok(Offered::default()),
        Some(ToolChoice::Mode(ToolChoiceMode::Auto)) => false,
        Some(ToolChoice::Mode(ToolChoiceMode::Required)) => true,
        Some(ToolChoice::Mode(mode @ ToolChoiceMode::Other(_))) => {
            let message = format!("`tool_choice` must be `none`, `auto`, `required` or an object, not `{mode}`");
            return Err(Error::invalid_request(message).with_param("tool_choice"));
        }
        Some(ToolChoice::Tool(_)) => true,
    };
    let named = match &request.tool_choice {
        Some(ToolChoice::Tool(choice)) => match choice.as_ref() {
            NamedToolChoice::Function(choice) => Some(choice.function.name.as_str()),
            _ => {
                return Err(unsupported(
                    "tool_choice.type",
                    "a choice that is not of type `function`",
                ));
            }
        },
        _ => None,
    };
    if all.is_empty() && !forced {
        return Ok(Offered::default());
    }
    let functions = all.iter().filter_map(|tool| {
        if let ChatTool::Function(tool) = tool {
            Some(&tool.function)
        } else {
            None
        }
    });
    let names: Vec<String> = functions.clone().map(|function| function.name.clone()).collect();
    let schemas: Vec<Value> = functions
        .filter(|function| named.is_none_or(|name| name == function.name))
        .map(|function| call_schema(&function.name, function.parameters.as_ref()))
        .collect();
    if forced && schemas.is_empty() {
        let message = match named {
            Some(name) => format!("`tool_choice` names `{name}`, which is not among `tools`"),
            None => "`tool_choice` asks for a call, but there are no `tools`".to_owned(),
        };
        return Err(Error::invalid_request(message).with_param("tool_choice"));
    }
    Ok(Offered {
        definitions,
        tools: Some(Tools {
            names,
            parallel: request.parallel_tool_calls != Some(false),
        }),
        call_schema: forced.then(|| json!({"anyOf": schemas})),
    })
}

/// A call to a function as the answer has it.
fn call_schema(name: &str, parameters: Option<&Map<String, Value>>) -> Value {
    let arguments = parameters.cloned().map_or_else(
        || json!({"type": "object", "additionalProperties": false}),
        Value::Object,
    );
    json!({
        "type": "object",
        "properties": {"name": {"const": name}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// The form that answers must have: that of a call, or that of `response_format`.
fn grammar(request: &ChatCompletionRequest, call_schema: Option<Value>, engine: &Engine) -> Result<Option<Grammar>> {
    let (schema, param) = match (&request.response_format, call_schema) {
        (None | Some(ResponseFormat::Text(_)), None) => return Ok(None),
        (None | Some(ResponseFormat::Text(_)), Some(schema)) => (schema, "tools"),
        (Some(format), _) => {
            let calls_tools = request.tools.as_ref().is_some_and(|tools| !tools.is_empty())
                && request.tool_choice != Some(ToolChoice::Mode(ToolChoiceMode::None));
            if calls_tools {
                return Err(unsupported(
                    "response_format",
                    "a form of the answer together with `tools`",
                ));
            }
            (response_schema(format)?, "response_format")
        }
    };
    let Value::Object(schema) = schema else { return Ok(None) };
    engine
        .json_grammar(schema)
        .map(Some)
        .map_err(|error| error.with_param(param))
}

fn response_schema(format: &ResponseFormat) -> Result<Value> {
    match format {
        ResponseFormat::Text(format) => {
            refuse_extra(&format.extra, &[], "response_format")?;
            Ok(Value::Null)
        }
        ResponseFormat::JsonObject(format) => {
            refuse_extra(&format.extra, &[], "response_format")?;
            Ok(json!({"type": "object"}))
        }
        ResponseFormat::JsonSchema(format) => {
            refuse_extra(&format.extra, &[], "response_format")?;
            refuse_extra(&format.json_schema.extra, &[], "response_format.json_schema")?;
            let schema = format.json_schema.schema.clone().ok_or_else(|| {
                let param = "response_format.json_schema.schema";
                Error::invalid_request(format!("`{param}` is missing")).with_param(param)
            })?;
            Ok(Value::Object(schema))
        }
        ResponseFormat::Other(format) => Err(unsupported(
            "response_format.type",
            &format!("the form `{}`", format.type_name),
        )),
    }
}

/// The whole response.
pub(crate) async fn whole(
    plan: Plan,
    mut events: impl Stream<Item = Result<(u32, AnswerEvent)>> + Unpin,
) -> Result<ChatCompletion> {
    let mut texts = vec![String::new(); plan.jobs.len()];
    let mut calls: Vec<Vec<ToolCall>> = vec![Vec::new(); plan.jobs.len()];
    let mut reasons: Vec<Option<FinishReason>> = vec![None; plan.jobs.len()];
    let mut completion_tokens = 0;
    while let Some(event) = events.next().await {
        let (index, event) = event?;
        let index = index as usize;
        match event {
            AnswerEvent::Piece(Piece::Text(text)) => texts[index].push_str(&text),
            AnswerEvent::Piece(Piece::Call(Call { name, arguments })) => {
                calls[index].push(ToolCall::function(call_id(), name, arguments));
            }
            AnswerEvent::Finished { reason, tokens } => {
                reasons[index] = Some(reason);
                completion_tokens += tokens;
            }
        }
    }
    let answers = texts.into_iter().zip(calls).zip(reasons);
    let choices = (0..).zip(answers).map(|(index, ((text, calls), reason))| {
        let message = ChatCompletionMessage {
            content: if text.is_empty() && !calls.is_empty() {
                None
            } else {
                Some(text)
            },
            tool_calls: if calls.is_empty() { None } else { Some(calls) },
            ..ChatCompletionMessage::default()
        };
        ChatCompletionChoice::new(index, message, reason.unwrap_or(FinishReason::Stop))
    });
    let Heading { id, created, model } = plan.heading;
    let mut completion = ChatCompletion::new(id, created, model, choices.collect());
    completion.usage = Some(CompletionUsage::new(plan.prompt_tokens, completion_tokens));
    Ok(completion)
}

/// The response in chunks.
pub(crate) fn stream(
    plan: Plan,
    mut events: impl Stream<Item = Result<(u32, AnswerEvent)>> + Unpin,
) -> impl Stream<Item = Result<Json<ChatCompletionChunk>>> {
    try_stream! {
        let Heading { id, created, model } = plan.heading;
        let chunk = |choice| Json::new(ChatCompletionChunk::new(id.as_str(), created, model.as_str(), vec![choice]));
        for job in &plan.jobs {
            let role = ChatCompletionDelta::role(MessageRole::Assistant);
            yield chunk(ChatCompletionChunkChoice::new(job.index, role));
        }
        let mut calls = vec![0; plan.jobs.len()];
        let mut completion_tokens = 0;
        while let Some(event) = events.next().await {
            let (index, event) = event?;
            yield chunk(match event {
                AnswerEvent::Piece(Piece::Text(text)) => {
                    ChatCompletionChunkChoice::new(index, ChatCompletionDelta::content(text))
                }
                AnswerEvent::Piece(Piece::Call(call)) => {
                    let number = &mut calls[index as usize];
                    let delta = call_delta(*number, call);
                    *number += 1;
                    ChatCompletionChunkChoice::new(index, delta)
                }
                AnswerEvent::Finished { reason, tokens } => {
                    completion_tokens += tokens;
                    ChatCompletionChunkChoice::finish(index, reason)
                }
            });
        }
        if plan.includes_usage {
            let usage = CompletionUsage::new(plan.prompt_tokens, completion_tokens);
            yield Json::new(ChatCompletionChunk::usage(id.as_str(), created, model.as_str(), usage));
        }
    }
}

fn call_delta(index: u32, Call { name, arguments }: Call) -> ChatCompletionDelta {
    let function = FunctionCallDelta {
        name: Some(name),
        arguments: Some(arguments),
        ..FunctionCallDelta::default()
    };
    let call = ToolCallDelta {
        index,
        id: Some(call_id()),
        type_name: Some("function".to_owned()),
        function: Some(function),
        ..ToolCallDelta::default()
    };
    ChatCompletionDelta {
        tool_calls: Some(vec![call]),
        ..ChatCompletionDelta::default()
    }
}

fn call_id() -> String {
    format!("call_{}", uuid::Uuid::new_v4().simple())
}
