//! How a worker answers: one byte that tells an answer from an error, and what follows to the end of its standard output.

use puna_api::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::Failure;

const ANSWER: u8 = b'+';
const REFUSAL: u8 = b'-';

/// An error on its way from one process to another. What is for the log alone goes to standard error instead.
#[derive(Serialize, Deserialize)]
struct Refusal {
    kind: String,
    message: String,
    param: Option<String>,
    code: Option<String>,
}

/// The kinds that a worker may refuse with. Any other one is a fault of its own.
const KINDS: &[(ErrorKind, &str)] = &[
    (ErrorKind::InvalidRequest, "invalid_request"),
    (ErrorKind::TooLarge, "too_large"),
    (ErrorKind::Unsupported, "unsupported"),
    (ErrorKind::Internal, "internal"),
];

/// What a worker writes.
pub(crate) fn write(outcome: Result<Vec<u8>>) -> Vec<u8> {
    match outcome {
        Ok(mut answer) => {
            answer.insert(0, ANSWER);
            answer
        }
        Err(error) => {
            let kind = KINDS.iter().find(|(kind, _)| *kind == error.kind());
            let refusal = Refusal {
                kind: kind.map_or("internal", |(_, name)| name).to_owned(),
                message: error.message().to_owned(),
                param: error.param().map(str::to_owned),
                code: error.code().map(str::to_owned),
            };
            let mut bytes = vec![REFUSAL];
            // Strings always have a JSON form; an empty one would be taken for a crash, which is as much as could be said.
            bytes.extend(serde_json::to_vec(&refusal).unwrap_or_default());
            bytes
        }
    }
}

/// Reads what a worker wrote; `None` when that is no answer.
pub(crate) fn read(mut output: Vec<u8>) -> Option<Result<Vec<u8>, Failure>> {
    match *output.first()? {
        ANSWER => {
            output.remove(0);
            Some(Ok(output))
        }
        REFUSAL => {
            let refusal: Refusal = serde_json::from_slice(&output[1..]).ok()?;
            let kind = KINDS.iter().find(|(_, name)| *name == refusal.kind);
            let mut error = Error::new(kind.map_or(ErrorKind::Internal, |(kind, _)| *kind), refusal.message);
            if let Some(param) = refusal.param {
                error = error.with_param(param);
            }
            if let Some(code) = refusal.code {
                error = error.with_code(code);
            }
            Some(Err(Failure::Refused(error)))
        }
        _ => None,
    }
}
