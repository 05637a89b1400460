//! The shared suite, against a stub upstream and, where `LLAMA_CPP_SERVER_URL` is set, a real server.

use std::process::ExitCode;

use puna_api::{Capabilities, Capability};
use puna_testkit::StubUpstream;
use puna_testkit::conformance::{self, Live, Target};
use serde_json::json;

/// Seen of llama.cpp's server with a small model without a projector, in 2026.
const DEVIATIONS: &[(&str, &str)] = &[
    (
        "chat::n_gives_that_many_choices",
        "it gives as many choices as it has slots, and was started with two",
    ),
    ("chat::takes_an_image", "a model without a projector sees no images"),
    (
        "completion::echo_is_honoured_or_refused_by_name",
        "it leaves `echo` without effect",
    ),
    (
        "completion::logprobs_tell_each_token",
        "the log probabilities of a completion have the shape of those of a chat",
    ),
    (
        "completion::stream_of_several_prompts_is_told_apart",
        "a streamed completion of several prompts holds events that are `null`",
    ),
    (
        "completion::stream_usage_comes_last_when_asked_for",
        "the usage of a streamed completion comes with its last choice",
    ),
    (
        "completion::stream_usage_is_absent_unless_asked_for",
        "a streamed completion always tells its usage",
    ),
    (
        "models::an_unknown_model_is_not_found",
        "it has one model and answers for any name",
    ),
    (
        "models::an_unknown_model_is_not_found_before_a_stream",
        "it has one model and answers for any name",
    ),
    (
        "rejections::empty_messages_are_named",
        "it answers a conversation without messages",
    ),
    (
        "tools::a_named_tool_is_called",
        "it forces calls of models alone whose template it recognises",
    ),
    (
        "tools::a_streamed_forced_call_joins_to_the_whole",
        "it forces calls of models alone whose template it recognises",
    ),
    (
        "tools::required_forces_a_call",
        "it forces calls of models alone whose template it recognises",
    ),
];

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
            .embedding_model("LLAMA_CPP_SERVER_EMBEDDING_MODEL")
            .deviations(DEVIATIONS),
    );
    conformance::main(target)
}
