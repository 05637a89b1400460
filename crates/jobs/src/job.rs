//! A job as it is kept and shown.

use std::fmt;
use std::time::SystemTime;

use puna_api::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How often a job is tried unless it says otherwise.
const ATTEMPTS: u32 = 5;

/// A job to be submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Chosen by the caller, and unique among all jobs: 1 to 255 bytes, no zero character. Submitting the same job again changes nothing.
    pub id: String,
    /// Which handler runs it.
    pub kind: String,
    /// What the handler needs to know.
    pub payload: Value,
    /// How often it may be taken up before it fails: after transient errors, and after crashes.
    pub max_attempts: u32,
}

impl NewJob {
    /// A job that is tried up to five times.
    pub fn new(id: impl Into<String>, kind: impl Into<String>, payload: Value) -> Self {
        Self {
            id: id.into(),
            kind: kind.into(),
            payload,
            max_attempts: ATTEMPTS,
        }
    }

    /// Sets how often it may be taken up; 1 at least.
    #[must_use]
    pub fn with_max_attempts(self, max_attempts: u32) -> Self {
        Self { max_attempts, ..self }
    }
}

/// A job, as the table has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Which handler runs it.
    pub kind: String,
    /// What the handler needs to know.
    pub payload: Value,
    /// How far it is.
    pub state: JobState,
    /// How often it was taken up; attempts that a shutdown ended do not count.
    pub attempt: u32,
    /// How often it may be taken up.
    pub max_attempts: u32,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// How much is done, where the handler tells; a second old at most.
    pub progress: Option<Progress>,
    /// Where the next attempt goes on.
    pub checkpoint: Option<Value>,
    /// What the handler answered; set when it is completed, and never changed.
    pub result: Option<Value>,
    /// Why it failed, or why the last attempt did.
    pub failure: Option<JobFailure>,
    /// When it was submitted.
    pub created_at: SystemTime,
    /// When it was taken up first.
    pub started_at: Option<SystemTime>,
    /// When it reached a final state.
    pub finished_at: Option<SystemTime>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits: for a server, or for its next attempt.
    Queued,
    /// A server works on it.
    Running,
    /// It has a result. Final.
    Completed,
    /// It has none, and is not tried again. Final.
    Failed,
    /// Somebody asked for its end. Final.
    Cancelled,
}

impl JobState {
    const ALL: [Self; 5] = [
        Self::Queued,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in the table, such as `queued`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing changes any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much is done, in units of the handler's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So much.
    pub done: u64,
    /// Of so much, where that is known.
    pub total: Option<u64>,
}

/// Why an attempt failed: what is safe to show of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFailure {
    /// What went wrong, as far as somebody can act on it.
    pub kind: ErrorKind,
    /// The message for the client.
    pub message: String,
    /// The machine-readable code.
    pub code: Option<String>,
    /// The parameter at fault, as a path.
    pub param: Option<String>,
}

impl JobFailure {
    /// The failure as an error again.
    pub fn to_error(&self) -> Error {
        let mut error = Error::new(self.kind, &self.message);
        if let Some(code) = &self.code {
            error = error.with_code(code);
        }
        if let Some(param) = &self.param {
            error = error.with_param(param);
        }
        error
    }
}

impl From<&Error> for JobFailure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.message().to_owned(),
            code: error.code().map(str::to_owned),
            param: error.param().map(str::to_owned),
        }
    }
}

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// 1, 2, 3 and so on, over all attempts.
    pub number: u64,
    /// When it was written.
    pub at: SystemTime,
    /// The text.
    pub line: String,
}

/// Which jobs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQuery {
    /// Those of this kind.
    pub kind: String,
    /// Those in this state only.
    pub state: Option<JobState>,
    /// Those that come after the job of this id.
    pub after: Option<String>,
    /// So many at most.
    pub limit: u32,
}

/// A failure in the table.
#[derive(Debug, Serialize, Deserialize)]
struct StoredFailure {
    kind: String,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    param: Option<String>,
}

/// The names of kinds of errors in the table. One that has none is `internal`.
const KINDS: [(ErrorKind, &str); 14] = [
    (ErrorKind::InvalidRequest, "invalid_request"),
    (ErrorKind::TooLarge, "too_large"),
    (ErrorKind::NotFound, "not_found"),
    (ErrorKind::Conflict, "conflict"),
    (ErrorKind::Unauthenticated, "unauthenticated"),
    (ErrorKind::PermissionDenied, "permission_denied"),
    (ErrorKind::RateLimited, "rate_limited"),
    (ErrorKind::Unsupported, "unsupported"),
    (ErrorKind::Configuration, "configuration"),
    (ErrorKind::Unavailable, "unavailable"),
    (ErrorKind::StorageFull, "storage_full"),
    (ErrorKind::Timeout, "timeout"),
    (ErrorKind::Cancelled, "cancelled"),
    (ErrorKind::Internal, "internal"),
];

impl Serialize for JobFailure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        StoredFailure {
            kind: name.map_or("internal", |(_, name)| name).to_owned(),
            message: self.message.clone(),
            code: self.code.clone(),
            param: self.param.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JobFailure {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredFailure::deserialize(deserializer)?;
        let kind = KINDS.iter().find(|(_, name)| *name == stored.kind);
        Ok(Self {
            kind: kind.map_or(ErrorKind::Internal, |(kind, _)| *kind),
            message: stored.message,
            code: stored.code,
            param: stored.param,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_failures_are_read_as_they_were_written() {
        for state in JobState::ALL {
            assert_eq!(JobState::from_name(state.name()), Some(state));
        }
        for (kind, _) in KINDS {
            let failure = JobFailure::from(&Error::new(kind, "no").with_code("c").with_param("a[0]"));
            let text = serde_json::to_string(&failure).unwrap();
            assert_eq!(serde_json::from_str::<JobFailure>(&text).unwrap(), failure);
            assert_eq!(JobFailure::from(&failure.to_error()), failure);
        }
    }
}
