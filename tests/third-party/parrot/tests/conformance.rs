//! The conformance suite, against this provider.

use std::process::ExitCode;

use puna_api::{Capabilities, Capability};
use puna_provider_parrot::PROVIDER;
use puna_testkit::conformance::{self, Target};
use serde_json::json;

fn main() -> ExitCode {
    conformance::main(
        Target::inline(PROVIDER, json!({ "models": ["parrot"] }))
            .capabilities(Capabilities::of(&[Capability::Chat]))
            .chat_model("parrot")
            .without_health()
            .echoes(),
    )
}
