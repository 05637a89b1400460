//! The form of an upload, whose fields may come in any order.

use futures::{FutureExt, StreamExt};
use puna_api::{Error, ExpiresAfter, ExpiryAnchor, FileDetails, FilePurpose, FileUpload};
use schemars::JsonSchema;
use tokio::sync::oneshot;

use super::names;
use crate::form::{Form, TextField, missing, sent_twice, shown};

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

/// What the fields around the file said.
#[derive(Debug, Default)]
struct Known {
    filename: Option<String>,
    purpose: Option<FilePurpose>,
    anchor: Option<String>,
    seconds: Option<String>,
    expires_after: Option<ExpiresAfter>,
}

/// Reads up to the file. What comes after it is read when its bytes have been.
pub(super) async fn into_file(mut form: Form) -> puna_api::Result<FileUpload> {
    let mut known = Known::default();
    let field = loop {
        let Some((name, field)) = form.next().await? else {
            return Err(missing("file", "the file to upload, as a part with a file name"));
        };
        if name == "file" {
            break field;
        }
        known.take(&TextField::of(name, field).await?)?;
    };
    let mut file = form.file(field)?;
    known.filename = Some(file.filename().to_owned());

    let (told, details) = oneshot::channel();
    let content = async_stream::try_stream! {
        while let Some(piece) = file.piece().await? {
            yield piece;
        }
        drop(file);
        while let Some((name, field)) = form.next().await? {
            if name == "file" {
                Err(sent_twice(&name))?;
            }
            known.take(&TextField::of(name, field).await?)?;
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

impl Known {
    /// Takes a field other than the file.
    fn take(&mut self, field: &TextField) -> puna_api::Result<()> {
        let is_new = match field.name.as_str() {
            "purpose" => self.purpose.replace(purpose(&field.text)?).is_none(),
            "expires_after[anchor]" => self.anchor.replace(field.text.clone()).is_none(),
            "expires_after[seconds]" => self.seconds.replace(field.text.clone()).is_none(),
            "expires_after" if field.is_null() => true,
            "expires_after" => {
                let parsed = serde_json::from_str(&field.text).map_err(|error| {
                    Error::invalid_request(format!(
                        "`expires_after` must be an object with `anchor` and `seconds`: {error}"
                    ))
                    .with_param("expires_after")
                })?;
                self.expires_after.replace(parsed).is_none()
            }
            _ => return Err(field.unknown("`file`, `purpose` and `expires_after`")),
        };
        is_new.then_some(()).ok_or_else(|| field.twice())
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
    let shown = shown(text);
    let reason = match found {
        Some(_) => "is for files that the server makes",
        None => "is no purpose",
    };
    Err(Error::invalid_request(format!("`{shown}` {reason}; send {}", names(&for_uploads))).with_param("purpose"))
}

fn expires_after(anchor: Option<String>, seconds: Option<String>) -> puna_api::Result<ExpiresAfter> {
    let anchor = anchor.ok_or_else(|| missing("expires_after[anchor]", "`created_at`"))?;
    if anchor != "created_at" {
        let message = format!("`expires_after[anchor]` is `{}`; send `created_at`", shown(&anchor));
        return Err(Error::invalid_request(message).with_param("expires_after[anchor]"));
    }
    let seconds = seconds.ok_or_else(|| missing("expires_after[seconds]", "a whole number from 3600 to 2592000"))?;
    let number = seconds.parse().map_err(|_| {
        let message = format!(
            "`expires_after[seconds]` is `{}`; send a whole number from 3600 to 2592000",
            shown(&seconds)
        );
        Error::invalid_request(message).with_param("expires_after[seconds]")
    })?;
    Ok(ExpiresAfter {
        anchor: ExpiryAnchor::CreatedAt,
        seconds: number,
    })
}
