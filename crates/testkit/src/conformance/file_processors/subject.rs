//! The provider under test, and ways to ask it.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use puna_api::{
    ChunkingStrategy, ContextualChunking, FileChunk, FileProcessors, FileSource, ProcessFile, ProcessedFile,
    ProviderSpec, Result, Services, StaticChunking,
};
use puna_worker::Program;

use super::writer::Writer;
use super::{Sample, Target};
use crate::conformance::outcome::{Failure, Verdict};
use crate::host::{TestHost, context};

/// What a trial does.
pub(super) type Act = fn(Subject) -> BoxFuture<'static, Verdict>;

/// Names async functions, as trials of a group.
macro_rules! trials {
    ($group:literal, $($function:ident),* $(,)?) => {
        vec![$($crate::conformance::file_processors::subject::trial(
            concat!($group, "::", stringify!($function)),
            |subject| Box::pin($function(subject)),
        )),*]
    };
}

pub(super) use trials;

/// A trial with its name.
pub(super) fn trial(name: &'static str, act: Act) -> (&'static str, Act) {
    (name, act)
}

/// A provider that was built for one trial.
pub(super) struct Subject {
    pub(super) provider: ProviderSpec,
    pub(super) writer: Arc<Writer>,
    sample: Option<Sample>,
    file_processors: Arc<dyn FileProcessors>,
    _host: TestHost,
}

impl Subject {
    pub(super) async fn build(target: &Target, program: Program, sample: Option<Sample>) -> Result<Self, Failure> {
        let writer = Arc::new(Writer::default());
        let needs = Services::default().with_inference(Arc::clone(&writer) as _);
        let extend = Arc::clone(&target.extend_host);
        let host = TestHost::with(|builder| extend(builder.resource(Arc::new(program)).needs(needs)))?;
        let config = target
            .provider
            .check(target.config.clone())
            .map_err(|problem| format!("the target's configuration is refused: {problem:?}"))?;
        let services = target.provider.build(config, host.host()).await?;
        Ok(Self {
            provider: target.provider,
            writer,
            sample,
            file_processors: services
                .file_processors
                .ok_or("the provider lists file processors and serves none")?,
            _host: host,
        })
    }

    /// The file that the trial is about.
    pub(super) fn sample(&self) -> Result<&Sample, Failure> {
        self.sample.as_ref().ok_or_else(|| "the trial has no sample".into())
    }

    pub(super) async fn process(&self, request: ProcessFile) -> Result<ProcessedFile> {
        self.file_processors.process_file(&context(), request).await
    }

    /// Reads bytes without hints, whole.
    pub(super) async fn read(&self, bytes: impl Into<Bytes>) -> Result<ProcessedFile> {
        self.process(file(bytes)).await
    }

    /// Reads bytes in chunks.
    pub(super) async fn chunks(&self, bytes: impl Into<Bytes>, bounds: StaticChunking) -> Result<Vec<FileChunk>> {
        let chunking = Some(ChunkingStrategy::Static { bounds });
        let request = ProcessFile {
            chunking,
            ..file(bytes)
        };
        Ok(self.process(request).await?.chunks)
    }

    /// Reads bytes in chunks with context.
    pub(super) async fn in_context(
        &self,
        bytes: impl Into<Bytes>,
        contextual: ContextualChunking,
    ) -> Result<Vec<FileChunk>> {
        let chunking = Some(ChunkingStrategy::Contextual { contextual });
        let request = ProcessFile {
            chunking,
            ..file(bytes)
        };
        Ok(self.process(request).await?.chunks)
    }
}

/// A request to read bytes without hints, whole.
pub(super) fn file(bytes: impl Into<Bytes>) -> ProcessFile {
    ProcessFile::new(FileSource::Bytes(bytes.into()))
}

/// The text of a file that was left whole.
pub(super) fn whole_text(processed: &ProcessedFile) -> Result<&str, Failure> {
    match processed.chunks.as_slice() {
        [whole] => Ok(&whole.text),
        chunks => Err(format!("a file without a strategy has {} chunks; expected 1", chunks.len()).into()),
    }
}

/// A text with headings, paragraphs of several sentences, and words that are told apart, of about 20 tokens a sentence.
pub(super) fn long_text() -> String {
    let mut text = String::new();
    for chapter in 1..=6 {
        text.push_str(&format!("# Chapter {chapter}\n\n"));
        for paragraph in 1..=6 {
            for sentence in 1..=5 {
                text.push_str(&format!(
                    "Llama {chapter}.{paragraph}.{sentence} walked over the high grassland, à la recherche d'eau 🦙, and rested. "
                ));
            }
            text.push_str("\n\n");
        }
    }
    text
}
