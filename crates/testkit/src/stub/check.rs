//! Reads the fields of a request and answers wrong ones as OpenAI does.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    message: String,
    error_type: &'static str,
    param: Option<String>,
    code: Option<&'static str>,
}

impl Refusal {
    pub(super) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            error_type: "invalid_request_error",
            param: Some(param.to_owned()).filter(|param| !param.is_empty()),
            code: None,
        }
    }

    pub(super) fn model_not_found(model: &str) -> Self {
        Self {
            status: 404,
            message: format!("The model `{model}` does not exist or you do not have access to it."),
            error_type: "invalid_request_error",
            param: None,
            code: Some("model_not_found"),
        }
    }

    pub(super) fn file_not_found(id: &str) -> Self {
        Self {
            status: 404,
            message: format!("No such File object: {id}"),
            error_type: "invalid_request_error",
            param: Some("id".to_owned()),
            code: None,
        }
    }

    pub(super) fn wrong_api_key() -> Self {
        Self {
            status: 401,
            message: "Incorrect API key provided.".to_owned(),
            error_type: "invalid_request_error",
            param: None,
            code: Some("invalid_api_key"),
        }
    }

    pub(super) fn body(&self) -> Value {
        json!({ "error": { "message": self.message, "type": self.error_type, "param": self.param, "code": self.code } })
    }
}

/// The fields of a request body.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Refusal::invalid("", "The body is not a JSON object.")),
            Err(error) => Err(Refusal::invalid(
                "",
                format!("We could not parse the JSON body of your request: {error}"),
            )),
        }
    }

    /// The field, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        self.read(name, "a string", Value::as_str)
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.read(name, "a boolean", Value::as_bool)
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<&Map<String, Value>>, Refusal> {
        self.read(name, "an object", Value::as_object)
    }

    pub(super) fn array(&self, name: &str) -> Result<Option<&Vec<Value>>, Refusal> {
        self.read(name, "an array", Value::as_array)
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.read(name, "an integer", Value::as_i64)
    }

    /// An integer of at least `least`.
    pub(super) fn count(&self, name: &str, least: i64) -> Result<Option<usize>, Refusal> {
        match self.integer(name)? {
            None => Ok(None),
            Some(count) => match usize::try_from(count) {
                Ok(size) if count >= least => Ok(Some(size)),
                _ => Err(Refusal::invalid(
                    name,
                    format!(
                        "Invalid '{name}': integer below minimum value. Expected a value >= {least}, but got {count} instead."
                    ),
                )),
            },
        }
    }

    /// A number within a range.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, Refusal> {
        let number = self.read(name, "a decimal", Value::as_f64)?;
        match number {
            Some(number) if !range.contains(&number) => Err(Refusal::invalid(
                name,
                format!(
                    "Invalid '{name}': {number} is not between {} and {}.",
                    range.start(),
                    range.end()
                ),
            )),
            number => Ok(number),
        }
    }

    /// One string or an array of them; none when absent.
    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let wrong = || {
            Refusal::invalid(
                name,
                format!("Invalid type for '{name}': expected a string or an array of strings."),
            )
        };
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(texts)) => texts
                .iter()
                .map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// The model, which must be one of these.
    pub(super) fn model(&self, known: &[String]) -> Result<&str, Refusal> {
        let model = self
            .text("model")?
            .ok_or_else(|| Refusal::invalid("model", "you must provide a model parameter"))?;
        if known.iter().any(|known| known == model) {
            Ok(model)
        } else {
            Err(Refusal::model_not_found(model))
        }
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(Refusal::invalid(
                    name,
                    format!(
                        "Invalid type for '{name}': expected {expected}, but got {} instead.",
                        kind_of(value)
                    ),
                )),
            },
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
