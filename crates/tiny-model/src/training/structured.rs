//! JSON by a schema, filled from what the user says.

use serde_json::{Map, Value, json};

use super::conversation::{Conversation, Message, spaced};
use super::example::{Example, Expected, Task};
use super::source::Source;
use super::words::{COLOURS, DAYS, JOBS};

/// A key, its type, its value, and how a sentence tells it.
struct Field {
    key: &'static str,
    kind: &'static str,
    value: Value,
    told: String,
}

fn field(source: &mut Source, key: &'static str) -> Field {
    let (kind, value, told) = match key {
        "age" => {
            let age = source.number(1, 99);
            ("integer", json!(age), format!("is {age} years old"))
        }
        "city" => {
            let city = source.city();
            ("string", json!(city), format!("lives in {city}"))
        }
        "job" => {
            let job = source.pick(JOBS);
            ("string", json!(job), format!("works as a {job}"))
        }
        "color" => {
            let colour = source.pick(COLOURS);
            ("string", json!(colour), format!("likes {colour}"))
        }
        "day" => {
            let day = source.pick(DAYS);
            ("string", json!(day), format!("comes on {day}"))
        }
        "price" => {
            let price = source.number(1, 999);
            ("integer", json!(price), format!("paid {price} dollars"))
        }
        "active" => {
            let active = source.percent(50);
            (
                "boolean",
                json!(active),
                if active { "is active" } else { "is not active" }.to_owned(),
            )
        }
        _ => {
            let code = source.code();
            ("string", json!(code), format!("has the code {code}"))
        }
    };
    Field { key, kind, value, told }
}

/// A person described in words, and the same as JSON.
pub(crate) fn extraction(source: &mut Source) -> Example {
    let name = source.person();
    let keys: &[&'static str] = &["age", "city", "job", "color", "day", "price", "active", "code"];
    let count = source.number(1, 3) as usize;
    let mut fields: Vec<Field> = source
        .sample(keys, count)
        .into_iter()
        .map(|key| field(source, key))
        .collect();
    let told: Vec<&str> = fields.iter().map(|field| field.told.as_str()).collect();
    let text = match told.as_slice() {
        [one] => format!("{name} {one}."),
        [one, two] => format!("{name} {one} and {two}."),
        [one, rest @ ..] => format!("{name} {one}, {}.", rest.join(" and ")),
        [] => String::new(),
    };
    if source.percent(30) {
        source.shuffle(&mut fields);
    }
    let mut properties = Map::new();
    let mut object = Map::new();
    properties.insert("name".to_owned(), json!({"type": "string"}));
    object.insert("name".to_owned(), json!(name));
    for field in fields {
        properties.insert(field.key.to_owned(), json!({"type": field.kind}));
        object.insert(field.key.to_owned(), field.value);
    }
    let names: Vec<&String> = properties.keys().collect();
    let keys = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let schema = if source.percent(70) {
        json!({"type": "object", "properties": properties, "required": names})
    } else {
        json!({"type": "object", "properties": properties})
    };
    let schema = spaced(&schema);
    let messages = match source.number(0, 5) {
        0 | 1 => vec![
            Message::System(source.fill(
                &[
                    "Answer with JSON by this schema: {}",
                    "Answer with a JSON object that has this schema:\n{}",
                    "Write JSON by the schema {}",
                ],
                &[&schema],
            )),
            Message::User(text),
        ],
        2 => vec![Message::User(source.fill(
            &[
                "Answer with JSON by this schema: {}\n\n{}",
                "{1}\n\nWrite this as JSON by the schema {0}",
                "Schema: {}\nText: {}",
            ],
            &[&schema, &text],
        ))],
        3 => vec![
            Message::System(source.fill(
                &[
                    "Answer with a JSON object with the keys {}.",
                    "Extract the data as JSON. Keys: {}",
                ],
                &[&keys],
            )),
            Message::User(text),
        ],
        _ => vec![Message::User(source.fill(
            &[
                "Extract {} as JSON: {}",
                "{1} Answer with JSON that has the keys {0}.",
                "Write this as JSON with the keys {}: {}",
            ],
            &[&keys, &text],
        ))],
    };
    let value = Value::Object(object);
    let mut conversation = Conversation::of(messages);
    conversation.messages.push(Message::Assistant(spaced(&value)));
    Example {
        task: Task::Json,
        conversation,
        expected: Expected::Json(value),
    }
}
