//! What is kept of a request and its answer.

use puna_api::scan::{self, ScanError};
use puna_api::{ChatAssembly, ChatCompletionChunk, Error, Result};

use crate::Metadata;
use crate::entry::{Answer, Entry};

/// What a stored completion tells of its request, after what OpenAI shows: the name in the request, and the name in the document.
const SHOWN: &[(&str, &str)] = &[
    ("tool_choice", "tool_choice"),
    ("seed", "seed"),
    ("top_p", "top_p"),
    ("temperature", "temperature"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("user", "input_user"),
    ("tools", "tools"),
    ("response_format", "response_format"),
];
/// What else the document has that is not the answer's. The last two are added when it is read.
const OTHERS: &[&str] = &["request_id", METADATA, INPUT_MESSAGES];
const METADATA: &str = "metadata";
const INPUT_MESSAGES: &str = "input_messages";

/// A completion as it stands in the table.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) metadata: Metadata,
    /// A JSON object.
    pub(crate) document: Vec<u8>,
    /// A JSON array.
    pub(crate) messages: Vec<u8>,
}

impl Record {
    /// Makes a record of an entry; `None` where the answer was cut off.
    pub(crate) fn of(entry: &Entry) -> Result<Option<Self>> {
        let request = Request::read(&entry.request)?;
        let assembled;
        let answer = match &entry.answer {
            Answer::Whole(answer) => &answer[..],
            Answer::Chunks { documents, is_cut } => match assemble(documents, is_cut.then_some(request.choices))? {
                Some(whole) => {
                    assembled = whole;
                    &assembled
                }
                None => return Ok(None),
            },
        };
        Ok(Some(Self {
            id: entry.id.clone(),
            // The one character that a text of PostgreSQL cannot have.
            model: entry.model.replace('\0', "\u{fffd}"),
            metadata: entry.metadata.clone(),
            document: document(answer, &entry.request_id, &request)?,
            messages: request.messages.as_bytes().to_vec(),
        }))
    }

    /// How many bytes a list has of it.
    pub(crate) fn bytes(&self) -> usize {
        self.document.len() + self.messages.len()
    }
}

/// The whole document, as it is shown.
pub(crate) fn shown(document: &[u8], metadata: &str, messages: &[u8]) -> Vec<u8> {
    let open = document.strip_suffix(b"}").unwrap_or(document);
    let mut shown = Vec::with_capacity(document.len() + metadata.len() + messages.len() + 64);
    shown.extend_from_slice(open);
    for (name, value) in [(METADATA, metadata.as_bytes()), (INPUT_MESSAGES, messages)] {
        member(&mut shown, name, value);
    }
    shown.push(b'}');
    shown
}

/// The members of a request that are looked at, as they are written.
struct Request<'a> {
    messages: &'a str,
    choices: usize,
    shown: [Option<&'a str>; SHOWN.len()],
}

impl<'a> Request<'a> {
    fn read(json: &'a [u8]) -> Result<Self> {
        let text =
            std::str::from_utf8(json).map_err(|error| Error::internal("a request is not UTF-8").with_source(error))?;
        let mut request = Self {
            messages: "[]",
            choices: 1,
            shown: [None; SHOWN.len()],
        };
        scan::members(json, |member| {
            let value = &text[member.value];
            match &*member.name {
                b"messages" => request.messages = value,
                b"n" => request.choices = value.parse().unwrap_or(1),
                name => {
                    if let Some(place) = SHOWN.iter().position(|(shown, _)| shown.as_bytes() == name) {
                        request.shown[place] = Some(value);
                    }
                }
            }
        })
        .map_err(|error| unreadable("a request", error))?;
        Ok(request)
    }
}

/// The answer that chunks are; `None` where there are none, and where so many choices were to end and have not.
fn assemble(documents: &[u8], choices: Option<usize>) -> Result<Option<Vec<u8>>> {
    let mut assembly = ChatAssembly::new();
    for chunk in serde_json::Deserializer::from_slice(documents).into_iter::<ChatCompletionChunk>() {
        assembly.add(chunk.map_err(|error| Error::internal("a chunk of an answer cannot be read").with_source(error))?);
    }
    if choices.is_some_and(|choices| !assembly.has_finished(choices)) {
        return Ok(None);
    }
    let whole = assembly.finish().map(|answer| serde_json::to_vec(&answer)).transpose();
    whole.map_err(|error| Error::internal("an answer has no JSON form").with_source(error))
}

/// The answer with what is shown of its request.
fn document(answer: &[u8], request_id: &str, request: &Request<'_>) -> Result<Vec<u8>> {
    let mut document = Vec::with_capacity(answer.len() + 512);
    document.push(b'{');
    scan::members(answer, |found| {
        let name = &*found.name;
        let is_ours = SHOWN.iter().map(|(_, shown)| shown).chain(OTHERS);
        if !is_ours.into_iter().any(|ours| ours.as_bytes() == name) {
            member(&mut document, &String::from_utf8_lossy(name), &answer[found.value]);
        }
    })
    .map_err(|error| unreadable("an answer", error))?;
    member(&mut document, "request_id", text(request_id).as_bytes());
    for ((_, name), value) in SHOWN.iter().zip(request.shown) {
        member(&mut document, name, value.unwrap_or("null").as_bytes());
    }
    document.push(b'}');
    Ok(document)
}

/// Adds a member to an object whose brace is open.
pub(crate) fn member(object: &mut Vec<u8>, name: &str, value: &[u8]) {
    if object.last() != Some(&b'{') {
        object.push(b',');
    }
    object.extend_from_slice(text(name).as_bytes());
    object.push(b':');
    object.extend_from_slice(value);
}

/// A JSON text.
pub(crate) fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(crate) fn unreadable(what: &str, error: ScanError) -> Error {
    Error::internal(format!("{what} is not a JSON object")).with_source(error)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;

    fn entry(request: &Value, answer: Answer) -> Entry {
        Entry {
            id: "chatcmpl-1".to_owned(),
            model: "m\0".to_owned(),
            request_id: "req_\"1".to_owned(),
            metadata: Metadata::parse(r#"{"a":"b"}"#).unwrap(),
            request: request.to_string().into(),
            answer,
            waiting: None,
        }
    }

    fn read(record: &Record) -> Value {
        let shown = shown(&record.document, &record.metadata.to_json(), &record.messages);
        serde_json::from_slice(&shown).unwrap()
    }

    #[test]
    fn an_answer_is_kept_with_what_was_asked() {
        let request = json!({
            "model": "m", "messages": [{ "role": "user", "content": "hi" }], "temperature": 0.5, "user": "jo", "seed": 7, "store": true,
        });
        let answer =
            json!({ "id": "chatcmpl-1", "metadata": "theirs", "temperature": 3, "choices": [], "x": { "y": [1] } });
        let record = Record::of(&entry(&request, Answer::Whole(answer.to_string().into())))
            .unwrap()
            .unwrap();
        assert_eq!(record.model, "m\u{fffd}");
        assert_eq!(
            read(&record),
            json!({
                "id": "chatcmpl-1", "choices": [], "x": { "y": [1] }, "request_id": "req_\"1", "tool_choice": null, "seed": 7,
                "top_p": null, "temperature": 0.5, "presence_penalty": null, "frequency_penalty": null, "input_user": "jo",
                "tools": null, "response_format": null, "metadata": { "a": "b" },
                "input_messages": [{ "role": "user", "content": "hi" }],
            })
        );
        let empty = Record::of(&entry(&json!({}), Answer::Whole(Bytes::from_static(b"{}"))))
            .unwrap()
            .unwrap();
        assert_eq!(
            (&read(&empty)["seed"], &read(&empty)["input_messages"]),
            (&Value::Null, &json!([]))
        );
    }

    #[test]
    fn a_stream_is_kept_when_it_is_whole() {
        let chunk = |index: u32, finish_reason: Value| {
            let choice = json!({ "index": index, "delta": { "content": "a" }, "finish_reason": finish_reason });
            json!({ "id": "chatcmpl-1", "created": 1, "model": "m", "choices": [choice] }).to_string()
        };
        let record = |choices: u32, is_cut: bool, chunks: &[&str]| {
            let answer = Answer::Chunks {
                documents: chunks.join("\n").into_bytes(),
                is_cut,
            };
            let record = Record::of(&entry(&json!({ "n": choices, "messages": [] }), answer));
            record.map(|record| record.map(|record| read(&record)["choices"].as_array().unwrap().len()))
        };
        let (open, ends) = (chunk(0, Value::Null), chunk(0, json!("stop")));
        assert_eq!(record(1, true, &[&open, &ends]).unwrap(), Some(1));
        assert_eq!(record(1, true, &[&open]).unwrap(), None);
        assert_eq!(record(2, true, &[&ends]).unwrap(), None);
        // A server that ends a stream without a reason has ended it all the same.
        assert_eq!(record(1, false, &[&open]).unwrap(), Some(1));
        assert_eq!(record(1, false, &[]).unwrap(), None);
        assert!(record(1, false, &["{\"no\":1}"]).is_err());
    }
}
