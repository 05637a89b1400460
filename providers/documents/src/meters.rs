//! What is measured of reading files. `docs/guides/metrics.md` lists the names.

use metrics::{Histogram, Unit, describe_histogram, histogram};

const STAGE: &str = "puna_file_processing_stage_seconds";

/// Handles, made once and kept.
pub(crate) struct Meters {
    /// The time until a worker may be started.
    pub(crate) wait: Histogram,
    /// The time for a worker to find a file's text.
    pub(crate) parse: Histogram,
    /// The time for it to cut the text.
    pub(crate) chunk: Histogram,
    /// The rest of a worker's time: starting it, and handing over the file and what became of it.
    pub(crate) hand_over: Histogram,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe_histogram!(STAGE, Unit::Seconds, "The time that a stage of reading a file took.");
        Self {
            wait: histogram!(STAGE, "stage" => "wait"),
            parse: histogram!(STAGE, "stage" => "parse"),
            chunk: histogram!(STAGE, "stage" => "chunk"),
            hand_over: histogram!(STAGE, "stage" => "hand_over"),
        }
    }
}
