//! Fields that a type does not name, or names only for its siblings.

use serde::Serialize;
use serde::de::Error;
use serde_json::{Map, Value};

/// Keeps a field that was read for a sibling of the type at hand among its unknown fields, so that nothing is lost on the way.
pub(super) fn keep<T: Serialize, E: Error>(
    extra: &mut Map<String, Value>,
    name: &str,
    field: Option<T>,
) -> Result<(), E> {
    if let Some(field) = field {
        extra.insert(name.to_owned(), serde_json::to_value(field).map_err(E::custom)?);
    }
    Ok(())
}
