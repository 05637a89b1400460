//! The provider, built for one test.

use std::sync::Arc;

use puna_api::{
    ChunkingStrategy, FileProcessors, FileSource, ProcessFile, ProcessedFile, Result, Services, StaticChunking,
};
use puna_testkit::conformance::file_processors::refusing_inference;
use puna_testkit::{TestHost, context};
use puna_worker::Program;
use serde_json::Value;

pub(crate) struct Reader {
    file_processors: Arc<dyn FileProcessors>,
    _host: TestHost,
}

impl Reader {
    pub(crate) async fn new(program: Program, config: Value) -> Self {
        let needs = Services::default().with_inference(refusing_inference());
        let host = TestHost::with(|host| host.resource(Arc::new(program)).needs(needs)).unwrap();
        let provider = puna_provider_documents::PROVIDER;
        let config = provider.check(config).unwrap();
        let services = provider.build(config, host.host()).await.unwrap();
        Self {
            file_processors: services.file_processors.unwrap(),
            _host: host,
        }
    }

    pub(crate) async fn process(&self, request: ProcessFile) -> Result<ProcessedFile> {
        self.file_processors.process_file(&context(), request).await
    }

    pub(crate) async fn read(&self, bytes: Vec<u8>) -> Result<ProcessedFile> {
        self.process(ProcessFile::new(FileSource::Bytes(bytes.into()))).await
    }

    pub(crate) async fn chunks(&self, bytes: Vec<u8>, most: u32, overlap: u32) -> Result<ProcessedFile> {
        let bounds = StaticChunking {
            max_chunk_size_tokens: most,
            chunk_overlap_tokens: overlap,
        };
        self.process(ProcessFile {
            chunking: Some(ChunkingStrategy::Static { bounds }),
            ..ProcessFile::new(FileSource::Bytes(bytes.into()))
        })
        .await
    }
}
