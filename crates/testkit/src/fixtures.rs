//! Request bodies as real clients send them.

/// Chat requests: the name of each and its JSON text. The model's name in them means nothing.
pub fn chat_requests() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "python_openai_minimal",
            include_str!("../fixtures/chat/python_openai_minimal.json"),
        ),
        (
            "node_openai_stream",
            include_str!("../fixtures/chat/node_openai_stream.json"),
        ),
        (
            "tools_round_trip",
            include_str!("../fixtures/chat/tools_round_trip.json"),
        ),
        (
            "structured_output",
            include_str!("../fixtures/chat/structured_output.json"),
        ),
        ("vllm_extras", include_str!("../fixtures/chat/vllm_extras.json")),
        ("image", include_str!("../fixtures/chat/image.json")),
        (
            "coding_assistant",
            include_str!("../fixtures/chat/coding_assistant.json"),
        ),
        (
            "llama_stack_client",
            include_str!("../fixtures/chat/llama_stack_client.json"),
        ),
    ]
}

/// Completion requests: the name of each and its JSON text.
pub fn completion_requests() -> &'static [(&'static str, &'static str)] {
    &[
        ("plain", include_str!("../fixtures/completion/plain.json")),
        ("batch", include_str!("../fixtures/completion/batch.json")),
        ("token_ids", include_str!("../fixtures/completion/token_ids.json")),
    ]
}

/// Embeddings requests: the name of each and its JSON text.
pub fn embeddings_requests() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "python_openai_base64",
            include_str!("../fixtures/embeddings/python_openai_base64.json"),
        ),
        ("batch", include_str!("../fixtures/embeddings/batch.json")),
    ]
}
