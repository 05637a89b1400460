//! The shared conformance suite, over the PostgreSQL that `PUNA_TEST_POSTGRES` names; `cargo xtask test` starts one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;
use std::time::Duration;

use puna_api::{Host, Metric, SearchMode, VectorCapabilities};
use puna_testkit::conformance::vector_io::{self, Target};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let capabilities = VectorCapabilities {
        modes: SearchMode::ALL,
        metrics: Metric::ALL,
    };
    let url = puna_testkit::live_setting("PUNA_TEST_POSTGRES");
    let is_there = url.is_some();
    let config = move |host: &Host| config(url.as_deref().unwrap_or_default(), host);
    let target = Target::remote("postgres", puna_provider_pgvector::PROVIDER, config, capabilities)
        // Some trials search some hundred times, each a few times there and back.
        .patience(Duration::from_secs(300));
    vector_io::main(match is_there {
        true => target,
        false => target.absent("`PUNA_TEST_POSTGRES` names no server"),
    })
}

/// Tables of the trial's own.
fn config(url: &str, host: &Host) -> Value {
    let mut hasher = DefaultHasher::new();
    host.data_dir().ok().hash(&mut hasher);
    json!({ "connection_string": url, "table_name": format!("t_{:x}", hasher.finish()), "pool_max_size": 4 })
}
