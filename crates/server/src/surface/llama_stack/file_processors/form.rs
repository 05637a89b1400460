//! The form of a file to read, whose fields may come in any order.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use puna_api::{ChunkingStrategy, Error, Result};
use puna_router::Stack;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;

use crate::form::{FileField, Form, TextField, missing, sent_twice};

/// A file to read: `file` or `file_id`. (OGX)
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "describes a form, which is read field by field")]
pub(super) struct ProcessFileRequest {
    /// The file, with its name.
    #[schemars(extend("format" = "binary"))]
    file: Option<String>,
    /// The id of a file that was uploaded before.
    file_id: Option<String>,
    /// Settings of the provider's own, as JSON.
    options: Option<Map<String, Value>>,
    /// How to cut the text, as JSON. Without it, there is one chunk.
    chunking_strategy: Option<ChunkingStrategy>,
}

/// A form that was read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) origin: Origin,
    pub(super) options: Option<Map<String, Value>>,
    pub(super) chunking_strategy: Option<ChunkingStrategy>,
}

/// Where the file is.
#[derive(Debug)]
pub(super) enum Origin {
    /// It came with the form.
    Sent(SentFile),
    /// It was uploaded before, and has this id.
    Kept(String),
}

/// A file that came with a form.
#[derive(Debug)]
pub(super) struct SentFile {
    pub(super) filename: String,
    pub(super) media_type: Option<String>,
    pub(super) content: File,
}

/// What the fields said so far.
#[derive(Debug, Default)]
struct Known {
    file: Option<SentFile>,
    file_id: Option<String>,
    options: Option<Map<String, Value>>,
    chunking_strategy: Option<ChunkingStrategy>,
}

/// Reads a form to its end. The file goes to the disk as it comes: how it is to be cut may be said behind it, and a client that is slow must
/// not take up what reads files.
pub(super) async fn read(stack: &Stack, mut form: Form) -> Result<Request> {
    let mut known = Known::default();
    while let Some((name, field)) = form.next().await? {
        if name == "file" {
            let sent = keep(stack, form.file(field)?).await?;
            if known.file.replace(sent).is_some() {
                return Err(sent_twice(&name));
            }
        } else {
            known.take(&TextField::of(name, field).await?)?;
        }
    }
    known.into_request()
}

async fn keep(stack: &Stack, mut sent: FileField) -> Result<SentFile> {
    let failed = |error: std::io::Error| {
        Error::unavailable("the file could not be written to the server's disk").with_source(error)
    };
    let mut content = tokio::fs::File::from_std(stack.scratch_file().await?);
    while let Some(piece) = sent.piece().await? {
        content.write_all(&piece).await.map_err(failed)?;
    }
    content.flush().await.map_err(failed)?;
    let mut content = content.into_std().await;
    content.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(SentFile {
        filename: sent.filename().to_owned(),
        media_type: sent.media_type(),
        content,
    })
}

impl Known {
    /// Takes a field other than the file.
    fn take(&mut self, field: &TextField) -> Result<()> {
        let is_new = match field.name.as_str() {
            "file_id" | "options" | "chunking_strategy" if field.is_null() => true,
            "file_id" => self.file_id.replace(field.text.clone()).is_none(),
            "options" => self.options.replace(parsed(field, "a JSON object")?).is_none(),
            "chunking_strategy" => {
                let strategy: ChunkingStrategy = parsed(field, "a chunking strategy as JSON")?;
                strategy.validate("chunking_strategy")?;
                self.chunking_strategy.replace(strategy).is_none()
            }
            _ => return Err(field.unknown("`file`, `file_id`, `options` and `chunking_strategy`")),
        };
        is_new.then_some(()).ok_or_else(|| field.twice())
    }

    fn into_request(self) -> Result<Request> {
        let origin = match (self.file, self.file_id) {
            (Some(sent), None) => Origin::Sent(sent),
            (None, Some(id)) => Origin::Kept(id),
            (Some(_), Some(_)) => {
                return Err(
                    Error::invalid_request("`file` and `file_id` are both sent; send one of them")
                        .with_param("file_id"),
                );
            }
            (None, None) => {
                return Err(missing(
                    "file",
                    "the file to read, or `file_id` of one that is uploaded",
                ));
            }
        };
        Ok(Request {
            origin,
            options: self.options,
            chunking_strategy: self.chunking_strategy,
        })
    }
}

fn parsed<T: DeserializeOwned>(field: &TextField, right: &str) -> Result<T> {
    serde_json::from_str(&field.text).map_err(|error| {
        let name = &field.name;
        Error::invalid_request(format!("`{name}` must be {right}: {error}")).with_param(name.as_str())
    })
}
