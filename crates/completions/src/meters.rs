//! What is measured of the queue. `docs/guides/metrics.md` lists the names.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

const WAITING: &str = "puna_stored_completions_waiting";
const STORED: &str = "puna_stored_completions_total";
const LOST: &str = "puna_stored_completions_lost_total";

/// Handles, made once and kept.
pub(crate) struct Meters {
    /// Completions that wait to be written.
    pub(crate) waiting: Gauge,
    /// Completions that were written.
    pub(crate) stored: Counter,
    /// Completions that were to be kept and could not be.
    pub(crate) lost: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe_gauge!(WAITING, Unit::Count, "Chat completions that wait to be written.");
        describe_counter!(STORED, "Chat completions that were written.");
        describe_counter!(LOST, "Chat completions that were to be kept and could not be.");
        Self {
            waiting: gauge!(WAITING),
            stored: counter!(STORED),
            lost: counter!(LOST),
        }
    }
}
