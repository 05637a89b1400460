//! Which fields of a request the models honour, and what is wrong in the others.

use puna_api::{Error, Result};
use serde_json::{Map, Value};

/// The choices that a request may ask for at most.
const MAX_CHOICES: u32 = 128;
/// The text that one answer may hold at most, all choices together.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A field that would change the result, and that the models do not honour.
pub(crate) fn unsupported(field: impl AsRef<str>) -> Error {
    let field = field.as_ref();
    Error::unsupported(format!("`{field}` is not supported by this model")).with_param(field)
}

/// A field with a wrong value.
pub(crate) fn invalid(field: impl AsRef<str>, problem: impl AsRef<str>) -> Error {
    let (field, problem) = (field.as_ref(), problem.as_ref());
    Error::invalid_request(format!("`{field}`: {problem}")).with_param(field)
}

/// Fields that are unsupported as soon as they are set.
pub(crate) fn absent<'a>(fields: impl IntoIterator<Item = (&'a str, bool)>) -> Result<()> {
    match fields.into_iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => Err(unsupported(field)),
        None => Ok(()),
    }
}

/// Nobody can tell what an unknown field would change, so none is taken.
pub(crate) fn nothing_unknown(extra: &Map<String, Value>) -> Result<()> {
    match extra.iter().find(|(_, value)| !value.is_null()) {
        Some((field, _)) => Err(unsupported(field)),
        None => Ok(()),
    }
}

/// Sampling of what has one outcome: any temperature gives the same text, but it has to be one.
pub(crate) fn sampling(temperature: Option<f64>, top_p: Option<f64>) -> Result<()> {
    for (field, value, most) in [("temperature", temperature, 2.0), ("top_p", top_p, 1.0)] {
        if let Some(value) = value.filter(|value| !(0.0..=most).contains(value)) {
            return Err(invalid(field, format!("{value} is not between 0 and {most}")));
        }
    }
    Ok(())
}

/// A penalty of 0 is none; any other would have the model not say what it was told.
pub(crate) fn penalties(frequency_penalty: Option<f64>, presence_penalty: Option<f64>) -> Result<()> {
    for (field, value) in [
        ("frequency_penalty", frequency_penalty),
        ("presence_penalty", presence_penalty),
    ] {
        match value {
            Some(value) if !(-2.0..=2.0).contains(&value) => {
                return Err(invalid(field, format!("{value} is not between -2 and 2")));
            }
            Some(value) if value != 0.0 => return Err(unsupported(field)),
            _ => {}
        }
    }
    Ok(())
}

/// The number of choices, 1 by default.
pub(crate) fn choices(n: Option<u32>) -> Result<u32> {
    match n.unwrap_or(1) {
        0 => Err(invalid("n", "0 choices are no answer; 1 or more is right")),
        n if n > MAX_CHOICES => Err(invalid("n", format!("{n} is above {MAX_CHOICES}"))),
        n => Ok(n),
    }
}

/// That the answer is not a multiple of a text that is large already.
pub(crate) fn answer_size(n: u32, text: usize) -> Result<()> {
    let whole = usize::try_from(n).unwrap_or(usize::MAX).saturating_mul(text);
    if n > 1 && whole > MAX_ANSWER_BYTES {
        let message = format!("`n`: {n} choices of this text are {whole} bytes, more than {MAX_ANSWER_BYTES}");
        return Err(Error::too_large(message).with_param("n"));
    }
    Ok(())
}

/// Stop sequences, none of them empty.
pub(crate) fn stop(sequences: Option<&puna_api::StopSequences>) -> Result<Vec<String>> {
    let sequences = sequences.map_or(&[][..], puna_api::StopSequences::as_slice);
    match sequences.iter().position(String::is_empty) {
        Some(index) => Err(invalid("stop", format!("sequence {index} is empty"))),
        None => Ok(sequences.to_vec()),
    }
}
