#![doc = include_str!("../README.md")]

mod context;
mod device;
mod error;
mod file_processors;
mod files;
mod host;
mod inference;
mod json;
mod models;
mod provider;
mod rerank;
pub mod scan;
mod secret;
mod services;
mod vector_io;

pub use context::{Principal, ProviderData, RequestContext, RequestContextBuilder};
pub use device::Device;
pub use error::{Error, ErrorKind, Result};
pub use file_processors::{
    ChunkingStrategy, ContextualChunking, DocumentMetadata, FileChunk, FileProcessors, FileSource, ProcessFile,
    ProcessedFile, StaticChunking,
};
pub use files::{
    ByteRange, ExpiresAfter, ExpiryAnchor, File, FileContent, FileDetails, FileList, FileObject, FilePurpose,
    FileQuery, FileStatus, FileUpload, Files, SortOrder,
};
pub use host::{Host, HostBuilder, Tasks};
pub use inference::*;
pub use json::{Json, JsonError};
pub use models::{Health, HealthStatus, Model, ModelType, Models, ProviderModel};
pub use provider::{Api, CheckedConfig, ConfigProblem, Provider, ProviderSpec, Worker, linked_by_inventory};
pub use rerank::{
    Rerank, RerankContentPart, RerankImageUrl, RerankInput, RerankRequest, RerankResponse, RerankResult, RerankTask,
};
pub use secret::Secret;
pub use services::Services;
pub use vector_io::{
    AttributeValue, Attributes, Chunk, ChunkPage, ChunkQuery, ChunkSelection, DeleteChunks, Filter, Fusion, ListChunks,
    Metric, ScoredChunk, SearchChunks, SearchMode, UpsertChunks, VectorCapabilities, VectorIndex, VectorIo,
    distinct_words, spaced_words,
};

/// A stream that can be sent to another thread and owns all it needs; dropping it cancels the work behind it.
pub type BoxStream<T> = futures::stream::BoxStream<'static, T>;

/// What [`register_provider!`] expands to. Not a stable interface.
#[doc(hidden)]
pub mod private {
    pub use inventory;
}
