//! The provider: has each file read by a worker, and contexts written by a model.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use puna_api::{
    Api, BoxStream, ChunkingStrategy, ContextualChunking, Error, FileProcessors, FileSource, Host, Inference,
    ProcessFile, ProcessedFile, Provider, RequestContext, Result, Services, Worker,
};
use puna_worker::{Input, Job, Program};
use tokio::sync::Semaphore;

use crate::chunk::Bounds;
use crate::config::{DocumentsConfig, bounds};
use crate::context::{DEFAULT_PROMPT, Writing, write};
use crate::detect::ending_of;
use crate::error::{of_worker, too_large};
use crate::meters::Meters;
use crate::task::{Answer, Task, Took, work};

/// How long a media type may be that means anything.
const LONGEST_MEDIA_TYPE: usize = 128;

/// Reads documents in worker processes.
pub struct Documents {
    config: DocumentsConfig,
    workers: Arc<Program>,
    turns: Semaphore,
    inference: Arc<dyn Inference>,
    meters: Meters,
}

impl Provider for Documents {
    const TYPE: &'static str = "inline::auto";
    const ALIASES: &'static [&'static str] = &["inline::pypdf", "inline::markitdown", "inline::docling"];
    const SUMMARY: &'static str =
        "Reads PDF, office documents, HTML, Markdown and other text, and cuts them into chunks.";
    const APIS: &'static [Api] = &[Api::FileProcessors];
    const NEEDS: &'static [Api] = &[Api::Inference];
    const WORKER: Option<Worker> = Some(work);
    type Config = DocumentsConfig;

    fn sample() -> DocumentsConfig {
        DocumentsConfig::default()
    }

    fn validate(config: &DocumentsConfig) -> Result<()> {
        config.validate()
    }

    async fn build(config: DocumentsConfig, host: Host) -> Result<Services> {
        let workers = host.resource::<Program>().ok_or_else(|| {
            Error::configuration("this program cannot start worker processes: its main does not ask for its role first")
        })?;
        let turns = match config.max_workers {
            Some(most) => most.get() as usize,
            None => available_parallelism().map_or(1, usize::from),
        };
        Ok(Services::default().with_file_processors(Arc::new(Self {
            config,
            workers,
            turns: Semaphore::new(turns),
            inference: host.inference()?,
            meters: Meters::new(),
        })))
    }
}

#[async_trait]
impl FileProcessors for Documents {
    async fn process_file(&self, context: &RequestContext, request: ProcessFile) -> Result<ProcessedFile> {
        if let Some(option) = request.options.keys().next() {
            let param = format!("options.{option}");
            return Err(
                Error::invalid_request(format!("`{param}` is unknown; there are no options here")).with_param(param),
            );
        }
        let (bounds, writing) = self.plan(request.chunking)?;
        let task = Task {
            ending: request.name.as_deref().and_then(ending_of),
            media_type: request.media_type.filter(|said| said.len() <= LONGEST_MEDIA_TYPE),
            bounds,
            text_of_at_most: writing
                .as_ref()
                .map(|_| self.config.contextual.max_document_tokens.get()),
            extract_metadata: self.config.extract_metadata,
            clean_text: self.config.clean_text,
        };
        let Answer {
            mut processed, text, ..
        } = self.read(context, &task, request.content).await?;
        if let Some(writing) = writing {
            let document = text.unwrap_or_default();
            processed.chunks = write(&self.inference, context, &writing, &document, processed.chunks).await?;
        }
        Ok(processed)
    }
}

impl Documents {
    /// How to cut the text, and who writes contexts.
    fn plan(&self, chunking: Option<ChunkingStrategy>) -> Result<(Option<Bounds>, Option<Writing>)> {
        let Some(strategy) = chunking else {
            return Ok((None, None));
        };
        strategy.validate("chunking_strategy")?;
        Ok(match strategy {
            ChunkingStrategy::Auto {} => (Some(self.config.auto()), None),
            ChunkingStrategy::Static { bounds: of } => {
                (Some(bounds(of.max_chunk_size_tokens, of.chunk_overlap_tokens)), None)
            }
            ChunkingStrategy::Contextual { contextual: of } => (
                Some(bounds(of.max_chunk_size_tokens, of.chunk_overlap_tokens)),
                Some(self.writing(of)?),
            ),
        })
    }

    fn writing(&self, asked: ContextualChunking) -> Result<Writing> {
        let config = &self.config.contextual;
        let model = asked.model_id.or_else(|| config.model.clone()).ok_or_else(|| {
            let param = "chunking_strategy.contextual.model_id";
            Error::invalid_request(format!(
                "`{param}` is missing, and no model is configured to stand in for it"
            ))
            .with_param(param)
        })?;
        let prompt = asked.context_prompt.or_else(|| config.prompt.clone());
        let timeout = asked.timeout_seconds.unwrap_or(config.timeout_seconds.get().into());
        let concurrency = asked.max_concurrency.unwrap_or(config.max_concurrency.get());
        Ok(Writing {
            model,
            prompt: prompt.unwrap_or_else(|| DEFAULT_PROMPT.to_owned()),
            timeout: Duration::from_secs(timeout),
            concurrency: concurrency as usize,
        })
    }

    async fn read(&self, context: &RequestContext, task: &Task, content: FileSource) -> Result<Answer> {
        let input = self.input(content)?;
        let task = serde_json::to_string(task)
            .map_err(|error| Error::internal("a worker's task has no JSON form").with_source(error))?;
        let began = Instant::now();
        let _turn = self
            .turns
            .acquire()
            .await
            .map_err(|error| Error::internal("no worker can be waited for").with_source(error))?;
        self.meters.wait.record(began.elapsed());
        let allowed = Duration::from_secs(self.config.timeout_seconds.get().into());
        let remaining = context.remaining();
        let bounds = self
            .config
            .worker_bounds(remaining.map_or(allowed, |remaining| remaining.min(allowed)));
        let job = Job {
            provider_type: Self::TYPE,
            task,
            input,
            bounds,
        };
        let began = Instant::now();
        let answer = match self.workers.run(job).await {
            Ok(answer) => answer,
            Err(puna_worker::Failure::OutOfTime) if remaining.is_some_and(|remaining| remaining < allowed) => {
                return Err(Error::timeout(
                    "the file was not read before the request's time was over",
                ));
            }
            Err(failure) => return Err(of_worker(failure, &bounds)),
        };
        let answer = tokio::task::spawn_blocking(move || serde_json::from_slice(&answer)).await;
        let answer: Answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Error::internal("a worker's answer is none").with_source(error)),
            Err(error) => return Err(Error::internal("a worker's answer was not read").with_source(error)),
        };
        self.measure(answer.took, began.elapsed());
        Ok(answer)
    }

    /// Notes where a worker's time went.
    fn measure(&self, took: Took, all: Duration) {
        self.meters.parse.record(took.parse);
        self.meters.chunk.record(took.chunk);
        let rest = all.saturating_sub(took.parse).saturating_sub(took.chunk);
        self.meters.hand_over.record(rest);
    }

    /// What a worker reads, if it is not too much.
    fn input(&self, content: FileSource) -> Result<Input> {
        let most = self.config.max_file_bytes.get();
        match content {
            FileSource::File(file) => {
                let metadata = file
                    .metadata()
                    .map_err(|error| Error::internal("the length of a file is not to be had").with_source(error))?;
                if metadata.len() > most {
                    return Err(too_large(most));
                }
                Ok(Input::File(file))
            }
            FileSource::Bytes(bytes) if bytes.len() as u64 > most => Err(too_large(most)),
            FileSource::Bytes(bytes) => Ok(Input::Bytes(bytes)),
            FileSource::Stream(stream) => Ok(Input::Stream(bounded(stream, most))),
        }
    }
}

/// A stream that fails as soon as it has brought too much.
fn bounded(stream: BoxStream<Result<Bytes>>, most: u64) -> BoxStream<Result<Bytes>> {
    let mut total = 0;
    let checked = stream.map(move |bytes| {
        let bytes = bytes?;
        total += bytes.len() as u64;
        if total > most { Err(too_large(most)) } else { Ok(bytes) }
    });
    checked.boxed()
}
