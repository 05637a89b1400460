//! What the tests of wire types share: reading as a server reads, and writing back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Json, JsonError};

/// Reads a value from its bytes.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> T {
    Json::from_bytes(value.to_string())
        .into_value()
        .unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// Reads a value, from its bytes and as a value, writes it back and sees that nothing was lost or added.
pub(super) fn assert_round_trip<T: DeserializeOwned + Serialize>(value: &Value) {
    assert_eq!(&serde_json::to_value(read::<T>(value)).unwrap(), value);
    let from_value: T = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(
        &serde_json::from_slice::<Value>(&serde_json::to_vec(&from_value).unwrap()).unwrap(),
        value
    );
}

/// Why a value cannot be read.
pub(super) fn fault<T: DeserializeOwned>(value: &Value) -> JsonError {
    match Json::<T>::from_bytes(value.to_string()).into_value() {
        Ok(_) => panic!("{value} was read"),
        Err(fault) => fault,
    }
}
