//! A server over a place, with nothing but vector stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use puna_api::{
    ChatCompletion, ChatCompletionRequest, EmbeddingsRequest, EmbeddingsResponse, Error, FileDetails, FileProcessors,
    FilePurpose, FileUpload, Files, Model, ModelType, RequestContext, RerankRequest, RerankResponse, Result, Tasks,
    VectorIo,
};
use puna_files::{StoredFiles, StoredFilesSettings};
use puna_jobs::{JobQuery, JobState, Jobs, JobsSettings, Timing};
use puna_storage::{BlobStore, LocalBlobs, Storage};
use puna_testkit::context;
use puna_testkit::databases::{Place, TrialTasks};
use puna_vector_stores::{
    AttachFile, CreateStore, FileCounts, Rewriting, SearchStore, StoreFile, StoreFileStatus, Surroundings, VectorStore,
    VectorStoreSettings, VectorStores,
};
use serde_json::Map;
use tokio::sync::Semaphore;

use crate::index::Index;
use crate::model;
use crate::reader::Reader;

/// Nobody waits for what is not going to come, and no lease ends by itself.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(3600),
    look: Duration::from_millis(50),
    first_retry: Duration::from_millis(10),
    longest_retry: Duration::from_millis(40),
    cancel_grace: Duration::from_secs(5),
    keep: Duration::from_secs(3600),
};
/// How long something may take that is going to happen.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Server {
    pub(crate) stores: VectorStores,
    pub(crate) around: Arc<Around>,
    pub(crate) jobs: Jobs,
    storage: Arc<Storage>,
    tasks: Arc<TrialTasks>,
}

/// What is around the stores.
pub(crate) struct Around {
    pub(crate) files: Arc<StoredFiles>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) index: Arc<Index>,
    /// How many numbers the model's vectors have.
    pub(crate) dimension: AtomicU32,
    /// How many texts the model was given.
    pub(crate) embedded: AtomicUsize,
    /// After how many texts its vectors have another dimension.
    pub(crate) narrow_after: AtomicUsize,
    /// How often the model fails from now on, as one that is away or is not listed yet.
    pub(crate) failing: AtomicUsize,
    /// Whether the provider of indexes is in the configuration.
    pub(crate) has_index: AtomicBool,
}

impl Server {
    pub(crate) async fn start(place: &Place) -> Self {
        Self::with(place, TIMING, VectorStoreSettings::default()).await
    }

    pub(crate) async fn with(place: &Place, timing: Timing, settings: VectorStoreSettings) -> Self {
        let storage = Arc::new(place.storage());
        let blobs = place.folder().join("blobs");
        let files = StoredFiles::new(StoredFilesSettings {
            storage: Arc::clone(&storage),
            metadata: Some(place.table("files")),
            blobs: Box::new(move || {
                let blobs = blobs.clone();
                async move { Ok(Arc::new(LocalBlobs::open(blobs).await?) as Arc<dyn BlobStore>) }.boxed()
            }),
            ttl: None,
        });
        let tasks = Arc::new(TrialTasks::default());
        let background: Arc<dyn Tasks> = Arc::<TrialTasks>::clone(&tasks);
        let jobs = Jobs::new(JobsSettings {
            storage: Arc::clone(&storage),
            store: place.table("jobs"),
            tasks: Arc::clone(&background),
            timing,
        });
        let around = Arc::new(Around {
            files: Arc::new(files),
            reader: Arc::new(Reader {
                gate: Semaphore::new(0),
            }),
            index: Arc::new(Index::open(place.folder()).await),
            dimension: AtomicU32::new(model::DIMENSION),
            embedded: AtomicUsize::new(0),
            narrow_after: AtomicUsize::new(usize::MAX),
            failing: AtomicUsize::new(0),
            has_index: AtomicBool::new(true),
        });
        let settings = VectorStoreSettings {
            table: place.table("stores"),
            ..settings
        };
        let surroundings = Arc::<Around>::clone(&around);
        let stores = VectorStores::new(settings, Arc::clone(&storage), jobs.clone(), surroundings).unwrap();
        jobs.start().unwrap();
        stores.keep_swept(&background);
        Self {
            stores,
            around,
            jobs,
            storage,
            tasks,
        }
    }

    /// Ends the server in peace.
    pub(crate) async fn stop(self) {
        self.tasks.stop().await;
        self.storage.close().await;
    }

    pub(crate) async fn upload(&self, name: &str, text: &str) -> String {
        let details = FileDetails {
            filename: name.to_owned(),
            purpose: FilePurpose::Assistants,
            expires_after: None,
        };
        let content = stream::iter([Ok(text.to_owned().into())]).boxed();
        let upload = FileUpload::new(details, content);
        self.around.files.upload(&context(), upload).await.unwrap().id
    }

    pub(crate) async fn store(&self) -> VectorStore {
        self.stores.create(&context(), CreateStore::default()).await.unwrap()
    }

    /// A store with files of these names and texts, all ingested.
    pub(crate) async fn filled(&self, files: &[(&str, &str)]) -> VectorStore {
        let store = self.store().await;
        for (name, text) in files {
            let file_id = self.upload(name, text).await;
            let attached = self
                .stores
                .attach(&context(), &store.id, AttachFile::new(&file_id))
                .await;
            assert_eq!(attached.unwrap().id, file_id);
        }
        self.settled(&store.id).await
    }

    /// The store, once none of its files is being ingested.
    pub(crate) async fn settled(&self, store_id: &str) -> VectorStore {
        self.until(async || {
            let store = self.stores.get(&context(), store_id).await.unwrap();
            (store.file_counts.in_progress == 0).then_some(store)
        })
        .await
    }

    /// The file, once it is not being ingested any more.
    pub(crate) async fn done(&self, store_id: &str, file_id: &str) -> StoreFile {
        self.until(async || {
            let file = self.stores.file(&context(), store_id, file_id).await.unwrap();
            (file.status != StoreFileStatus::InProgress).then_some(file)
        })
        .await
    }

    /// Returns once there is no job that waits or runs.
    pub(crate) async fn idle(&self) {
        for kind in ["vector_store.file", "vector_store.removal", "vector_store.attributes"] {
            for state in [JobState::Queued, JobState::Running] {
                let query = JobQuery {
                    kind: kind.to_owned(),
                    state: Some(state),
                    after: None,
                    limit: 1,
                };
                self.until(async || self.jobs.list(&query).await.unwrap().is_empty().then_some(()))
                    .await;
            }
        }
    }

    pub(crate) async fn until<T>(&self, look: impl AsyncFn() -> Option<T>) -> T {
        let waiting = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap()
    }

    /// The texts that a search answers.
    pub(crate) async fn found(&self, store_id: &str, request: SearchStore) -> Vec<String> {
        let found = self.stores.search(&context(), store_id, request).await.unwrap();
        found.data.into_iter().map(|hit| hit.content[0].text.clone()).collect()
    }
}

pub(crate) fn counts(in_progress: u64, completed: u64, failed: u64, cancelled: u64) -> FileCounts {
    FileCounts::new(in_progress, completed, failed, cancelled)
}

pub(crate) fn rewriting() -> Rewriting {
    Rewriting {
        model: "writer".to_owned(),
        prompt: "Say it in better words:\n{query}".to_owned(),
        max_tokens: 100,
        temperature: 0.0,
    }
}

#[async_trait]
impl Surroundings for Around {
    fn files(&self) -> Result<Arc<dyn Files>> {
        Ok(Arc::<StoredFiles>::clone(&self.files))
    }

    fn file_processors(&self) -> Result<Arc<dyn FileProcessors>> {
        Ok(Arc::<Reader>::clone(&self.reader))
    }

    fn vector_providers(&self) -> Vec<(String, Arc<dyn VectorIo>)> {
        let index: Arc<dyn VectorIo> = Arc::<Index>::clone(&self.index);
        let is_there = self.has_index.load(Ordering::SeqCst);
        is_there.then(|| ("rows".to_owned(), index)).into_iter().collect()
    }

    async fn models(&self, context: &RequestContext) -> Vec<Arc<Model>> {
        vec![self.model(context, "words").await.unwrap()]
    }

    async fn model(&self, _context: &RequestContext, id: &str) -> Result<Arc<Model>> {
        let dimension = match id {
            "words" => Some(self.dimension.load(Ordering::SeqCst)),
            "secretive" => None,
            _ => return Err(Error::not_found(format!("there is no model `{id}`")).with_param("model")),
        };
        let metadata = dimension.map(|dimension| ("embedding_dimension".to_owned(), dimension.into()));
        Ok(Arc::new(Model {
            id: id.to_owned(),
            provider_id: "models".to_owned(),
            provider_model_id: id.to_owned(),
            model_type: ModelType::Embedding,
            metadata: Map::from_iter(metadata),
        }))
    }

    async fn embeddings(&self, _context: &RequestContext, request: EmbeddingsRequest) -> Result<EmbeddingsResponse> {
        let fails = |left: usize| left.checked_sub(1);
        match self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails) {
            Ok(left) if left % 2 == 0 => return Err(Error::not_found("there is no such model").with_param("model")),
            Ok(_) => return Err(Error::unavailable("the model is away")),
            Err(_) => {}
        }
        let before = self.embedded.fetch_add(request.input.len(), Ordering::SeqCst);
        let is_narrow = before >= self.narrow_after.load(Ordering::SeqCst);
        let dimension = self.dimension.load(Ordering::SeqCst);
        Ok(model::embeddings(
            &request,
            if is_narrow { dimension / 2 } else { dimension },
        ))
    }

    async fn chat_completion(
        &self,
        _context: &RequestContext,
        request: ChatCompletionRequest,
    ) -> Result<ChatCompletion> {
        assert_eq!(request.model, "writer");
        Ok(model::chat(&request))
    }

    async fn rerank(&self, _context: &RequestContext, request: RerankRequest) -> Result<RerankResponse> {
        assert_eq!(request.model, "judge");
        Ok(model::rerank(&request))
    }
}
