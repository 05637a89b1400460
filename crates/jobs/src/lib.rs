#![doc = include_str!("../README.md")]

mod handler;
mod job;
mod jobs;
mod lane;
mod listener;
mod run;
mod settings;
mod sweep;
mod table;

pub use handler::{JobHandler, RunningJob};
pub use job::{Job, JobFailure, JobQuery, JobState, LogLine, NewJob, Progress};
pub use jobs::Jobs;
pub use settings::{JobsSettings, Timing};
