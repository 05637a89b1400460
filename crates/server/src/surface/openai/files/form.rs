//! The form of an upload, whose fields may come in any order.

use std::error::Error as _;

use futures::{FutureExt, StreamExt};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};
use puna_api::{Error, ExpiresAfter, ExpiryAnchor, FileDetails, FilePurpose, FileUpload};
use schemars::JsonSchema;
use tokio::sync::oneshot;

use super::names;
use crate::body::{Upload, file_too_large};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::settings::Limits;

/// The longest text in a form, in bytes.
const LONGEST_TEXT: usize = 8 << 10;
/// How many fields a form can have.
const MOST_FIELDS: usize = 16;

/// A file to upload. (OpenAI)
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "describes a form, which is read field by field")]
pub(super) struct CreateFileRequest {
    /// The file, with its name.
    #[schemars(extend("format" = "binary"))]
    file: String,
    /// What the file is for.
    #[schemars(extend("enum" = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]))]
    purpose: String,
    /// When the file goes; as the fields `expires_after[anchor]` and `expires_after[seconds]`, or as JSON.
    expires_after: Option<ExpiresAfter>,
}

/// A form whose fields have not been read.
pub(super) struct Form {
    fields: Multipart<'static>,
    upload: Upload,
    limits: Limits,
}

/// What the fields around the file said.
#[derive(Debug, Default)]
struct Known {
    count: usize,
    filename: Option<String>,
    purpose: Option<FilePurpose>,
    anchor: Option<String>,
    seconds: Option<String>,
    expires_after: Option<ExpiresAfter>,
}

impl Form {
    /// Fails where the body is no form.
    pub(super) async fn of(call: &mut Call) -> Result<Self> {
        let content_type = call.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(|_| {
            let error = Error::invalid_request("a file is uploaded as a form: `multipart/form-data` with a boundary")
                .with_code("unsupported_content_type");
            Failure::with_status(error, StatusCode::UNSUPPORTED_MEDIA_TYPE)
        })?;
        let limits = *call.limits();
        let upload = call.upload()?;
        if let Err(error) = upload.check_announced().await {
            return Err(upload.failed(error).await);
        }
        Ok(Self {
            fields: Multipart::new(upload.bytes(), boundary),
            upload,
            limits,
        })
    }

    /// What knows how the transfer goes.
    pub(super) fn transfer(&self) -> Upload {
        self.upload.clone()
    }

    /// Reads up to the file. What comes after it is read when its bytes have been.
    pub(super) async fn into_file(self) -> puna_api::Result<FileUpload> {
        let Self { mut fields, limits, .. } = self;
        let mut known = Known::default();
        let mut file = loop {
            let Some(field) = known.next(&mut fields).await? else {
                return Err(missing("file", "the file to upload, as a part with a file name"));
            };
            if field.name() == Some("file") {
                break field;
            }
            known.take(field).await?;
        };
        let filename = file.file_name().filter(|name| !name.is_empty());
        known.filename = Some(
            filename
                .ok_or_else(|| missing("file", "the part has no file name"))?
                .to_owned(),
        );

        let (told, details) = oneshot::channel();
        let content = async_stream::try_stream! {
            let mut size = 0_u64;
            while let Some(piece) = file.chunk().await.map_err(broken)? {
                size += piece.len() as u64;
                if size > limits.max_file_bytes {
                    Err(file_too_large(&limits))?;
                }
                yield piece;
            }
            // The next field can only be read when this one is let go.
            drop(file);
            while let Some(field) = known.next(&mut fields).await? {
                known.take(field).await?;
            }
            // Nobody listens when the upload is not wanted any more.
            let _ = told.send(known.into_details()?);
        };
        Ok(FileUpload {
            content: content.boxed(),
            details: async {
                details
                    .await
                    .map_err(|_| Error::internal("the content of a form was not read to its end"))
            }
            .boxed(),
        })
    }
}

impl Known {
    async fn next(&mut self, fields: &mut Multipart<'static>) -> puna_api::Result<Option<Field<'static>>> {
        self.count += 1;
        if self.count > MOST_FIELDS {
            return Err(Error::invalid_request(format!(
                "the form has more than {MOST_FIELDS} fields"
            )));
        }
        fields.next_field().await.map_err(broken)
    }

    /// Reads a field other than the file.
    async fn take(&mut self, field: Field<'static>) -> puna_api::Result<()> {
        let name = field.name().unwrap_or_default().to_owned();
        let text = text(field, &name).await?;
        let twice = || Error::invalid_request(format!("`{name}` is sent twice")).with_param(name.as_str());
        match name.as_str() {
            "purpose" => {
                let is_new = self.purpose.replace(purpose(&text)?).is_none();
                is_new.then_some(()).ok_or_else(twice)
            }
            "expires_after[anchor]" => self.anchor.replace(text).map_or(Ok(()), |_| Err(twice())),
            "expires_after[seconds]" => self.seconds.replace(text).map_or(Ok(()), |_| Err(twice())),
            // What a client sends for no value.
            "expires_after" if matches!(text.as_str(), "" | "null") => Ok(()),
            "expires_after" => {
                let parsed = serde_json::from_str(&text).map_err(|error| {
                    Error::invalid_request(format!(
                        "`expires_after` must be an object with `anchor` and `seconds`: {error}"
                    ))
                    .with_param("expires_after")
                })?;
                self.expires_after.replace(parsed).map_or(Ok(()), |_| Err(twice()))
            }
            "file" => Err(twice()),
            _ => {
                let shown: String = name.chars().take(100).collect();
                let message =
                    format!("the form has an unknown field `{shown}`; known are `file`, `purpose` and `expires_after`");
                Err(Error::invalid_request(message).with_param(shown))
            }
        }
    }

    fn into_details(self) -> puna_api::Result<FileDetails> {
        let for_uploads: Vec<_> = FilePurpose::ALL
            .iter()
            .copied()
            .filter(|purpose| purpose.is_for_uploads())
            .collect();
        let expires_after = match (self.expires_after, self.anchor, self.seconds) {
            (given, None, None) => given,
            (Some(_), ..) => {
                return Err(
                    Error::invalid_request("`expires_after` is sent twice, as JSON and as fields")
                        .with_param("expires_after"),
                );
            }
            (None, anchor, seconds) => Some(expires_after(anchor, seconds)?),
        };
        let details = FileDetails {
            filename: self.filename.unwrap_or_default(),
            purpose: self
                .purpose
                .ok_or_else(|| missing("purpose", &format!("one of {}", names(&for_uploads))))?,
            expires_after,
        };
        details.check()?;
        Ok(details)
    }
}

fn purpose(text: &str) -> puna_api::Result<FilePurpose> {
    let found = FilePurpose::from_name(text);
    if let Some(purpose) = found.filter(|purpose| purpose.is_for_uploads()) {
        return Ok(purpose);
    }
    let for_uploads: Vec<_> = FilePurpose::ALL
        .iter()
        .copied()
        .filter(|purpose| purpose.is_for_uploads())
        .collect();
    let shown: String = text.chars().take(100).collect();
    let reason = match found {
        Some(_) => "is for files that the server makes",
        None => "is no purpose",
    };
    Err(Error::invalid_request(format!("`{shown}` {reason}; send {}", names(&for_uploads))).with_param("purpose"))
}

fn expires_after(anchor: Option<String>, seconds: Option<String>) -> puna_api::Result<ExpiresAfter> {
    let anchor = anchor.ok_or_else(|| missing("expires_after[anchor]", "`created_at`"))?;
    if anchor != "created_at" {
        let shown: String = anchor.chars().take(100).collect();
        let message = format!("`expires_after[anchor]` is `{shown}`; send `created_at`");
        return Err(Error::invalid_request(message).with_param("expires_after[anchor]"));
    }
    let seconds = seconds.ok_or_else(|| missing("expires_after[seconds]", "a whole number from 3600 to 2592000"))?;
    let number = seconds.parse().map_err(|_| {
        let shown: String = seconds.chars().take(100).collect();
        let message = format!("`expires_after[seconds]` is `{shown}`; send a whole number from 3600 to 2592000");
        Error::invalid_request(message).with_param("expires_after[seconds]")
    })?;
    Ok(ExpiresAfter {
        anchor: ExpiryAnchor::CreatedAt,
        seconds: number,
    })
}

async fn text(mut field: Field<'static>, name: &str) -> puna_api::Result<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LONGEST_TEXT {
            let shown: String = name.chars().take(100).collect();
            let message = format!("the field `{shown}` is longer than {LONGEST_TEXT} bytes; only `file` may be");
            return Err(Error::invalid_request(message).with_param(shown));
        }
    }
    String::from_utf8(bytes).map_err(|_| {
        let shown: String = name.chars().take(100).collect();
        Error::invalid_request(format!("the field `{shown}` is not UTF-8")).with_param(shown)
    })
}

fn missing(name: &str, right: &str) -> Error {
    Error::invalid_request(format!("`{name}` is missing: {right}"))
        .with_param(name)
        .with_code("missing_required_parameter")
}

/// What a form that cannot be read means: a mistake of its own, or what became of the connection.
fn broken(error: multer::Error) -> Error {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Error>() {
            Ok(error) => *error,
            Err(cause) => Error::invalid_request("the form ended too early").with_source(cause),
        },
        multer::Error::IncompleteStream
        | multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders => Error::invalid_request("the form ends before its last boundary"),
        error => {
            let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Error::invalid_request(format!("the form cannot be read: {reason}"))
        }
    }
}
