//! `/v1/files`.

use puna_api::{Api, File, FilePurpose, FileQuery, Json, SortOrder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error_body;
use crate::call::{Call, Reply};
use crate::error::Result;
use crate::form::Form;
use crate::query;
use crate::routes::{Answer, Parameter, Place, RequestBody, Route, Verb, schema_of};

mod content;
mod form;

/// How many files a list has that says nothing, and how many it can have.
const LONGEST_LIST: u32 = 10_000;

const FILE_ID: Parameter = Parameter {
    place: Place::Path,
    name: "file_id",
    description: "The file's id.",
    schema: schema_of::<String>,
};

pub(super) const CREATE: Route = Route {
    verb: Verb::Post,
    path: "/v1/files",
    operation_id: "createFile",
    tag: "Files",
    summary: "Upload a file",
    description: "The file goes to the disk as it comes, up to the server's bound (`max_file_bytes`), and can be used as soon as this is answered. \
                  Fields may come in any order. The requests of a batch go after 30 days unless `expires_after` says otherwise.",
    public: false,
    api: Some(Api::Files),
    parameters: &[],
    request: Some(RequestBody::form(schema_of::<form::CreateFileRequest>)),
    answers: &[Answer::json(schema_of::<File>)],
    serve: |call| Box::pin(create(call)),
    error_body,
};

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/v1/files",
    operation_id: "listFiles",
    tag: "Files",
    summary: "List the files",
    description: "",
    public: false,
    api: Some(Api::Files),
    parameters: &[
        Parameter {
            place: Place::Query,
            name: "purpose",
            description: "Only files for this purpose.",
            schema: schema_of::<FilePurpose>,
        },
        Parameter {
            place: Place::Query,
            name: "limit",
            description: "How many files at most, 1 to 10,000, which is also the default.",
            schema: schema_of::<u32>,
        },
        Parameter {
            place: Place::Query,
            name: "order",
            description: "By time of upload: `desc`, the newest first, by default.",
            schema: schema_of::<SortOrder>,
        },
        Parameter {
            place: Place::Query,
            name: "after",
            description: "Only files that come after this one in the list: the `last_id` of the page before.",
            schema: schema_of::<String>,
        },
    ],
    request: None,
    answers: &[Answer::json(schema_of::<ListFilesResponse>)],
    serve: |call| Box::pin(list(call)),
    error_body,
};

pub(super) const RETRIEVE: Route = Route {
    verb: Verb::Get,
    path: "/v1/files/{file_id}",
    operation_id: "retrieveFile",
    tag: "Files",
    summary: "Describe a file",
    description: "",
    public: false,
    api: Some(Api::Files),
    parameters: &[FILE_ID],
    request: None,
    answers: &[Answer::json(schema_of::<File>)],
    serve: |call| Box::pin(retrieve(call)),
    error_body,
};

pub(super) const CONTENT: Route = Route {
    verb: Verb::Get,
    path: "/v1/files/{file_id}/content",
    operation_id: "downloadFile",
    tag: "Files",
    summary: "Download a file",
    description: "Answers one range of bytes where the header `range` asks for it. The bytes come as an attachment that no browser opens, whatever \
                  they are.",
    public: false,
    api: Some(Api::Files),
    parameters: &[FILE_ID],
    request: None,
    answers: &[Answer::bytes()],
    serve: |call| Box::pin(content::download(call)),
    error_body,
};

pub(super) const DELETE: Route = Route {
    verb: Verb::Delete,
    path: "/v1/files/{file_id}",
    operation_id: "deleteFile",
    tag: "Files",
    summary: "Delete a file",
    description: "Takes it out of all vector stores, too.",
    public: false,
    api: Some(Api::Files),
    parameters: &[FILE_ID],
    request: None,
    answers: &[Answer::json(schema_of::<DeleteFileResponse>)],
    serve: |call| Box::pin(delete(call)),
    error_body,
};

/// Some files. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
struct ListFilesResponse {
    /// Always `list`.
    #[schemars(extend("enum" = ["list"]))]
    object: &'static str,
    /// The files.
    data: Vec<File>,
    /// The id of the first one; empty when there is none.
    first_id: String,
    /// The id of the last one; empty when there is none.
    last_id: String,
    /// Whether there are more after them.
    has_more: bool,
}

/// A file that is gone. (OpenAI)
#[derive(Debug, Serialize, JsonSchema)]
struct DeleteFileResponse {
    /// The file's id.
    id: String,
    /// Always `file`.
    #[schemars(extend("enum" = ["file"]))]
    object: &'static str,
    /// Always true.
    deleted: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    purpose: Option<String>,
    limit: Option<String>,
    order: Option<String>,
    after: Option<String>,
}

async fn create(call: &mut Call) -> Result<Reply> {
    let files = call.stack.files()?.clone();
    let form = Form::of(call).await?;
    let upload = form.transfer();
    let file = match form::into_file(form).await {
        Ok(file) => files.upload(&call.context, file).await,
        Err(error) => Err(error),
    };
    call.note_bytes_in(upload.read());
    match file {
        Ok(file) => Reply::json(&Json::new(file)),
        Err(error) => Err(upload.failed(error).await),
    }
}

async fn list(call: &mut Call) -> Result<Reply> {
    let files = call.stack.files()?;
    let query = call.query::<ListQuery>()?.check()?;
    let list = files.list(&call.context, query).await?;
    let id = |file: Option<&File>| file.map(|file| file.id.clone()).unwrap_or_default();
    Reply::json(&Json::new(ListFilesResponse {
        object: "list",
        first_id: id(list.files.first()),
        last_id: id(list.files.last()),
        data: list.files,
        has_more: list.has_more,
    }))
}

impl ListQuery {
    fn check(self) -> puna_api::Result<FileQuery> {
        let purpose = self.purpose.filter(|purpose| !purpose.is_empty());
        let purpose = purpose.map(|name| {
            FilePurpose::from_name(&name)
                .ok_or_else(|| query::wrong("purpose", &name, &format!("send {}", names(FilePurpose::ALL))))
        });
        let limit = query::count("limit", self.limit.as_deref(), LONGEST_LIST, LONGEST_LIST)?;
        let order = query::order(self.order.as_deref(), SortOrder::Desc)?;
        Ok(FileQuery {
            after: self.after,
            limit,
            order,
            purpose: purpose.transpose()?,
        })
    }
}

/// The names of purposes, for a message.
fn names(purposes: &[FilePurpose]) -> String {
    let names: Vec<_> = purposes.iter().map(|purpose| format!("`{}`", purpose.name())).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}

async fn retrieve(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("file_id").await?;
    let file = call.stack.files()?.get(&call.context, &id).await?;
    Reply::json(&Json::new(file))
}

async fn delete(call: &mut Call) -> Result<Reply> {
    let id = call.path_parameter("file_id").await?;
    let files = call.stack.files()?;
    let stores = call.stack.vector_stores().ok();
    // First, so that no store has a file that is not there.
    if let Some(stores) = stores {
        stores.detach_everywhere(&call.context, &id).await?;
    }
    files.delete(&call.context, &id).await?;
    // Again, because somebody may have attached it in between. From here on, whoever attaches it has nothing to read.
    if let Some(stores) = stores {
        stores.detach_everywhere(&call.context, &id).await?;
    }
    Reply::json(&Json::new(DeleteFileResponse {
        id,
        object: "file",
        deleted: true,
    }))
}
