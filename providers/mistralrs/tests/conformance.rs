//! The shared suite, against the demo model, a small embedding model and a small one that looks at images.

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
        Capability::ImageInput,
    ]);
    let folder = |name: &str| Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Without them, the trials of embeddings and images say what is missing.
    drop(puna_tiny_model::write_qwen3_embedding(&folder("qwen3-embedding")));
    drop(puna_tiny_model::write_gemma3(&folder("gemma3")));
    // For what is compared with a reference.
    drop(puna_tiny_model::write_qwen3_vl(&folder("qwen3-vl")));
    let embedding = json!({"path": folder("qwen3-embedding"), "id": "embedding", "load": "first_use"});
    let vision = json!({"path": folder("gemma3"), "id": "vision", "load": "first_use"});
    let target = Target::inline(PROVIDER, json!({"models": [{"path": DEMO_MODEL}, embedding, vision]}))
        .capabilities(capabilities)
        .chat_model(DEMO_MODEL)
        .vision_model("vision")
        .embedding_model("embedding");
    conformance::main(target)
}
