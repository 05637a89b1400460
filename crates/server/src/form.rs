//! Forms, `multipart/form-data`, whose fields may come in any order.

use std::error::Error as _;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use multer::{Field, Multipart};
use puna_api::Error;

use crate::body::{Upload, file_too_large};
use crate::call::Call;
use crate::error::{Failure, Result};
use crate::settings::Limits;

/// The longest text in a form, in bytes.
const LONGEST_TEXT: usize = 8 << 10;
/// How many fields a form can have.
const MOST_FIELDS: usize = 16;

/// A form that is read field by field.
pub(crate) struct Form {
    fields: Multipart<'static>,
    count: usize,
    upload: Upload,
    limits: Limits,
}

/// A field of a form that is not the file.
pub(crate) struct TextField {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The field of a form that is the file, bounded. The next field can only be read when this one is let go.
pub(crate) struct FileField {
    field: Field<'static>,
    filename: String,
    read: u64,
    limits: Limits,
}

impl Form {
    /// Fails where the body is no form.
    pub(crate) async fn of(call: &mut Call) -> Result<Self> {
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
            count: 0,
            upload,
            limits,
        })
    }

    /// What knows how the transfer goes.
    pub(crate) fn transfer(&self) -> Upload {
        self.upload.clone()
    }

    /// The next field, with its name.
    pub(crate) async fn next(&mut self) -> puna_api::Result<Option<(String, Field<'static>)>> {
        self.count += 1;
        if self.count > MOST_FIELDS {
            return Err(Error::invalid_request(format!(
                "the form has more than {MOST_FIELDS} fields"
            )));
        }
        let field = self.fields.next_field().await.map_err(broken)?;
        Ok(field.map(|field| (field.name().unwrap_or_default().to_owned(), field)))
    }

    /// A field as the file. Fails where it has no file name.
    pub(crate) fn file(&self, field: Field<'static>) -> puna_api::Result<FileField> {
        let filename = field.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(FileField {
            filename: filename.ok_or_else(|| missing("file", "the part has no file name"))?,
            field,
            read: 0,
            limits: self.limits,
        })
    }
}

impl FileField {
    pub(crate) fn filename(&self) -> &str {
        &self.filename
    }

    /// What its sender says that it is.
    pub(crate) fn media_type(&self) -> Option<String> {
        let media_type = self.field.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        Some(media_type.to_owned())
    }

    /// Its next bytes. Fails when there are more than is taken.
    pub(crate) async fn piece(&mut self) -> puna_api::Result<Option<Bytes>> {
        let Some(piece) = self.field.chunk().await.map_err(broken)? else {
            return Ok(None);
        };
        self.read += piece.len() as u64;
        if self.read > self.limits.max_file_bytes {
            return Err(file_too_large(&self.limits));
        }
        Ok(Some(piece))
    }
}

impl TextField {
    /// Reads a field.
    pub(crate) async fn of(name: String, mut field: Field<'static>) -> puna_api::Result<Self> {
        let mut bytes = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LONGEST_TEXT {
                let shown = shown(&name);
                let message = format!("the field `{shown}` is longer than {LONGEST_TEXT} bytes; only `file` may be");
                return Err(Error::invalid_request(message).with_param(shown));
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(_) => {
                let shown = shown(&name);
                Err(Error::invalid_request(format!("the field `{shown}` is not UTF-8")).with_param(shown))
            }
        }
    }

    /// Whether it is what a client sends for no value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.text.as_str(), "" | "null")
    }

    /// The error of a field that was there before.
    pub(crate) fn twice(&self) -> Error {
        sent_twice(&self.name)
    }

    /// The error of a field that is none of those that are known, which this names for the message.
    pub(crate) fn unknown(&self, known: &str) -> Error {
        let shown = shown(&self.name);
        let message = format!("the form has an unknown field `{shown}`; known are {known}");
        Error::invalid_request(message).with_param(shown)
    }
}

/// The error of a field that was there before.
pub(crate) fn sent_twice(name: &str) -> Error {
    Error::invalid_request(format!("`{name}` is sent twice")).with_param(name)
}

/// The error of a field that is not there; `right` says what it would hold.
pub(crate) fn missing(name: &str, right: &str) -> Error {
    Error::invalid_request(format!("`{name}` is missing: {right}"))
        .with_param(name)
        .with_code("missing_required_parameter")
}

/// As much of what a client sent as a message repeats.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(100).collect()
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
