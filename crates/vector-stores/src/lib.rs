#![doc = include_str!("../README.md")]

mod attributes;
mod batch;
mod chunk_metadata;
mod content;
mod document;
mod embedding;
mod engine;
mod file;
mod file_removal;
mod kept;
mod kept_document;
mod meters;
mod page;
mod raw;
mod search;
mod settings;
mod store;
mod surroundings;
mod tables;

pub use batch::{BatchStatus, CreateFileBatch, FileBatch, FileBatchObject};
pub use chunk_metadata::ChunkMetadata;
pub use content::{ContentPage, ContentQuery, ContentType, TextContent};
pub use document::InsertDocument;
pub use engine::VectorStores;
pub use file::{
    AttachFile, FilesQuery, LastError, LastErrorCode, ShownChunking, StoreFile, StoreFileObject, StoreFileStatus,
};
pub use file_removal::{FileRemoval, FileRemovalStatus};
pub use kept_document::KeptDocument;
pub use page::{Page, PageQuery};
pub use raw::{FoundChunk, InsertChunks, QueryChunks, RawChunk};
pub use search::{Ranker, RankingOptions, SearchHit, SearchResults, SearchStore, SearchText, Weights};
pub use settings::{ContextualDefaults, DefaultEmbeddingModel, RetrievalDefaults, Rewriting, VectorStoreSettings};
pub use store::{
    CreateStore, FileCounts, StoreExpiry, StoreExpiryAnchor, StoreStatus, UpdateStore, VectorStore, VectorStoreObject,
};
pub use surroundings::Surroundings;
