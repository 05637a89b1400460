//! The shared suite, against the demo model.

use std::process::ExitCode;

use puna_api::{Capabilities, Capability};
use puna_testkit::conformance::{self, Target};
use serde_json::json;

fn main() -> ExitCode {
    let capabilities = Capabilities::of(&[
        Capability::Chat,
        Capability::Completion,
        Capability::Tools,
        Capability::ForcedToolChoice,
        Capability::StructuredOutput,
        Capability::Logprobs,
        Capability::Seed,
        Capability::MultipleChoices,
        Capability::Stop,
    ]);
    let target = Target::inline(puna_provider_mistralrs::PROVIDER, json!({}))
        .capabilities(capabilities)
        .chat_model(puna_provider_mistralrs::DEMO_MODEL);
    conformance::main(target)
}
