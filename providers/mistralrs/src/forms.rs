//! The form that a request asks answers to have: OpenAI's `response_format`, and vLLM's fields for the same.

use puna_api::{Error, ResponseFormat, Result};
use serde_json::{Map, Value, json};

use crate::engine::Form;
use crate::request::{refuse_extra, unsupported};

mod gbnf;

/// vLLM's fields, the older ones and the newer one.
pub(crate) const EXTRAS: [&str; 6] = [
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "guided_decoding_backend",
    "structured_outputs",
];

/// Most texts to choose from, and most characters of a regular expression or a grammar.
const MAX_CHOICES: usize = 4_096;
const MAX_CHARACTERS: usize = 256 * 1024;

/// A form and the field that asks for it.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    /// The form.
    pub(crate) form: Form,
    /// The path of the field.
    pub(crate) param: String,
}

/// The form that a request asks for, if it does. Fails as an invalid request when it asks for two.
pub(crate) fn asked(format: Option<&ResponseFormat>, extra: &Map<String, Value>) -> Result<Option<Asked>> {
    let mut all = Vec::new();
    if let Some(format) = format {
        all.extend(of_response_format(format)?);
    }
    check_backend(extra)?;
    for (name, read) in READERS {
        if let Some(value) = extra.get(*name).filter(|value| !value.is_null()) {
            all.push(one(name, value, *read)?);
        }
    }
    if let Some(outputs) = extra.get("structured_outputs").filter(|value| !value.is_null()) {
        all.extend(of_structured_outputs(outputs)?);
    }
    if let [first, second, ..] = all.as_slice() {
        let message = format!(
            "`{}` and `{}` each give the answer a form; set only one of them",
            first.param, second.param
        );
        return Err(Error::invalid_request(message).with_param(second.param.as_str()));
    }
    Ok(all.pop())
}

type Read = fn(&Value, &str) -> Result<Form>;

const READERS: &[(&str, Read)] = &[
    ("guided_json", json_schema),
    ("guided_regex", regex),
    ("guided_choice", choice),
    ("guided_grammar", grammar),
];

fn one(param: &str, value: &Value, read: Read) -> Result<Asked> {
    Ok(Asked {
        form: read(value, param)?,
        param: param.to_owned(),
    })
}

fn of_response_format(format: &ResponseFormat) -> Result<Option<Asked>> {
    let schema = match format {
        ResponseFormat::Text(format) => {
            refuse_extra(&format.extra, &[], "response_format")?;
            return Ok(None);
        }
        ResponseFormat::JsonObject(format) => {
            refuse_extra(&format.extra, &[], "response_format")?;
            any_object()
        }
        ResponseFormat::JsonSchema(format) => {
            refuse_extra(&format.extra, &[], "response_format")?;
            refuse_extra(&format.json_schema.extra, &[], "response_format.json_schema")?;
            format.json_schema.schema.clone().ok_or_else(|| {
                let param = "response_format.json_schema.schema";
                Error::invalid_request(format!("`{param}` is missing")).with_param(param)
            })?
        }
        ResponseFormat::Other(format) => {
            return Err(unsupported(
                "response_format.type",
                &format!("the form `{}`", format.type_name),
            ));
        }
    };
    Ok(Some(Asked {
        form: Form::Json(schema),
        param: "response_format".to_owned(),
    }))
}

/// vLLM has its pick of libraries for this; there is one here, which is among them.
fn check_backend(extra: &Map<String, Value>) -> Result<()> {
    match extra.get("guided_decoding_backend") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(backend)) if matches!(backend.as_str(), "auto" | "guidance") => Ok(()),
        Some(other) => Err(unsupported(
            "guided_decoding_backend",
            &format!("{other}, other than `auto` and `guidance`,"),
        )),
    }
}

fn of_structured_outputs(outputs: &Value) -> Result<Vec<Asked>> {
    const PLACE: &str = "structured_outputs";
    let Value::Object(fields) = outputs else {
        return Err(Error::invalid_request(format!("`{PLACE}` must be an object")).with_param(PLACE));
    };
    let known = [
        "json",
        "regex",
        "choice",
        "grammar",
        "json_object",
        "disable_any_whitespace",
    ];
    let switched_on = |name: &&str| !matches!(fields.get(*name), None | Some(Value::Bool(false)));
    // These change nothing when they are false; white space is never optional here.
    let off: Vec<&str> = ["disable_fallback", "disable_additional_properties"]
        .into_iter()
        .filter(|name| !switched_on(name))
        .collect();
    refuse_extra(fields, &[&known[..], &off].concat(), PLACE)?;
    let mut all = Vec::new();
    for (name, read) in READERS {
        let name = &name["guided_".len()..];
        if let Some(value) = fields.get(name).filter(|value| !value.is_null()) {
            all.push(one(&format!("{PLACE}.{name}"), value, *read)?);
        }
    }
    match fields.get("json_object") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(Value::Bool(true)) => all.push(Asked {
            form: Form::Json(any_object()),
            param: format!("{PLACE}.json_object"),
        }),
        Some(_) => {
            let param = format!("{PLACE}.json_object");
            return Err(Error::invalid_request(format!("`{param}` must be a boolean")).with_param(param));
        }
    }
    Ok(all)
}

fn any_object() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!("object"))])
}

/// A schema, or the text of one.
fn json_schema(value: &Value, param: &str) -> Result<Form> {
    let wrong = || {
        let message = format!("`{param}` must be a JSON schema: an object, or the text of one");
        Error::invalid_request(message).with_param(param)
    };
    match value {
        Value::Object(schema) => Ok(Form::Json(schema.clone())),
        Value::String(text) => serde_json::from_str(text).map(Form::Json).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn regex(value: &Value, param: &str) -> Result<Form> {
    text(value, param).map(Form::Regex)
}

fn grammar(value: &Value, param: &str) -> Result<Form> {
    let text = text(value, param)?;
    if !gbnf::is_gbnf(&text) {
        return Ok(Form::Lark(text));
    }
    gbnf::to_lark(&text)
        .map(Form::Lark)
        .map_err(|cause| Error::invalid_request(format!("`{param}` cannot be used: {cause}")).with_param(param))
}

fn text(value: &Value, param: &str) -> Result<String> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= MAX_CHARACTERS => Ok(text.clone()),
        _ => {
            let message = format!("`{param}` must be a text of 1 to {MAX_CHARACTERS} bytes");
            Err(Error::invalid_request(message).with_param(param))
        }
    }
}

fn choice(value: &Value, param: &str) -> Result<Form> {
    let texts: Option<Vec<String>> = value
        .as_array()
        .into_iter()
        .flatten()
        .map(|text| text.as_str().filter(|text| !text.is_empty()).map(str::to_owned))
        .collect();
    match texts {
        Some(texts) if (1..=MAX_CHOICES).contains(&texts.len()) => Ok(Form::Choice(texts)),
        _ => {
            let message = format!("`{param}` must be an array of 1 to {MAX_CHOICES} texts, none of them empty");
            Err(Error::invalid_request(message).with_param(param))
        }
    }
}

#[cfg(test)]
mod tests {
    use puna_api::ErrorKind;

    use super::*;

    fn read(fields: Value) -> Result<Option<Asked>> {
        let Value::Object(mut fields) = fields else {
            panic!("fields are an object")
        };
        let format: Option<ResponseFormat> = fields
            .remove("response_format")
            .map(|format| serde_json::from_value(format).unwrap());
        asked(format.as_ref(), &fields)
    }

    #[test]
    fn each_field_gives_its_form() {
        let schema = json!({"type": "integer"});
        let Value::Object(fields) = schema.clone() else {
            unreachable!()
        };
        let json = Form::Json(fields);
        let choice = Form::Choice(vec!["a".to_owned(), "b".to_owned()]);
        let cases = [
            (json!({"guided_json": schema}), json.clone(), "guided_json"),
            (json!({"guided_json": schema.to_string()}), json.clone(), "guided_json"),
            (
                json!({"guided_regex": "a+"}),
                Form::Regex("a+".to_owned()),
                "guided_regex",
            ),
            (json!({"guided_choice": ["a", "b"]}), choice.clone(), "guided_choice"),
            (
                json!({"guided_grammar": "start: \"a\"", "guided_decoding_backend": "auto"}),
                Form::Lark("start: \"a\"".to_owned()),
                "guided_grammar",
            ),
            (
                json!({"structured_outputs": {"json": schema}}),
                json.clone(),
                "structured_outputs.json",
            ),
            (
                json!({"structured_outputs": {"choice": ["a", "b"], "disable_fallback": false}}),
                choice,
                "structured_outputs.choice",
            ),
            (
                json!({"structured_outputs": {"json_object": true, "json": null}}),
                Form::Json(any_object()),
                "structured_outputs.json_object",
            ),
            (
                json!({"response_format": {"type": "json_object"}}),
                Form::Json(any_object()),
                "response_format",
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema}}}),
                json,
                "response_format",
            ),
        ];
        for (fields, form, param) in cases {
            let expected = Some(Asked {
                form,
                param: param.to_owned(),
            });
            assert_eq!(read(fields.clone()).unwrap(), expected, "{fields}");
        }
        for fields in [
            json!({}),
            json!({"guided_json": null, "structured_outputs": null}),
            json!({"structured_outputs": {"json_object": false}}),
            json!({"response_format": {"type": "text"}}),
        ] {
            assert_eq!(read(fields).unwrap(), None);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        use ErrorKind::{InvalidRequest, Unsupported};
        for (fields, kind, param) in [
            (json!({"guided_json": 3}), InvalidRequest, "guided_json"),
            (json!({"guided_json": "{"}), InvalidRequest, "guided_json"),
            (json!({"guided_regex": ""}), InvalidRequest, "guided_regex"),
            (json!({"guided_choice": []}), InvalidRequest, "guided_choice"),
            (json!({"guided_choice": ["a", 1]}), InvalidRequest, "guided_choice"),
            (
                json!({"guided_grammar": "main ::= \"a\""}),
                InvalidRequest,
                "guided_grammar",
            ),
            (
                json!({"guided_regex": "a", "guided_choice": ["a"]}),
                InvalidRequest,
                "guided_choice",
            ),
            (
                json!({"response_format": {"type": "json_object"}, "structured_outputs": {"regex": "a"}}),
                InvalidRequest,
                "structured_outputs.regex",
            ),
            (json!({"structured_outputs": []}), InvalidRequest, "structured_outputs"),
            (
                json!({"structured_outputs": {"json_object": 1}}),
                InvalidRequest,
                "structured_outputs.json_object",
            ),
            (
                json!({"structured_outputs": {"structural_tag": "x"}}),
                Unsupported,
                "structured_outputs.structural_tag",
            ),
            (
                json!({"structured_outputs": {"json_object": true, "disable_additional_properties": true}}),
                Unsupported,
                "structured_outputs.disable_additional_properties",
            ),
            (
                json!({"guided_decoding_backend": "outlines"}),
                Unsupported,
                "guided_decoding_backend",
            ),
            (
                json!({"response_format": {"type": "structural_tag"}}),
                Unsupported,
                "response_format.type",
            ),
            (
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}),
                InvalidRequest,
                "response_format.json_schema.schema",
            ),
        ] {
            let error = read(fields.clone()).unwrap_err();
            assert_eq!((error.kind(), error.param()), (kind, Some(param)), "{fields}");
        }
    }
}
