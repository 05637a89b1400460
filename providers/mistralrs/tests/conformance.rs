//! The shared suite, against the demo model and a small embedding model.

use std::path::Path;
use std::process::ExitCode;

use puna_api::{Capabilities, Capability};
use puna_provider_mistralrs::{DEMO_MODEL, PROVIDER};
use puna_testkit::conformance::{self, Target};
use serde_json::json;

fn main() -> ExitCode {
    let capabilities = Capabilities::of(&[
        Capability::Chat,
        Capability::Completion,
        Capability::Embeddings,
        Capability::EmbeddingDimensions,
        Capability::Tools,
        Capability::ForcedToolChoice,
        Capability::StructuredOutput,
        Capability::Logprobs,
        Capability::Seed,
        Capability::MultipleChoices,
        Capability::Stop,
    ]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("qwen3-embedding");
    // Without it, the trials of embeddings say what is missing.
    drop(puna_tiny_model::write_qwen3_embedding(&folder));
    let embedding = json!({"path": folder, "id": "embedding", "load": "first_use"});
    let target = Target::inline(PROVIDER, json!({"models": [{"path": DEMO_MODEL}, embedding]}))
        .capabilities(capabilities)
        .chat_model(DEMO_MODEL)
        .embedding_model("embedding");
    conformance::main(target)
}
