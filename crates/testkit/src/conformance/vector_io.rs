//! One suite for every provider of vector indexes.
//!
//! A provider crate runs it from `tests/conformance.rs` as it would the one for inference. Each bullet of the `# Behavior` list of
//! [`VectorIo`](puna_api::VectorIo) is a trial or more; those about a search mode or a metric run where the provider declares it, and
//! where it does not, a trial that it is refused by name.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial as LibtestTrial};

mod chunks;
mod durability;
mod filters;
mod found;
mod hybrid;
mod indexes;
mod keyword;
mod lacking;
mod material;
mod provider;
mod subject;
mod target;
mod trial;
mod vector;

pub use target::Target;

use super::ignored;
use trial::Trial;

/// Runs the suite with the arguments of the process, as `cargo test` and `cargo nextest` call it.
pub fn main(target: Target) -> ExitCode {
    main_of([target])
}

/// Runs the suite for each of the targets, whose places have different names, as [`main`] does for one.
pub fn main_of(targets: impl IntoIterator<Item = Target>) -> ExitCode {
    let trials = targets.into_iter().flat_map(listed).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Every trial there is, in the order of the list.
fn all_trials() -> Vec<Trial> {
    [
        provider::trials(),
        indexes::trials(),
        chunks::trials(),
        vector::trials(),
        keyword::trials(),
        hybrid::trials(),
        filters::trials(),
        durability::trials(),
        lacking::trials(),
    ]
    .concat()
}

/// What the target makes of the trials, for libtest's list.
fn listed(target: Target) -> Vec<LibtestTrial> {
    let target = Arc::new(target);
    let meant = all_trials().into_iter().filter(|trial| trial.is_meant_for(&target));
    let listed = meant.map(|trial| {
        let target = Arc::clone(&target);
        let name = format!("{}::{}", target.place, trial.name);
        if let Some(reason) = target.absent {
            return ignored(&name, reason.to_owned());
        }
        LibtestTrial::test(name, move || {
            trial.run(&target).map_err(|failure| failure.to_string().into())
        })
    });
    listed.collect()
}

#[cfg(test)]
mod tests;
