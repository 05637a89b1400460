//! The shared suite, against a stub upstream and, where `LLAMA_CPP_SERVER_URL` is set, a real server.

use std::process::ExitCode;

use puna_api::{Capabilities, Capability};
use puna_testkit::StubUpstream;
use puna_testkit::conformance::{self, Live, Target};
use serde_json::json;

fn main() -> ExitCode {
    let target = Target::remote(
        puna_provider_llama_cpp_server::PROVIDER,
        |endpoint| json!({ "base_url": endpoint.base_url, "api_key": endpoint.api_key }),
    )
    .capabilities(Capabilities::of(&[
        Capability::Chat,
        Capability::Completion,
        Capability::Embeddings,
        Capability::Tools,
        Capability::ForcedToolChoice,
        Capability::StructuredOutput,
        Capability::Logprobs,
        Capability::Seed,
        Capability::MultipleChoices,
        Capability::Stop,
        Capability::ImageInput,
    ]))
    .rerank_model(StubUpstream::RERANK_MODEL)
    .live(
        Live::at("LLAMA_CPP_SERVER_URL")
            .api_key("LLAMA_CPP_SERVER_API_KEY")
            .chat_model("LLAMA_CPP_SERVER_CHAT_MODEL")
            .embedding_model("LLAMA_CPP_SERVER_EMBEDDING_MODEL"),
    );
    conformance::main(target)
}
