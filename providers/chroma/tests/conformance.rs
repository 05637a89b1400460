//! The shared conformance suite, over the Chroma server that `CHROMA_URL` names; `cargo xtask test` starts one.

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
    let [url, token] = ["CHROMA_URL", "CHROMA_API_TOKEN"].map(puna_testkit::live_setting);
    let is_there = url.is_some();
    let config = move |host: &Host| {
        json!({
            "url": url.as_deref().unwrap_or("http://localhost:8000"),
            "api_token": token,
            "collection_prefix": prefix(host),
        })
    };
    let target = Target::remote("chroma", puna_provider_chroma::PROVIDER, config, capabilities)
        // Some trials search some hundred times, each a few times there and back.
        .patience(Duration::from_secs(300));
    vector_io::main(match is_there {
        true => target,
        false => target.absent("`CHROMA_URL` names no server"),
    })
}

/// Collections of the trial's own.
fn prefix(host: &Host) -> Value {
    let mut hasher = DefaultHasher::new();
    host.data_dir().ok().hash(&mut hasher);
    format!("t_{:x}_", hasher.finish()).into()
}
