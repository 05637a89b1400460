//! Inference: chat completions, completions and embeddings, in the shapes of the OpenAI API.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{BoxStream, Json, Model, RequestContext, Result};

mod capabilities;
mod chat_assembly;
mod chat_chunk;
mod chat_message;
mod chat_options;
mod chat_request;
mod chat_response;
mod chat_tool;
mod completion;
mod embeddings;
mod message_content;
mod model_object;
mod open_enum;
mod response_format;
#[cfg(test)]
mod round_trip;
mod string_or;
mod text_input;
mod tool_call;
mod unknown_fields;
mod usage;

pub use capabilities::{Capabilities, Capability};
pub use chat_assembly::ChatAssembly;
pub use chat_chunk::{ChatCompletionChunk, ChatCompletionChunkChoice, ChatCompletionDelta};
pub use chat_message::{
    AssistantMessage, AudioReference, ChatMessage, FunctionMessage, OtherMessage, SystemMessage, ToolMessage,
    UserMessage,
};
pub use chat_options::{
    AudioFormat, AudioOptions, CustomVoice, Modality, Prediction, PredictionKind, PromptCacheRetention,
    ReasoningEffort, ServiceTier, StopSequences, StreamOptions, UserLocationKind, Verbosity, Voice,
    WebSearchContextSize, WebSearchLocation, WebSearchOptions, WebSearchUserLocation,
};
pub use chat_request::ChatCompletionRequest;
pub use chat_response::{
    Annotation, AnnotationKind, AudioOutput, ChatCompletion, ChatCompletionChoice, ChatCompletionMessage, ChatLogprobs,
    FinishReason, MessageRole, TokenLogprob, TopLogprob, UrlCitation,
};
pub use chat_tool::{
    AllowedTools, AllowedToolsChoice, ChatTool, CustomChoice, CustomTool, CustomToolDefinition, CustomToolFormat,
    CustomToolFormatKind, CustomToolGrammar, FunctionCallChoice, FunctionChoice, FunctionDefinition, FunctionTool,
    GrammarSyntax, NamedToolChoice, OtherTool, ToolChoice, ToolChoiceMode, ToolName,
};
pub use completion::{Completion, CompletionChoice, CompletionLogprobs, CompletionRequest};
pub use embeddings::{
    Embedding, EmbeddingVector, EmbeddingsRequest, EmbeddingsResponse, EmbeddingsUsage, EncodingFormat,
};
pub use message_content::{
    AudioPart, ContentPart, FilePart, ImageDetail, ImagePart, ImageUrl, InputAudio, InputAudioFormat, InputFile,
    MessageContent, OtherPart, RefusalPart, TextPart,
};
pub use model_object::{ModelList, ModelObject};
pub use response_format::{
    JsonSchemaFormat, JsonSchemaResponseFormat, OtherResponseFormat, PlainResponseFormat, ResponseFormat,
};
pub use text_input::TextInput;
pub use tool_call::{
    CustomCall, CustomCallDelta, CustomToolCall, FunctionCall, FunctionCallDelta, FunctionToolCall, OtherToolCall,
    ToolCall, ToolCallDelta,
};
pub use usage::{CompletionTokensDetails, CompletionUsage, PromptTokensDetails};

/// Runs models.
///
/// A request names the model that the router chose; its body is what the client sent, as bytes, and is decoded only by those who look.
///
/// # Behavior
/// - The answer's `model` is the id that the client used ([`InferenceRequest::requested_model`]), in streams too.
/// - The texts of a stream joined are a whole answer; one chunk of each choice carries its `finish_reason`.
/// - A stream ends with a usage chunk (empty `choices`) if and only if `stream_options.include_usage` asks for it.
/// - Dropping a future or a stream cancels the work behind it, and disturbs no other request.
/// - A stream that nobody reads holds back no other request.
/// - A field that would change the result and cannot be honoured is an unsupported request that names it.
/// - What is wrong in a request is an invalid request that names the field.
#[async_trait]
pub trait Inference: Send + Sync {
    /// What this provider can do; the rest it answers with a clear error.
    fn capabilities(&self) -> Capabilities;

    /// Answers a conversation.
    async fn chat_completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<Json<ChatCompletion>>;

    /// Answers a conversation piece by piece. Fails before the first chunk where it can; later faults end the stream with an error.
    async fn chat_completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<ChatCompletionRequest>,
    ) -> Result<BoxStream<Result<Json<ChatCompletionChunk>>>>;

    /// Continues a text.
    async fn completion(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<Json<Completion>>;

    /// Continues a text piece by piece.
    async fn completion_stream(
        &self,
        context: &RequestContext,
        request: InferenceRequest<CompletionRequest>,
    ) -> Result<BoxStream<Result<Json<Completion>>>>;

    /// Turns texts into vectors, in the order of the input.
    async fn embeddings(
        &self,
        context: &RequestContext,
        request: InferenceRequest<EmbeddingsRequest>,
    ) -> Result<Json<EmbeddingsResponse>>;
}

/// A request with the model that it was routed to.
#[derive(Debug, Clone)]
pub struct InferenceRequest<T> {
    /// The model to use.
    pub model: Arc<Model>,
    /// The model id that the client used, which the answer must show.
    pub requested_model: Arc<str>,
    /// What the client sent.
    pub body: Json<T>,
}
