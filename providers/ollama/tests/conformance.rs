//! The shared suite, against a stub upstream and, where `OLLAMA_URL` is set, a real server.

use std::process::ExitCode;

use puna_api::{Capabilities, Capability};
use puna_testkit::conformance::{self, Live, Target};
use serde_json::json;

fn main() -> ExitCode {
    let target = Target::remote(
        puna_provider_ollama::PROVIDER,
        |endpoint| json!({ "base_url": endpoint.base_url, "api_key": endpoint.api_key }),
    )
    .capabilities(Capabilities::of(&[
        Capability::Chat,
        Capability::Completion,
        Capability::Embeddings,
        Capability::EmbeddingDimensions,
        Capability::Tools,
        Capability::StructuredOutput,
        Capability::Logprobs,
        Capability::Seed,
        Capability::Stop,
        Capability::ImageInput,
    ]))
    .live(
        Live::at("OLLAMA_URL")
            .api_key("OLLAMA_API_KEY")
            .chat_model("OLLAMA_CHAT_MODEL")
            .embedding_model("OLLAMA_EMBEDDING_MODEL"),
    );
    conformance::main(target)
}
