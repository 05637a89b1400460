//! The shared suite, against a stub upstream and, where `VLLM_URL` is set, a real server.

use std::process::ExitCode;

use puna_api::Capabilities;
use puna_testkit::StubUpstream;
use puna_testkit::conformance::{self, Live, Target};
use serde_json::json;

fn main() -> ExitCode {
    let target = Target::remote(
        puna_provider_vllm::PROVIDER,
        |endpoint| json!({ "base_url": endpoint.base_url, "api_token": endpoint.api_key }),
    )
    .capabilities(Capabilities::all())
    .rerank_model(StubUpstream::RERANK_MODEL)
    .live(
        Live::at("VLLM_URL")
            .api_key("VLLM_API_TOKEN")
            .chat_model("VLLM_CHAT_MODEL")
            .embedding_model("VLLM_EMBEDDING_MODEL")
            .rerank_model("VLLM_RERANK_MODEL"),
    );
    conformance::main(target)
}
