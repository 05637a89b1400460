//! The shared conformance suite, over the Qdrant server that `QDRANT_URL` names: each index in a collection of its own, and in one that indexes share.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;
use std::time::Duration;

use puna_api::{Host, Metric, SearchMode, VectorCapabilities};
use puna_testkit::conformance::vector_io::{self, Target};
use serde_json::{Value, json};

fn main() -> ExitCode {
    vector_io::main_of([target("qdrant", false), target("qdrant-shared", true)])
}

fn target(place: &'static str, share_collections: bool) -> Target {
    let capabilities = VectorCapabilities {
        modes: SearchMode::ALL,
        metrics: Metric::ALL,
    };
    let setting = |name: &str| puna_testkit::live_setting(name);
    let (url, grpc_port, api_key) = (
        setting("QDRANT_URL"),
        setting("QDRANT_GRPC_PORT"),
        setting("QDRANT_API_KEY"),
    );
    let is_there = url.is_some();
    let config = move |host: &Host| {
        json!({
            "url": url.as_deref().unwrap_or("http://localhost"),
            "grpc_port": grpc_port.as_deref().and_then(|port| port.parse::<u16>().ok()),
            "api_key": api_key,
            "collection_prefix": prefix(host),
            "share_collections": share_collections,
        })
    };
    let target = Target::remote(place, puna_provider_qdrant::PROVIDER, config, capabilities)
        // Some trials search some hundred times, each a few times there and back.
        .patience(Duration::from_secs(300));
    match is_there {
        true => target,
        false => target.absent("`QDRANT_URL` names no server"),
    }
}

/// Collections of the trial's own.
fn prefix(host: &Host) -> Value {
    let mut hasher = DefaultHasher::new();
    host.data_dir().ok().hash(&mut hasher);
    format!("t_{:x}_", hasher.finish()).into()
}
