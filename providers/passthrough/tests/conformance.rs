//! The shared suite, against a stub upstream and, where `PASSTHROUGH_URL` is set, a real server.

use std::process::ExitCode;

use puna_api::Capabilities;
use puna_testkit::conformance::{self, Live, Target};
use serde_json::json;

fn main() -> ExitCode {
    let target = Target::remote(
        puna_provider_passthrough::PROVIDER,
        |endpoint| json!({ "base_url": endpoint.base_url, "api_key": endpoint.api_key }),
    )
    .capabilities(Capabilities::all())
    .live(
        Live::at("PASSTHROUGH_URL")
            .api_key("PASSTHROUGH_API_KEY")
            .chat_model("PASSTHROUGH_CHAT_MODEL")
            .embedding_model("PASSTHROUGH_EMBEDDING_MODEL"),
    );
    conformance::main(target)
}
