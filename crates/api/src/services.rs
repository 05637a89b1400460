//! What a provider serves.

use std::fmt;
use std::sync::Arc;

use crate::{FileProcessors, Files, Health, Inference, Models, Rerank, VectorIo};

/// The capabilities that a provider built. Set those that it has; each is one object, shared by all requests.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Services {
    /// Reading documents.
    pub file_processors: Option<Arc<dyn FileProcessors>>,
    /// Uploaded files.
    pub files: Option<Arc<dyn Files>>,
    /// Chat completions, completions and embeddings.
    pub inference: Option<Arc<dyn Inference>>,
    /// Reranking.
    pub rerank: Option<Arc<dyn Rerank>>,
    /// Vector indexes.
    pub vector_io: Option<Arc<dyn VectorIo>>,
    /// Which models it can serve.
    pub models: Option<Arc<dyn Models>>,
    /// Whether it can serve right now.
    pub health: Option<Arc<dyn Health>>,
}

impl Services {
    /// Adds the reading of documents.
    #[must_use]
    pub fn with_file_processors(mut self, file_processors: Arc<dyn FileProcessors>) -> Self {
        self.file_processors = Some(file_processors);
        self
    }

    /// Adds files.
    #[must_use]
    pub fn with_files(mut self, files: Arc<dyn Files>) -> Self {
        self.files = Some(files);
        self
    }

    /// Adds inference.
    #[must_use]
    pub fn with_inference(mut self, inference: Arc<dyn Inference>) -> Self {
        self.inference = Some(inference);
        self
    }

    /// Adds reranking.
    #[must_use]
    pub fn with_rerank(mut self, rerank: Arc<dyn Rerank>) -> Self {
        self.rerank = Some(rerank);
        self
    }

    /// Adds vector indexes.
    #[must_use]
    pub fn with_vector_io(mut self, vector_io: Arc<dyn VectorIo>) -> Self {
        self.vector_io = Some(vector_io);
        self
    }

    /// Adds the list of models.
    #[must_use]
    pub fn with_models(mut self, models: Arc<dyn Models>) -> Self {
        self.models = Some(models);
        self
    }

    /// Adds the health check.
    #[must_use]
    pub fn with_health(mut self, health: Arc<dyn Health>) -> Self {
        self.health = Some(health);
        self
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("file_processors", &self.file_processors.is_some())
            .field("files", &self.files.is_some())
            .field("inference", &self.inference.is_some())
            .field("rerank", &self.rerank.is_some())
            .field("vector_io", &self.vector_io.is_some())
            .field("models", &self.models.is_some())
            .field("health", &self.health.is_some())
            .finish()
    }
}
