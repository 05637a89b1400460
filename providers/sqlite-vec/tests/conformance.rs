//! The conformance suite.

use std::process::ExitCode;

use puna_api::{Metric, SearchMode, VectorCapabilities};
use puna_testkit::conformance::vector_io::{self, Target};
use serde_json::json;

fn main() -> ExitCode {
    let capabilities = VectorCapabilities {
        modes: SearchMode::ALL,
        metrics: Metric::ALL,
    };
    vector_io::main(Target::inline(
        puna_provider_sqlite_vec::PROVIDER,
        json!({}),
        capabilities,
    ))
}
