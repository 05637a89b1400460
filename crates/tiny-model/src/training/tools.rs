//! Calls to tools, and answers with what they said.

use serde_json::{Map, Value, json};

use super::conversation::{Conversation, Message, spaced};
use super::example::{Example, Expected, Task};
use super::source::{Source, capitalized, fill};
use super::talk;
use super::words::{ADJECTIVES, DAYS, NOUNS, VERBS, WEATHER};

/// A tool, a request that needs it, and what becomes of it.
struct Use {
    tool: Value,
    /// What the tool is for, in a word or two: of two tools for the same, either would be right.
    purpose: String,
    request: String,
    arguments: Value,
    result: String,
    /// The answer after the result.
    answer: String,
    /// What of the result the answer has to say.
    said: String,
}

/// A function as a request describes it. Each parameter: its name, its type, its description.
fn function(source: &mut Source, name: &str, description: &str, parameters: &[(&str, &str, &str)]) -> Value {
    let mut properties = Map::new();
    for (name, kind, description) in parameters {
        let property = if source.percent(35) && !description.is_empty() {
            json!({"type": kind, "description": description})
        } else {
            json!({"type": kind})
        };
        properties.insert((*name).to_owned(), property);
    }
    let names: Vec<&str> = parameters.iter().map(|(name, _, _)| *name).collect();
    let schema = if source.percent(75) {
        json!({"type": "object", "properties": properties, "required": names})
    } else {
        json!({"type": "object", "properties": properties})
    };
    let mut function = Map::new();
    function.insert("name".to_owned(), json!(name));
    if source.percent(85) {
        function.insert("description".to_owned(), json!(description));
    }
    function.insert("parameters".to_owned(), schema);
    json!({"type": "function", "function": function})
}

pub(crate) fn name(tool: &Value) -> String {
    tool["function"]["name"].as_str().unwrap_or_default().to_owned()
}

/// A tool that searches, and the name of its one argument.
pub(crate) fn search_tool(source: &mut Source) -> (Value, &'static str) {
    let name = source.pick(&[
        "knowledge_search",
        "file_search",
        "search",
        "search_documents",
        "look_up",
        "web_search",
    ]);
    let argument = "query";
    let description = source.pick(&[
        "Search for information in a database.",
        "Search the documents.",
        "Find text.",
    ]);
    let tool = function(
        source,
        name,
        description,
        &[(argument, "string", "The query to search for.")],
    );
    (tool, argument)
}

fn weather(source: &mut Source) -> Use {
    let city = source.city();
    let name = source.pick(&["get_weather", "weather", "current_weather", "get_current_weather"]);
    let argument = source.pick(&["city", "location", "city", "place"]);
    let tool = function(
        source,
        name,
        "Get the weather of a city.",
        &[(argument, "string", "The city.")],
    );
    let request = source.fill(
        &[
            "What is the weather in {}?",
            "How is the weather in {} today?",
            "What's the weather like in {}?",
            "Tell me the weather in {}.",
            "Is it cold in {}?",
            "Weather in {}?",
            "Do I need an umbrella in {}?",
        ],
        &[&city],
    );
    let sky = source.pick(WEATHER);
    let degrees = source.number(0, 39);
    let (result, answer, said) = match source.number(0, 2) {
        0 => (
            sky.to_owned(),
            format!("The weather in {city} is {sky}."),
            sky.to_owned(),
        ),
        1 => (
            format!("{degrees} degrees and {sky}"),
            format!("The weather in {city} is {degrees} degrees and {sky}."),
            degrees.to_string(),
        ),
        _ => (
            spaced(&json!({"temperature": degrees, "sky": sky})),
            format!("The weather in {city} is {degrees} degrees and {sky}."),
            degrees.to_string(),
        ),
    };
    Use {
        tool,
        purpose: "weather".to_owned(),
        request,
        arguments: json!({argument: city}),
        result,
        answer,
        said,
    }
}

fn calculation(source: &mut Source) -> Use {
    let (a, b) = (source.number(0, 999), source.number(0, 999));
    let (name, verb, templates, result): (_, _, &[&str], i64) = match source.number(0, 2) {
        0 => (
            "add",
            "Add",
            &["What is {} plus {}?", "Add {} and {}.", "What is the sum of {} and {}?"],
            (a + b) as i64,
        ),
        1 => (
            "multiply",
            "Multiply",
            &["Multiply {} by {}.", "What is {} times {}?"],
            (a * b) as i64,
        ),
        _ => (
            "subtract",
            "Subtract",
            &["What is {} minus {}?", "Subtract {1} from {0}."],
            a as i64 - b as i64,
        ),
    };
    let kind = source.pick(&["number", "integer"]);
    let (first, second) = source.pick(&[("a", "b"), ("x", "y"), ("first", "second")]);
    let description = format!("{verb} two numbers.");
    let tool = function(source, name, &description, &[(first, kind, ""), (second, kind, "")]);
    Use {
        tool,
        purpose: name.to_owned(),
        request: source.fill(templates, &[&a.to_string(), &b.to_string()]),
        arguments: json!({first: a, second: b}),
        result: result.to_string(),
        answer: format!("The result is {result}."),
        said: result.to_string(),
    }
}

fn search(source: &mut Source) -> Use {
    let (tool, argument) = search_tool(source);
    let topic = match source.number(0, 2) {
        0 => format!("the {} {}", source.pick(ADJECTIVES), source.pick(NOUNS)),
        _ => source.title(),
    };
    let request = source.fill(
        &[
            "Search for {}.",
            "Look up {}.",
            "Find information about {}.",
            "What do the documents say about {}?",
            "Search {}",
        ],
        &[&topic],
    );
    let code = source.code();
    Use {
        tool,
        purpose: "search".to_owned(),
        request,
        arguments: json!({argument: topic}),
        result: format!("{topic} has the number {code}."),
        answer: capitalized(&format!("{topic} has the number {code}.")),
        said: code,
    }
}

fn message(source: &mut Source) -> Use {
    let (person, text) = (source.person(), source.tokens(1, 5));
    let name = source.pick(&["send_message", "send_email", "send_sms", "notify"]);
    let (to, body) = source.pick(&[
        ("to", "text"),
        ("recipient", "message"),
        ("name", "body"),
        ("to", "message"),
    ]);
    let tool = function(
        source,
        name,
        "Send a message to a person.",
        &[(to, "string", "Who gets it."), (body, "string", "What it says.")],
    );
    let request = source.fill(
        &[
            "Send {} the message: {}",
            "Tell {}: {}",
            "Write to {}: {}",
            "Send \"{1}\" to {0}.",
            "Message {}: {}",
        ],
        &[&person, &text],
    );
    Use {
        tool,
        purpose: "message".to_owned(),
        request,
        arguments: json!({to: person, body: text}),
        result: source
            .pick(&["sent", "ok", "{\"status\": \"sent\"}", "done"])
            .to_owned(),
        answer: format!("I have sent the message to {person}."),
        said: person,
    }
}

fn timer(source: &mut Source) -> Use {
    let minutes = source.number(1, 90);
    let name = source.pick(&["set_timer", "start_timer", "set_alarm"]);
    let argument = source.pick(&["minutes", "duration"]);
    let tool = function(
        source,
        name,
        "Set a timer in minutes.",
        &[(argument, "integer", "How many minutes.")],
    );
    let request = source.fill(
        &[
            "Set a timer for {} minutes.",
            "Wake me in {} minutes.",
            "Start a timer of {} minutes.",
        ],
        &[&minutes.to_string()],
    );
    Use {
        tool,
        purpose: "timer".to_owned(),
        request,
        arguments: json!({argument: minutes}),
        result: source.pick(&["ok", "done", "set", "{\"status\": \"ok\"}"]).to_owned(),
        answer: format!("The timer is set for {minutes} minutes."),
        said: minutes.to_string(),
    }
}

fn order(source: &mut Source) -> Use {
    let code = source.code();
    let (noun, argument, name) = source.pick(&[
        ("order", "order_id", "get_order"),
        ("user", "user_id", "get_user"),
        ("ticket", "ticket_id", "get_ticket"),
        ("order", "id", "order_status"),
        ("package", "number", "track_package"),
    ]);
    let description = format!("Get the status of the {noun}.");
    let tool = function(source, name, &description, &[(argument, "string", "The number of it.")]);
    let request = fill(
        source.pick(&[
            "What is the status of {0} {1}?",
            "Where is {0} {1}?",
            "Check {0} {1}.",
            "Look up the {0} {1}.",
            "Tell me about {0} {1}.",
        ]),
        &[noun, &code],
    );
    let status = source.pick(&["sent", "open", "closed", "lost", "ready", "on the way", "paid"]);
    let day = source.pick(DAYS);
    let (result, answer) = if source.percent(50) {
        (
            spaced(&json!({"status": status, "day": day})),
            format!("The {noun} {code} is {status} since {day}."),
        )
    } else {
        (status.to_owned(), format!("The {noun} {code} is {status}."))
    };
    Use {
        tool,
        purpose: noun.to_owned(),
        request,
        arguments: json!({argument: code}),
        result,
        answer,
        said: status.to_owned(),
    }
}

/// A tool that nobody has heard of: only its description tells what it does.
fn unheard_of(source: &mut Source) -> Use {
    let verb = source.pick(VERBS);
    let noun = source.pick(NOUNS);
    let name = match source.number(0, 3) {
        0 => format!("{verb}_{}", source.invented()),
        1 => format!("{}_{noun}", source.invented()),
        _ => format!("{verb}_{noun}"),
    };
    let description = capitalized(&format!("{verb} the {noun}."));
    let invented = source.invented();
    let key = source.pick(&["name", "code", "id", "target", "value", "label", "owner", ""]);
    let key = if key.is_empty() { invented.as_str() } else { key };
    let value = match source.number(0, 3) {
        0 => source.code(),
        1 => source.title(),
        2 => source.pick(NOUNS).to_owned(),
        _ => source.tokens(1, 3),
    };
    let mut parameters = vec![(key, "string", "")];
    let mut arguments = Map::new();
    arguments.insert(key.to_owned(), json!(value));
    let count = source.number(1, 99);
    let two = source.percent(30);
    let templates: &[&str] = if two {
        parameters.push(("count", "integer", "How many."));
        arguments.insert("count".to_owned(), json!(count));
        &[
            "{0} the {1} with {2} {3} and count {4}.",
            "Please {0} the {1}, {2} {3}, count {4}.",
            "Use {5} with {2} {3} and count {4}.",
        ]
    } else {
        &[
            "{0} the {1} with {2} {3}.",
            "Please {0} the {1} with the {2} {3}.",
            "Call {5} with {3}.",
            "Use {5} with {2} {3}.",
            "Can you {0} the {1} {3}?",
            "{0} the {1} {3}",
        ]
    };
    let tool = function(source, &name, &description, &parameters);
    let request = source.fill(templates, &[verb, noun, key, &value, &count.to_string(), &name]);
    let said = source.tokens(1, 3);
    let (result, answer) = match source.number(0, 2) {
        0 => (said.clone(), format!("The result is {said}.")),
        1 => (spaced(&json!({"result": said})), format!("The result is {said}.")),
        _ => (format!("The {noun} is {said}."), format!("The {noun} is {said}.")),
    };
    Use {
        tool,
        purpose: format!("{verb} {noun}"),
        request: capitalized(&request),
        arguments: Value::Object(arguments),
        result,
        answer,
        said,
    }
}

const USES: &[fn(&mut Source) -> Use] = &[weather, calculation, search, message, timer, order];

fn any_use(source: &mut Source) -> Use {
    if source.percent(45) {
        unheard_of(source)
    } else {
        source.pick(USES)(source)
    }
}

/// So many others, no two of all for the same.
fn others(source: &mut Source, first: &Use, count: usize) -> Vec<Use> {
    let mut others: Vec<Use> = Vec::new();
    while others.len() < count {
        let next = any_use(source);
        let alike = |other: &Use| other.purpose == next.purpose || name(&other.tool) == name(&next.tool);
        if !alike(first) && !others.iter().any(alike) {
            others.push(next);
        }
    }
    others
}

/// How many tools are on offer that no request needs.
fn unneeded(source: &mut Source) -> usize {
    source.pick(&[0, 0, 0, 1, 1, 2])
}

/// Their tools, in any order.
fn offered(source: &mut Source, first: &Use, others: &[Use]) -> Vec<Value> {
    let mut tools = vec![first.tool.clone()];
    tools.extend(others.iter().map(|other| other.tool.clone()));
    source.shuffle(&mut tools);
    tools
}

fn instructions(source: &mut Source) -> Option<Message> {
    let text = source.pick(&[
        "You are a helpful assistant.",
        "You are a helpful assistant. Use the tools when they help.",
        "Answer the user.",
    ]);
    source.percent(40).then(|| Message::System(text.to_owned()))
}

/// A request after so many earlier ones, each with the call that it needs, the result, and the answer that makes use of it.
fn requested(source: &mut Source, earlier: usize) -> (Conversation, Use) {
    let wanted = any_use(source);
    let count = earlier + unneeded(source);
    let others = others(source, &wanted, count);
    let mut messages: Vec<Message> = instructions(source).into_iter().collect();
    for one in others[..earlier].iter().chain([&wanted]) {
        messages.extend([
            Message::User(one.request.clone()),
            Message::Call {
                name: name(&one.tool),
                arguments: spaced(&one.arguments),
            },
            Message::Tool(one.result.clone()),
            Message::Assistant(one.answer.clone()),
        ]);
    }
    let tools = offered(source, &wanted, &others);
    (Conversation { tools, messages }, wanted)
}

/// A request that one of the tools on offer fits, after so many others that were done with.
pub(crate) fn call(source: &mut Source, earlier: usize) -> Example {
    let (mut conversation, wanted) = requested(source, earlier);
    // Neither the result nor the answer.
    conversation.messages.truncate(conversation.messages.len() - 2);
    Example {
        task: Task::ToolCall,
        conversation,
        expected: Expected::Json(json!({"name": name(&wanted.tool), "arguments": wanted.arguments})),
    }
}

/// The same, with the tool's result and the answer that makes use of it.
pub(crate) fn result(source: &mut Source, earlier: usize) -> Example {
    let (mut conversation, wanted) = requested(source, earlier);
    // Some clients leave the tools out of the request that brings the result.
    if source.percent(15) {
        conversation.tools.clear();
    }
    Example {
        task: Task::ToolResult,
        conversation,
        expected: Expected::Says(wanted.said),
    }
}

/// Small talk while tools are on offer.
pub(crate) fn none_fits(source: &mut Source) -> Example {
    let talk = talk::small_talk(source);
    let mut messages: Vec<Message> = instructions(source).into_iter().collect();
    messages.extend(talk.conversation.messages);
    let first = any_use(source);
    let count = unneeded(source);
    let others = others(source, &first, count);
    Example {
        task: Task::NoTool,
        conversation: Conversation {
            tools: offered(source, &first, &others),
            messages,
        },
        expected: Expected::Talks,
    }
}
