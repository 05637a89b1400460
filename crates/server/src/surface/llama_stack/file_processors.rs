//! `/v1alpha/file-processors/process`.

use std::time::Instant;

use puna_api::{Api, DocumentMetadata, Error, FileSource, Json, ProcessFile, ProcessedFile};
use schemars::JsonSchema;
use serde::Serialize;

use crate::call::{Call, Reply};
use crate::error::Result;
use crate::form::Form;
use crate::routes::{Answer, RequestBody, Route, Verb, schema_of};
use crate::surface::openai::error_body;

mod chunk;
mod form;

use chunk::{Chunk, Source};
use form::{Origin, ProcessFileRequest};

pub(super) const PROCESS: Route = Route {
    verb: Verb::Post,
    path: "/v1alpha/file-processors/process",
    operation_id: "processFile",
    tag: "File Processors",
    summary: "Read a file and cut it into chunks",
    description: "The file comes with the request or is one of `/v1/files`. What it is follows from what is in it. Without a strategy its text is \
                  one chunk.",
    public: false,
    api: Some(Api::FileProcessors),
    parameters: &[],
    request: Some(RequestBody::form(schema_of::<ProcessFileRequest>)),
    answers: &[Answer::json(schema_of::<ProcessFileResponse>)],
    serve: |call| Box::pin(process(call)),
    error_body,
};

/// A file that was read. (OGX)
#[derive(Debug, Serialize, JsonSchema)]
struct ProcessFileResponse {
    /// Its chunks, at least one.
    chunks: Vec<Chunk>,
    /// What is known of the whole.
    metadata: ProcessingMetadata,
}

/// What is known of a file that was read.
#[derive(Debug, Serialize, JsonSchema)]
struct ProcessingMetadata {
    /// The type of the provider that read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    processor: Option<String>,
    /// How long that took, in milliseconds.
    processing_time_ms: u64,
    /// What it turned out to be, such as `application/pdf`.
    media_type: String,
    /// Its title, where it tells one.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// Who wrote it, where it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<String>,
    /// How many pages, slides or sheets it has, where it has such.
    #[serde(skip_serializing_if = "Option::is_none")]
    page_count: Option<u32>,
    /// How many characters its text has.
    characters: u64,
}

async fn process(call: &mut Call) -> Result<Reply> {
    // Before the file is sent.
    call.stack.file_processors()?;
    let form = Form::of(call).await?;
    let upload = form.transfer();
    let read = form::read(&call.stack, form).await;
    call.note_bytes_in(upload.read());
    let request = match read {
        Ok(request) => request,
        Err(error) => return Err(upload.failed(error).await),
    };

    let started = Instant::now();
    let (source, content, media_type) = match request.origin {
        Origin::Sent(sent) => (
            Source::sent(sent.filename),
            FileSource::File(sent.content),
            sent.media_type,
        ),
        Origin::Kept(id) => {
            let found = call.stack.files()?.content(&call.context, &id, None).await?;
            (
                Source::kept(id, found.file.filename),
                FileSource::Stream(found.content),
                None,
            )
        }
    };
    let processing = ProcessFile {
        content,
        name: Some(source.filename.clone()),
        media_type,
        chunking: request.chunking_strategy,
        options: request.options.unwrap_or_default(),
    };
    let file_processors = call.stack.file_processors()?;
    let processed = file_processors.process_file(&call.context, processing).await;
    let ProcessedFile { document, chunks } = processed.map_err(|error| source.named_in(error))?;
    let metadata = ProcessingMetadata::new(call, document, started);
    Reply::json(&Json::new(ProcessFileResponse {
        chunks: chunks
            .into_iter()
            .map(|chunk| Chunk::new(&source, &metadata, chunk))
            .collect(),
        metadata,
    }))
}

impl ProcessingMetadata {
    fn new(call: &Call, document: DocumentMetadata, started: Instant) -> Self {
        let mut entries = call.stack.providers().iter();
        let processor = entries.find(|entry| entry.api == Api::FileProcessors);
        Self {
            processor: processor.map(|entry| entry.provider_type.clone()),
            processing_time_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            media_type: document.media_type,
            title: document.title,
            author: document.author,
            page_count: document.page_count,
            characters: document.characters,
        }
    }
}

impl Source {
    /// An error that names the file, as one that names what the client sent.
    fn named_in(&self, error: Error) -> Error {
        if self.is_kept && error.param() == Some("file") {
            return error.with_param("file_id");
        }
        error
    }
}
