//! What is measured of ingestion. `docs/guides/metrics.md` lists the names.

use std::future::Future;
use std::time::Instant;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const STAGE: &str = "puna_ingestion_stage_seconds";
const RUNNING: &str = "puna_ingestion_files_running";
const FILES: &str = "puna_ingestion_files_total";
const BYTES: &str = "puna_ingestion_bytes_total";
const CHUNKS: &str = "puna_ingestion_chunks_total";
const FAILURES: &str = "puna_ingestion_failures_total";

/// Handles, made once and kept.
pub(crate) struct Meters {
    /// The time for a file to be read and cut.
    pub(crate) read: Histogram,
    /// The time for some of its chunks to be embedded.
    pub(crate) embed: Histogram,
    /// The time for these to be put into the index.
    pub(crate) store: Histogram,
    /// Files that are at work.
    pub(crate) running: Gauge,
    /// Files that were ingested.
    pub(crate) files: Counter,
    /// Their bytes.
    pub(crate) bytes: Counter,
    /// Chunks that were put into an index.
    pub(crate) chunks: Counter,
    /// Attempts that failed.
    pub(crate) failures: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe();
        Self {
            read: histogram!(STAGE, "stage" => "read"),
            embed: histogram!(STAGE, "stage" => "embed"),
            store: histogram!(STAGE, "stage" => "store"),
            running: gauge!(RUNNING),
            files: counter!(FILES),
            bytes: counter!(BYTES),
            chunks: counter!(CHUNKS),
            failures: counter!(FAILURES),
        }
    }
}

/// Counts a file among those at work for as long as it lives.
pub(crate) struct Running(Gauge);

impl Running {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Does something, and records how long it took. What is given up before its end is not recorded.
pub(crate) async fn timed<T>(histogram: &Histogram, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    histogram.record(began.elapsed());
    done
}

fn describe() {
    describe_histogram!(STAGE, Unit::Seconds, "The time that a stage of an ingestion took.");
    describe_gauge!(RUNNING, Unit::Count, "Files that are being ingested.");
    describe_counter!(FILES, Unit::Count, "Files that were ingested.");
    describe_counter!(BYTES, Unit::Bytes, "Bytes of files that were ingested.");
    describe_counter!(CHUNKS, Unit::Count, "Chunks of files that were put into an index.");
    describe_counter!(FAILURES, Unit::Count, "Attempts to ingest a file that failed.");
}
