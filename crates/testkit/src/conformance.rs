//! One suite for every provider of an API: [`main`] for inference, [`file_processors`] for what reads documents, [`files()`] for files,
//! [`vector_io`] for vector indexes.
//!
//! A provider crate runs it from `tests/conformance.rs`, which is a test without a harness:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! Each bullet of the `# Behavior` lists in `puna-api` is a trial or more. Which ones run follows from the [`Target`]: for a capability that it
//! states the trials that use it, for each other one a trial that it is refused by name. Names of trials start with where they run: `inline`,
//! `stub` or `live`.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial as LibtestTrial};

mod chat;
mod completion;
mod embeddings;
mod faults;
pub mod file_processors;
mod files;
mod isolation;
mod lacking;
mod outcome;
mod provider;
mod record;
mod rejections;
mod rerank;
mod stream;
mod subject;
mod target;
mod tools;
mod trial;
pub mod vector_io;
mod wire;

pub use files::{FilesTarget, files};
pub use target::{Endpoint, Live, Target};

use target::Place;
use trial::{Selection, Trial};

/// Runs the suite with the arguments of the process, as `cargo test` and `cargo nextest` call it.
pub fn main(target: Target) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), listed(target)).exit_code()
}

/// Every trial there is, in the order of the list.
fn all_trials() -> Vec<Trial> {
    [
        provider::trials(),
        chat::trials(),
        stream::trials(),
        tools::trials(),
        completion::trials(),
        embeddings::trials(),
        rerank::trials(),
        isolation::trials(),
        rejections::trials(),
        lacking::trials(),
        wire::trials(),
        faults::trials(),
    ]
    .concat()
}

/// What the target makes of the trials, for libtest's list.
fn listed(target: Target) -> Vec<LibtestTrial> {
    let mut listed = Vec::new();
    for place in target.places() {
        match place {
            Ok(place) => {
                let place = Arc::new(place);
                listed.extend(unknown_deviations(&place));
                listed.extend(all_trials().into_iter().filter_map(|trial| list(&place, trial)));
            }
            Err(absent) => listed.push(ignored(&absent.name, absent.reason)),
        }
    }
    listed
}

/// A failing trial for each deviation that names none of the trials.
fn unknown_deviations(place: &Place) -> Vec<LibtestTrial> {
    let unknown = place
        .deviations()
        .iter()
        .filter(|(name, _)| !all_trials().iter().any(|trial| trial.name == *name));
    let failing = unknown.map(|(name, _)| {
        LibtestTrial::test(format!("{}::{name}", place.name()), || {
            Err("the target's `deviations` name this trial, and there is none of this name".into())
        })
    });
    failing.collect()
}

fn list(place: &Arc<Place>, trial: Trial) -> Option<LibtestTrial> {
    let name = format!("{}::{}", place.name(), trial.name);
    if let Some((_, instead)) = place.deviations().iter().find(|(name, _)| *name == trial.name) {
        return Some(ignored(&name, format!("the service is known to differ: {instead}")));
    }
    match trial.selected_by(place) {
        Selection::Runs => {
            let place = Arc::clone(place);
            Some(LibtestTrial::test(name, move || {
                trial.run(&place).map_err(|failure| failure.to_string().into())
            }))
        }
        Selection::CannotRun(reason) => Some(ignored(&name, reason)),
        Selection::IsNotMeant => None,
    }
}

/// A line of the list that tells why it does not run; asked for all the same, it fails with the reason.
fn ignored(name: &str, reason: String) -> LibtestTrial {
    let kind = format!("not run: {reason}");
    LibtestTrial::test(name, move || Err(reason.into()))
        .with_kind(kind)
        .with_ignored_flag(true)
}

#[cfg(test)]
mod tests;
