//! Chat completions: what is asked of the engine, and what its answers look like.

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use image::DynamicImage;
use puna_api::{
    ChatCompletion, ChatCompletionChoice, ChatCompletionChunk, ChatCompletionChunkChoice, ChatCompletionDelta,
    ChatCompletionMessage, ChatCompletionRequest, ChatTool, CompletionTokensDetails, CompletionUsage, Error,
    FinishReason, FunctionCallDelta, Json, MessageRole, Modality, NamedToolChoice, Result, ServiceTier, ToolCall,
    ToolCallDelta, ToolChoice, ToolChoiceMode,
};
use serde_json::{Map, Value, json};

use crate::answer::{AnswerEvent, Finished, Job, Reading, Said, Tools};
use crate::engine::{Engine, Form};
use crate::engine_loader::EngineLease;
use crate::generation::{GenerationRequest, Held};
use crate::logprobs::Scored;
use crate::reasoning::Thinking;
use crate::request::{self, SamplingFields, refuse, unsupported};
use crate::template::{ChatTemplate, Conversation};
use crate::tool_calls::Call;
use crate::{forms, logprobs, messages};

/// A chat completion, ready to be made.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The answers to make.
    pub(crate) jobs: Vec<Job>,
    /// What names the completion in the response.
    pub(crate) heading: Heading,
    /// Whether a stream ends with its usage.
    pub(crate) includes_usage: bool,
    usage: UsageCounter,
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

/// Checks a request and turns it into jobs for the engine. `images` are those that its messages name, and `model` is the id that the
/// client used.
pub(crate) fn plan(
    request: &ChatCompletionRequest,
    images: Vec<DynamicImage>,
    model: &str,
    is_stream: bool,
    engine: &Engine,
) -> Result<Plan> {
    refuse_what_is_not_done(request, engine)?;
    request::stream_options(request.stream_options.as_ref(), is_stream)?;
    let offered = offered_tools(request)?;
    let conversation = Conversation {
        messages: messages::messages(&request.messages, engine.vision())?,
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
    let text = template.render(&conversation)?;
    let prompt = request::encode(&text, false, "messages", engine)?;
    if prompt.is_empty() {
        return Err(Error::invalid_request("the messages make an empty prompt").with_param("messages"));
    }
    let length = prompt.len().saturating_add(engine.tokens_of_images(&images));
    request::check_length(length, "messages", engine)?;
    let sight = engine.sight(&text, &prompt, images)?;
    let thinking = if template.thinks() {
        Thinking::after(&text)
    } else {
        Thinking::Never
    };
    let limit = if request.max_completion_tokens.is_some() {
        "max_completion_tokens"
    } else {
        "max_tokens"
    };
    let generation = GenerationRequest {
        max_tokens: request::max_tokens(request.token_limit(), limit, length, engine)?,
        prompt: prompt.into(),
        sight,
        choice: 0,
        sampling: request::sampling(&sampling_fields(request), engine)?,
        held: held(request, offered.calls, thinking, engine)?,
        top_logprobs: logprobs::of_chat(request.logprobs, request.top_logprobs)?,
        scores_prompt: false,
    };
    let reading = Reading {
        stops: request::stops(request.stop.as_ref())?,
        tools: offered.tools,
        thinking,
        is_message: true,
        echo: None,
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
        usage: UsageCounter::new(generation.prompt.len(), template.thinks()),
    })
}

fn refuse_what_is_not_done(request: &ChatCompletionRequest, engine: &Engine) -> Result<()> {
    refuse(request.audio.is_some(), "audio")?;
    refuse(request.function_call.is_some(), "function_call")?;
    refuse(request.functions.is_some(), "functions")?;
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
    request::refuse_unknown(
        &request.extra,
        &[&["chat_template_kwargs"], &forms::EXTRAS[..]].concat(),
    )
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
    /// What calls must be.
    calls: Calls,
}

/// What is asked of the calls in an answer.
#[derive(Default)]
enum Calls {
    /// Nothing.
    #[default]
    Free,
    /// The answer must be a call that fits a schema.
    Forced(Map<String, Value>),
    /// The answer may call, several times or once, and then its calls must fit a schema.
    Strict { schema: Map<String, Value>, several: bool },
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
    let strict = functions.clone().any(|function| function.strict == Some(true));
    let schemas: Vec<Value> = functions
        .filter(|function| named.is_none_or(|name| name == function.name))
        .flat_map(|function| {
            let parameters = if forced || function.strict == Some(true) {
                function.parameters.clone().unwrap_or_else(no_parameters)
            } else {
                any_parameters()
            };
            // A model that is free to call writes the field that it was taught.
            let fields: &[&str] = if forced {
                &["arguments"]
            } else {
                &["arguments", "parameters"]
            };
            let name = function.name.as_str();
            let schema = |field: &&str| call_schema(name, field, &parameters);
            fields.iter().map(schema).collect::<Vec<_>>()
        })
        .collect();
    if forced && schemas.is_empty() {
        let message = match named {
            Some(name) => format!("`tool_choice` names `{name}`, which is not among `tools`"),
            None => "`tool_choice` asks for a call, but there are no `tools`".to_owned(),
        };
        return Err(Error::invalid_request(message).with_param("tool_choice"));
    }
    let parallel = request.parallel_tool_calls != Some(false);
    let schema = Map::from_iter([("anyOf".to_owned(), Value::Array(schemas))]);
    Ok(Offered {
        definitions,
        tools: Some(Tools {
            names,
            parallel,
            strict: forced || strict,
        }),
        calls: if forced {
            Calls::Forced(schema)
        } else if strict {
            Calls::Strict {
                schema,
                several: parallel,
            }
        } else {
            Calls::Free
        },
    })
}

/// A call to a function as the answer has it, with the arguments in this field.
fn call_schema(name: &str, field: &str, parameters: &Map<String, Value>) -> Value {
    json!({
        "type": "object",
        "properties": {"name": {"const": name}, field: parameters},
        "required": ["name", field],
        "additionalProperties": false,
    })
}

fn no_parameters() -> Map<String, Value> {
    let mut schema = any_parameters();
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    schema
}

fn any_parameters() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), "object".into())])
}

/// What the answer is held to: the form of a call, or one that the request gives.
fn held(request: &ChatCompletionRequest, calls: Calls, thinking: Thinking, engine: &Engine) -> Result<Held> {
    let asked = forms::asked(request.response_format.as_ref(), &request.extra)?;
    if let Some(asked) = asked {
        let calls_tools = request.tools.as_ref().is_some_and(|tools| !tools.is_empty())
            && request.tool_choice != Some(ToolChoice::Mode(ToolChoiceMode::None));
        if calls_tools {
            return Err(unsupported(&asked.param, "a form of the answer together with `tools`"));
        }
        return engine
            .grammar(asked.form, thinking)
            .map(Held::Whole)
            .map_err(|error| error.with_param(asked.param));
    }
    let held = match calls {
        Calls::Free => return Ok(Held::Nothing),
        Calls::Forced(schema) => engine.grammar(Form::Json(schema), thinking).map(Held::Whole),
        Calls::Strict { schema, several } => engine.call_forms(schema, several, thinking).map(Held::Calls),
    };
    held.map_err(|error| error.with_param("tools"))
}

/// Adds up what a completion costs.
#[derive(Debug)]
struct UsageCounter {
    prompt: u64,
    completion: u64,
    /// None for a model that does not think aloud.
    reasoning: Option<u64>,
}

impl UsageCounter {
    fn new(prompt: usize, thinks: bool) -> Self {
        Self {
            prompt: prompt as u64,
            completion: 0,
            reasoning: thinks.then_some(0),
        }
    }

    fn add(&mut self, finished: &Finished) {
        self.prompt = finished.prompt_tokens.unwrap_or(self.prompt);
        self.completion += finished.tokens;
        if let Some(reasoning) = &mut self.reasoning {
            *reasoning += finished.reasoning_tokens;
        }
    }

    fn usage(&self) -> CompletionUsage {
        let mut usage = CompletionUsage::new(self.prompt, self.completion);
        usage.completion_tokens_details = self.reasoning.map(|reasoning| CompletionTokensDetails {
            reasoning_tokens: Some(reasoning),
            ..CompletionTokensDetails::default()
        });
        usage
    }
}

/// An answer as far as it is there.
#[derive(Default)]
struct Answer {
    text: String,
    reasoning: String,
    calls: Vec<ToolCall>,
    tokens: Vec<Scored>,
    reason: Option<FinishReason>,
}

impl Answer {
    fn choice(self, index: u32, engine: &Engine) -> ChatCompletionChoice {
        let says_nothing = self.text.is_empty() && !(self.calls.is_empty() && self.reasoning.is_empty());
        let message = ChatCompletionMessage {
            content: (!says_nothing).then_some(self.text),
            reasoning_content: Some(self.reasoning).filter(|text| !text.is_empty()),
            tool_calls: Some(self.calls).filter(|calls| !calls.is_empty()),
            ..ChatCompletionMessage::default()
        };
        let mut choice = ChatCompletionChoice::new(index, message, self.reason.unwrap_or(FinishReason::Stop));
        choice.logprobs = logprobs::in_chat(&self.tokens, engine.tokenizer());
        choice
    }
}

/// The whole response.
pub(crate) async fn whole(
    plan: Plan,
    mut events: impl Stream<Item = Result<(u32, AnswerEvent)>> + Unpin,
    engine: &Engine,
) -> Result<ChatCompletion> {
    let mut answers: Vec<Answer> = plan.jobs.iter().map(|_| Answer::default()).collect();
    let mut usage = plan.usage;
    while let Some(event) = events.next().await {
        let (index, event) = event?;
        let answer = &mut answers[index as usize];
        match event {
            AnswerEvent::Said(said, tokens) => {
                match said {
                    Said::Text(text) => answer.text.push_str(&text),
                    Said::Reasoning(text) => answer.reasoning.push_str(&text),
                    Said::Call(Call { name, arguments }) => {
                        answer.calls.push(ToolCall::function(call_id(), name, arguments));
                    }
                }
                answer.tokens.extend(tokens);
            }
            AnswerEvent::Finished(finished) => {
                usage.add(&finished);
                answer.reason = Some(finished.reason);
                answer.tokens.extend(finished.last);
            }
        }
    }
    let choices = (0..).zip(answers).map(|(index, answer)| answer.choice(index, engine));
    let Heading { id, created, model } = plan.heading;
    let mut completion = ChatCompletion::new(id, created, model, choices.collect());
    completion.usage = Some(usage.usage());
    Ok(completion)
}

/// The response in chunks.
pub(crate) fn stream(
    plan: Plan,
    mut events: impl Stream<Item = Result<(u32, AnswerEvent)>> + Unpin,
    engine: EngineLease,
) -> impl Stream<Item = Result<Json<ChatCompletionChunk>>> {
    try_stream! {
        let Heading { id, created, model } = plan.heading;
        let chunk = |choice| Json::new(ChatCompletionChunk::new(id.as_str(), created, model.as_str(), vec![choice]));
        for job in &plan.jobs {
            let role = ChatCompletionDelta::role(MessageRole::Assistant);
            yield chunk(ChatCompletionChunkChoice::new(job.index, role));
        }
        let mut calls = vec![0; plan.jobs.len()];
        let mut usage = plan.usage;
        while let Some(event) = events.next().await {
            let (index, event) = event?;
            let (mut choice, tokens) = match event {
                AnswerEvent::Said(said, tokens) => {
                    let delta = match said {
                        Said::Text(text) => ChatCompletionDelta::content(text),
                        Said::Reasoning(text) => ChatCompletionDelta {
                            reasoning_content: Some(text),
                            ..ChatCompletionDelta::default()
                        },
                        Said::Call(call) => {
                            let number = &mut calls[index as usize];
                            let delta = call_delta(*number, call);
                            *number += 1;
                            delta
                        }
                    };
                    (ChatCompletionChunkChoice::new(index, delta), tokens)
                }
                AnswerEvent::Finished(finished) => {
                    usage.add(&finished);
                    (ChatCompletionChunkChoice::finish(index, finished.reason), finished.last)
                }
            };
            choice.logprobs = logprobs::in_chat(&tokens, engine.tokenizer());
            yield chunk(choice);
        }
        if plan.includes_usage {
            yield Json::new(ChatCompletionChunk::usage(id.as_str(), created, model.as_str(), usage.usage()));
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
