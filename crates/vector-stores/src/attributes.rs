//! Attributes of files.

use puna_api::{AttributeValue, Attributes, Error, Result};

/// The most attributes.
const MOST: usize = 16;
/// The longest name of an attribute, in characters.
const LONGEST_NAME: usize = 64;
/// The longest text of an attribute, in characters.
const LONGEST_TEXT: usize = 512;

/// Checks what the type cannot say: at most 16 attributes, names of 1 to 64 characters, texts of at most 512, finite numbers
/// (`VectorStoreFileAttributes` of OpenAI). An error names the attribute below `param`.
pub(crate) fn check_attributes(attributes: &Attributes, param: &str) -> Result<()> {
    let invalid = |message: String, param: String| Err(Error::invalid_request(message).with_param(param));
    if attributes.len() > MOST {
        let message = format!("`{param}` has {} entries; at most {MOST} are allowed", attributes.len());
        return invalid(message, param.to_owned());
    }
    for (name, value) in attributes {
        let length = name.chars().count();
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        let place = format!("{param}.{shown}");
        if !(1..=LONGEST_NAME).contains(&length) || name.contains('\0') {
            let message = format!(
                "an attribute's name must have 1 to {LONGEST_NAME} characters, none of them zero; one has {length}"
            );
            return invalid(message, place);
        }
        match value {
            AttributeValue::Text(text) if text.chars().count() > LONGEST_TEXT => {
                let message = format!(
                    "`{place}` has {} characters; at most {LONGEST_TEXT} are allowed",
                    text.chars().count()
                );
                return invalid(message, place);
            }
            AttributeValue::Text(text) if text.contains('\0') => {
                return invalid(format!("`{place}` holds a zero character"), place);
            }
            AttributeValue::Number(number) if !number.is_finite() => {
                return invalid(format!("`{place}` must be a finite number"), place);
            }
            _ => {}
        }
    }
    Ok(())
}
