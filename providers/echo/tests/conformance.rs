//! The conformance suite.

use std::process::ExitCode;

use puna_api::{Capabilities, Capability};
use puna_testkit::conformance::{self, Target};
use serde_json::json;

fn main() -> ExitCode {
    let models = json!([
        { "model_id": "echo" },
        { "model_id": "echo-embedding", "model_type": "embedding" },
        { "model_id": "echo-rerank", "model_type": "rerank" },
    ]);
    conformance::main(
        Target::inline(puna_provider_echo::PROVIDER, json!({ "models": models }))
            .capabilities(Capabilities::of(&[
                Capability::Chat,
                Capability::Completion,
                Capability::Embeddings,
                Capability::EmbeddingDimensions,
                Capability::Tools,
                Capability::ForcedToolChoice,
                Capability::StructuredOutput,
                Capability::Seed,
                Capability::MultipleChoices,
                Capability::Stop,
            ]))
            .chat_model("echo")
            .embedding_model("echo-embedding")
            .rerank_model("echo-rerank")
            .echoes(),
    )
}
