//! Files, as OpenAI keeps them.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RANGE};
use http::request::Parts;
use multer::Multipart;
use puna_api::FilePurpose;
use serde_json::{Value, json};

use super::answer::Answer;
use super::check::Refusal;
use super::{State, lock};

/// How a stub upstream keeps files. The default is as OpenAI does.
#[derive(Debug, Clone, Default)]
pub struct StubFiles {
    /// Whether the bytes of every file can be had again; OpenAI gives back those of few purposes.
    pub gives_back_all: bool,
    /// Whether `Range` is heeded.
    pub knows_ranges: bool,
    /// When files go whose upload does not say it, in seconds; by default those for batches after 30 days.
    pub lifetime: Option<u64>,
}

/// A file that a stub upstream keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StubFile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub filename: String,
    /// What it is for.
    pub purpose: String,
    /// Its bytes.
    pub content: Bytes,
    /// When it came, in seconds since 1970.
    pub created_at: u64,
    /// When it goes, in seconds since 1970.
    pub expires_at: Option<u64>,
}

impl StubFile {
    /// A file that came now and stays.
    pub fn new(filename: &str, purpose: &str, content: impl Into<Bytes>) -> Self {
        Self {
            id: format!(
                "file-{}",
                std::iter::repeat_with(fastrand::alphanumeric)
                    .take(22)
                    .collect::<String>()
            ),
            filename: filename.to_owned(),
            purpose: purpose.to_owned(),
            content: content.into(),
            created_at: now(),
            expires_at: None,
        }
    }

    fn object(&self) -> Value {
        json!({
            "object": "file",
            "id": self.id,
            "purpose": self.purpose,
            "filename": self.filename,
            "bytes": self.content.len(),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "status": "processed",
            "status_details": null,
        })
    }
}

/// What a request to this path is answered with; `None` for a path that is not about files.
pub(super) async fn answer(head: &Parts, body: &Bytes, state: &State) -> Option<Answer> {
    let path = head.uri.path().strip_prefix("/v1/files")?;
    let query: Vec<(&str, &str)> = head.uri.query().map(pairs).unwrap_or_default();
    let answer = match (
        head.method.as_str(),
        path.strip_prefix('/')
            .map(|path| path.split_once('/').unwrap_or((path, ""))),
    ) {
        ("POST", None) if path.is_empty() => create(head, body, state).await,
        ("GET", None) if path.is_empty() => list(&query, state),
        ("GET", Some((id, ""))) => find(id, state).map(|file| Answer::Whole(file.object())),
        ("GET", Some((id, "content"))) => find(id, state).and_then(|file| content(head, &file, state)),
        ("DELETE", Some((id, ""))) => delete(id, state),
        _ => return None,
    };
    Some(answer.unwrap_or_else(|refusal| Answer::Refused(refusal.status, refusal.body())))
}

fn pairs(query: &str) -> Vec<(&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('=')).collect()
}

async fn create(head: &Parts, body: &Bytes, state: &State) -> Result<Answer, Refusal> {
    let bad_form = |error: multer::Error| Refusal::invalid("", format!("The form cannot be read: {error}"));
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or_default()).map_err(bad_form)?;
    let whole = futures::stream::iter([Ok::<_, std::io::Error>(body.clone())]);
    let mut form = Multipart::new(whole, boundary);
    let (mut file, mut purpose, mut anchor, mut seconds) = (None, None, None, None);
    while let Some(field) = form.next_field().await.map_err(bad_form)? {
        let name = field.name().unwrap_or_default().to_owned();
        let filename = field.file_name().map(str::to_owned);
        match name.as_str() {
            "file" => file = filename.zip(Some(field.bytes().await.map_err(bad_form)?)),
            "purpose" => purpose = Some(field.text().await.map_err(bad_form)?),
            "expires_after[anchor]" => anchor = Some(field.text().await.map_err(bad_form)?),
            "expires_after[seconds]" => seconds = Some(field.text().await.map_err(bad_form)?),
            other => {
                return Err(Refusal::invalid(
                    other,
                    format!("Unrecognized request argument supplied: {other}"),
                ));
            }
        }
    }
    let missing = |name: &str| Refusal::invalid(name, format!("'{name}' is a required property"));
    let (filename, content) = file.ok_or_else(|| missing("file"))?;
    let purpose = purpose.ok_or_else(|| missing("purpose"))?;
    if !FilePurpose::from_name(&purpose).is_some_and(FilePurpose::is_for_uploads) {
        return Err(Refusal::invalid(
            "purpose",
            format!("'{purpose}' is not one of the purposes of uploads"),
        ));
    }
    let after = match (anchor.as_deref(), seconds) {
        (None, None) if purpose == "batch" => Some(state.settings.files.lifetime.unwrap_or(30 * 86400)),
        (None, None) => state.settings.files.lifetime,
        (Some("created_at"), Some(seconds)) => {
            let seconds = seconds
                .parse()
                .ok()
                .filter(|seconds| (3600..=2_592_000).contains(seconds));
            Some(seconds.ok_or_else(|| Refusal::invalid("expires_after", "'seconds' must be 3600 to 2592000"))?)
        }
        _ => {
            return Err(Refusal::invalid(
                "expires_after",
                "'anchor' and 'seconds' belong together",
            ));
        }
    };
    let mut file = StubFile::new(&filename, &purpose, content);
    file.expires_at = after.map(|after| file.created_at + after);
    let object = file.object();
    lock(&state.files).push(file);
    Ok(Answer::Whole(object))
}

fn list(query: &[(&str, &str)], state: &State) -> Result<Answer, Refusal> {
    let of = |name: &str| query.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let limit = of("limit").map_or(Ok(10_000), str::parse);
    let limit: usize = limit.map_err(|_| Refusal::invalid("limit", "'limit' is not an integer"))?;
    let mut files: Vec<StubFile> = lock(&state.files)
        .iter()
        .filter(|file| of("purpose").is_none_or(|purpose| purpose == file.purpose))
        .cloned()
        .collect();
    if of("order") != Some("asc") {
        files.reverse();
    }
    if let Some(after) = of("after") {
        let at = files.iter().position(|file| file.id == after);
        let at = at.ok_or_else(|| Refusal::file_not_found(after))?;
        files.drain(..=at);
    }
    let has_more = files.len() > limit;
    files.truncate(limit);
    let id = |file: Option<&StubFile>| file.map(|file| file.id.clone());
    Ok(Answer::Whole(json!({
        "object": "list",
        "data": files.iter().map(StubFile::object).collect::<Vec<_>>(),
        "first_id": id(files.first()),
        "last_id": id(files.last()),
        "has_more": has_more,
    })))
}

fn find(id: &str, state: &State) -> Result<StubFile, Refusal> {
    let files = lock(&state.files);
    let found = files
        .iter()
        .find(|file| file.id == id && file.expires_at.is_none_or(|at| at > now()));
    found.cloned().ok_or_else(|| Refusal::file_not_found(id))
}

fn content(head: &Parts, file: &StubFile, state: &State) -> Result<Answer, Refusal> {
    let settings = &state.settings.files;
    let is_given_back = settings.gives_back_all || matches!(file.purpose.as_str(), "batch" | "fine-tune");
    if !is_given_back {
        let message = format!("Not allowed to download files of purpose: {}", file.purpose);
        return Err(Refusal::invalid("", message));
    }
    let range = head.headers.get(RANGE).filter(|_| settings.knows_ranges);
    let range = range.and_then(|value| {
        let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < file.content.len()).then_some((first, last))
    });
    let mut headers = vec![("content-type".to_owned(), "application/octet-stream".to_owned())];
    let Some((first, last)) = range else {
        return Ok(Answer::Bytes {
            status: 200,
            headers,
            body: file.content.clone(),
        });
    };
    headers.push((
        "content-range".to_owned(),
        format!("bytes {first}-{last}/{}", file.content.len()),
    ));
    Ok(Answer::Bytes {
        status: 206,
        headers,
        body: file.content.slice(first..=last),
    })
}

fn delete(id: &str, state: &State) -> Result<Answer, Refusal> {
    find(id, state)?;
    lock(&state.files).retain(|file| file.id != id);
    Ok(Answer::Whole(json!({ "id": id, "object": "file", "deleted": true })))
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
