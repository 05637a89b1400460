//! The shared suite, against a stub upstream and, where `OPENAI_API_KEY` and `OPENAI_BASE_URL` are set, the real service.

use std::process::ExitCode;

use puna_api::{Api, Capabilities};
use puna_testkit::conformance::{self, Live, Target};
use serde_json::json;

fn main() -> ExitCode {
    let target = Target::remote(
        puna_provider_openai::PROVIDER,
        |endpoint| json!({ "base_url": endpoint.base_url, "api_key": endpoint.api_key }),
    )
    .capabilities(Capabilities::all())
    .host(|host| host.apis([Api::Inference]))
    .live(
        Live::at("OPENAI_BASE_URL")
            .api_key("OPENAI_API_KEY")
            .chat_model("OPENAI_CHAT_MODEL")
            .embedding_model("OPENAI_EMBEDDING_MODEL"),
    );
    conformance::main(target)
}
