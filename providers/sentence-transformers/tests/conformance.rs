//! The shared suite, against the demo models.

use std::process::ExitCode;

use puna_api::{Capabilities, Capability};
use puna_testkit::conformance::{self, Target};
use serde_json::json;

fn main() -> ExitCode {
    let capabilities = Capabilities::of(&[Capability::Embeddings, Capability::EmbeddingDimensions]);
    let target = Target::inline(puna_provider_sentence_transformers::PROVIDER, json!({}))
        .capabilities(capabilities)
        .embedding_model(puna_provider_sentence_transformers::DEMO_EMBEDDING_MODEL)
        .rerank_model(puna_provider_sentence_transformers::DEMO_RERANK_MODEL)
        // The demo models go by the words that texts share.
        .echoes();
    conformance::main(target)
}
